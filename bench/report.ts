import { LOADS, type LoadName } from './phases.ts';
import { FASTEST_OTHER, SYNAPSE_CPU_MS, TARGETS, TOLERANCE } from './reference.ts';
import { coldName } from './run.ts';
import type { EngineName, ServerName } from './server.ts';
import type { Run } from './statistics.ts';

const LOAD_TITLES: Readonly<Record<LoadName, string>> = {
  rooms: 'create a room',
  'one-by-one': 'send, one after another',
  'twenty-rooms': 'send, 20 users in 20 rooms',
  'one-room': 'send, 50 users in one room',
  'large-room': 'send into the large room, with syncers',
  delivery: 'delivery to all syncers',
  'first-sync': 'first sync of many rooms',
  'keys-query': 'ask for the keys of many users',
  'keys-claim': 'claim a key of each of many devices',
  'keys-upload': 'upload 50 one-time keys',
  'to-device': 'messages to devices, 20 at once by 20 users',
};

const TITLES: Readonly<Record<string, string>> = {
  start: 'start, idle',
  bytes: 'database',
  ...LOAD_TITLES,
  ...Object.fromEntries(LOADS.map((name) => [coldName(name), `just started: ${LOAD_TITLES[name]}`])),
};

const UNITS: Readonly<Record<string, string>> = {
  firstMs: 'first start, ms',
  againMs: 'start on an existing database, ms',
  idleMib: 'idle memory, MiB',
  ops: 'operations',
  errors: 'errors',
  perSecond: 'per second',
  p50Ms: 'p50 ms',
  p95Ms: 'p95 ms',
  cpuMs: 'server CPU ms per operation',
  residentMib: 'memory, MiB',
  otherCores: 'cores busy with other things',
  messages: 'messages',
  perMessage: 'bytes per message',
};

const figure = (value: number | undefined): string => {
  if (value === undefined || Number.isNaN(value)) return '–';
  return value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toPrecision(3);
};

const ratioOf = (myelin: number | undefined, synapse: number | undefined): number | undefined =>
  myelin !== undefined && synapse !== undefined && synapse > 0 ? myelin / synapse : undefined;

const LARGER_IS_BETTER = new Set(['perSecond']);

/** Whether a target is met, and whether the fastest other server is left behind. */
const verdict = (phase: string, name: string, ratio: number | undefined): string => {
  if (ratio === undefined) return '';
  const times = LARGER_IS_BETTER.has(name) ? ratio : 1 / ratio;
  const target = TARGETS.find((each) => each.phase === phase && each.figure === name);
  const other = FASTEST_OTHER[phase]?.[name];
  return [
    target && `${times >= target.times ? 'met' : 'MISSED'} (${String(target.times)}×)`,
    other && `${times > other ? 'ahead of' : 'behind'} the fastest other (${String(other)}×)`,
  ]
    .filter((part) => part)
    .join(', ');
};

const fraction = (ratio: number | undefined): string => {
  if (ratio === undefined) return '';
  return ratio > 0 && ratio < 0.95 ? `1/${(1 / ratio).toPrecision(3)}` : ratio.toPrecision(3);
};

/** The lines of one engine's table: a phase, its figures for each server, the ratio, and whether a target is met. */
export const table = (engine: EngineName, results: Readonly<Partial<Record<ServerName, Run>>>): string[] => {
  const { myelin = {}, synapse = {} } = results;
  const columns = (...cells: [string, string, string, string, string]): string =>
    `${cells[0].padEnd(36)}${cells[1].padStart(10)}${cells[2].padStart(10)}${cells[3].padStart(10)}  ${cells[4]}`.trimEnd();
  const lines = [columns(engine === 'sqlite' ? 'SQLite' : 'PostgreSQL', 'Myelin', 'Synapse', 'ratio', '')];
  for (const phase of Object.keys(TITLES)) {
    const names = Object.keys(myelin[phase] ?? synapse[phase] ?? {}).filter((name) => name !== 'errors' || anyErrors(results, phase));
    if (names.length) lines.push(TITLES[phase] ?? phase);
    for (const name of names) {
      const [ours, theirs] = [myelin[phase]?.[name], synapse[phase]?.[name]];
      const ratio = ['ops', 'errors', 'messages', 'otherCores'].includes(name) ? undefined : ratioOf(ours, theirs);
      lines.push(columns(`  ${UNITS[name] ?? name}`, figure(ours), figure(theirs), fraction(ratio), verdict(phase, name, ratio)));
    }
  }
  return lines;
};

const anyErrors = (results: Readonly<Partial<Record<ServerName, Run>>>, phase: string): boolean =>
  Object.values(results).some((run) => (run[phase]?.['errors'] ?? 0) > 0);

/** What makes a run doubtful: Synapse far from its known cost, or a machine that was busy with other things. */
export const doubts = (engine: EngineName, results: Readonly<Partial<Record<ServerName, Run>>>): string[] => {
  const lines: string[] = [];
  for (const [phase, expected] of Object.entries(SYNAPSE_CPU_MS[engine])) {
    const found = results.synapse?.[phase]?.['cpuMs'];
    if (found === undefined || Math.abs(found / expected - 1) <= TOLERANCE) continue;
    const off = `${found > expected ? '+' : ''}${String(Math.round((found / expected - 1) * 100))} %`;
    lines.push(`Synapse's CPU for '${TITLES[phase] ?? phase}' is ${figure(found)} ms, ${off} off the reference of ${figure(expected)} ms.`);
  }
  for (const [name, run] of Object.entries(results)) {
    const busy = Object.entries(run).filter(([, figures]) => (figures['otherCores'] ?? 0) > 0.25);
    const phases = busy.map(([phase]) => TITLES[phase] ?? phase).join('; ');
    if (busy.length) lines.push(`While ${name} was measured, the machine was busy with other things: ${phases}.`);
  }
  return lines;
};
