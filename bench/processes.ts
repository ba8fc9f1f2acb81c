import { readdirSync, readFileSync } from 'node:fs';

/** The kernel's unit of CPU time in /proc, the same on every Linux that Node runs on. */
const MS_PER_TICK = 10;

interface Stat {
  readonly parent: number;
  readonly cpuMs: number;
}

const readStat = (pid: number): Stat | undefined => {
  try {
    const text = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
    // The program's name stands in parentheses and may hold anything, so count from the last one.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const [parent = 0] = fields.slice(1, 2).map(Number);
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    return { parent, cpuMs: ticks * MS_PER_TICK };
  } catch {
    return undefined; // it has ended meanwhile
  }
};

const tree = (root: number): Map<number, Stat> => {
  const all = new Map<number, Stat>();
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? readStat(Number(name)) : undefined;
    if (stat) all.set(Number(name), stat);
  }
  const found = new Map<number, Stat>();
  const pending = [root];
  for (let pid = pending.pop(); pid !== undefined; pid = pending.pop()) {
    const stat = all.get(pid);
    if (!stat) continue;
    found.set(pid, stat);
    for (const [child, { parent }] of all) if (parent === pid) pending.push(child);
  }
  return found;
};

/** CPU milliseconds that a process and all below it have used, ended children included. */
export const cpuMs = (root: number): number =>
  tree(root)
    .values()
    .reduce((sum, stat) => sum + stat.cpuMs, 0);

/** Resident memory of a process and all below it, in MiB. */
export const residentMib = (root: number): number => {
  let kib = 0;
  for (const pid of tree(root).keys()) {
    try {
      kib += Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8'))?.[1] ?? 0);
    } catch {
      // it has ended meanwhile
    }
  }
  return kib / 1024;
};

/** CPU milliseconds that the whole machine has spent on anything, to see how much others took during a phase. */
export const machineCpuMs = (): number => {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.trim().split(/\s+/).slice(1).map(Number);
  return (user + nice + system + irq + softirq + steal) * MS_PER_TICK;
};
