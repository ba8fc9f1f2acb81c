import { readFileSync } from 'node:fs';
import { relative, join } from 'node:path';
import { fileURLToPath } from 'node:url';

// Prints where the time of CPU profiles went: `npm exec -- node bench/profile.ts FILE.cpuprofile…`

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const ROOT = join(import.meta.dirname, '..');
const ROWS = 45;

/** `sync/engine`, `node_modules/pg`, `node:_http_outgoing`, `(garbage collector)` */
const groupOf = (url: string, functionName: string): string => {
  if (url === '') return functionName.startsWith('(') ? functionName : '(built in)';
  if (!url.startsWith('file:')) return url;
  const steps = relative(ROOT, fileURLToPath(url)).split('/');
  return steps[0] === 'src' ? steps.slice(1, 3).join('/') : steps.slice(0, 2).join('/');
};

const add = (to: Map<string, number>, name: string, us: number): void => void to.set(name, (to.get(name) ?? 0) + us);

const print = (title: string, times: ReadonlyMap<string, number>, busy: number): void => {
  console.log(`\n${title}`);
  for (const [name, us] of [...times].toSorted((a, b) => b[1] - a[1]).slice(0, ROWS))
    console.log(`${((us / busy) * 100).toFixed(1).padStart(6)} %  ${(us / 1000).toFixed(1).padStart(8)} ms  ${name}`);
};

for (const file of process.argv.slice(2)) {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8')) as Profile;
  const frameOf = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const groups = new Map<string, number>();
  const functions = new Map<string, number>();
  let busy = 0;
  for (const [index, id] of samples.entries()) {
    const frame = frameOf.get(id);
    const us = timeDeltas[index] ?? 0;
    if (frame === undefined || frame.functionName === '(idle)') continue;
    busy += us;
    const group = groupOf(frame.url, frame.functionName);
    add(groups, group, us);
    add(
      functions,
      `${frame.functionName || '(anonymous)'}  ${group}:${String(frame.lineNumber + 1)}  ${frame.url.split('/').at(-1) ?? ''}`,
      us,
    );
  }
  console.log(`\n${file}: ${(busy / 1000).toFixed(0)} ms busy`);
  print('by place', groups, busy);
  print('by function', functions, busy);
}
