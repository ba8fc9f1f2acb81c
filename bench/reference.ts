import type { EngineName } from './server.ts';

/**
 * What Synapse 1.163.2 cost on a quiet machine of two cores, in CPU milliseconds per operation (PostgreSQL counted in). CPU time travels between
 * machines better than wall time does: a run whose Synapse is far from these was disturbed, or measures something else.
 */
export const SYNAPSE_CPU_MS: Readonly<Record<EngineName, Readonly<Record<string, number>>>> = {
  sqlite: { rooms: 48.3, 'one-by-one': 11.5, 'twenty-rooms': 8.37, 'one-room': 10.6 },
  postgres: { rooms: 116, 'one-by-one': 24.4, 'twenty-rooms': 15, 'one-room': 12 },
};

export const TOLERANCE = 0.3;

/**
 * How many times better than Synapse the fastest other server was that anybody has measured on such a machine, by phase and figure: Conduit 0.11 or tuwunel
 * 1.4.6, which answer before the disk has the event, beside Synapse on SQLite.
 */
export const FASTEST_OTHER: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  rooms: { p50Ms: 36 },
  'one-by-one': { p50Ms: 25 },
  'twenty-rooms': { perSecond: 15 },
  'one-room': { perSecond: 2.7 },
  'large-room': { p50Ms: 2.3 },
  delivery: { p95Ms: 8.7 },
  'first-sync': { p50Ms: 64 },
};

interface Target {
  readonly phase: string;
  readonly figure: string;
  /** So many times better than Synapse: more a second, or less of anything else. */
  readonly times: number;
}

/** Targets that hold warm and just after a start. */
const LOAD_TARGETS: readonly Target[] = [
  { phase: 'rooms', figure: 'p50Ms', times: 6 },
  { phase: 'one-by-one', figure: 'p50Ms', times: 10 },
  { phase: 'twenty-rooms', figure: 'perSecond', times: 15 },
  { phase: 'one-room', figure: 'perSecond', times: 15 },
  { phase: 'large-room', figure: 'p50Ms', times: 40 },
  { phase: 'large-room', figure: 'cpuMs', times: 40 },
  { phase: 'delivery', figure: 'p95Ms', times: 8 },
  { phase: 'first-sync', figure: 'p50Ms', times: 10 },
];

/** What Myelin sets out to reach beside Synapse, in one run on one machine. */
export const TARGETS: readonly Target[] = [
  { phase: 'twenty-rooms', figure: 'cpuMs', times: 15 },
  { phase: 'one-by-one', figure: 'cpuMs', times: 8 },
  { phase: 'start', figure: 'againMs', times: 2 },
  { phase: 'start', figure: 'idleMib', times: 1 },
  { phase: 'bytes', figure: 'perMessage', times: 8 },
  { phase: 'keys-query', figure: 'p50Ms', times: 4 },
  { phase: 'keys-claim', figure: 'p50Ms', times: 20 },
  { phase: 'keys-upload', figure: 'p50Ms', times: 6 },
  { phase: 'to-device', figure: 'perSecond', times: 12 },
  ...LOAD_TARGETS,
  ...LOAD_TARGETS.map((target) => ({ ...target, phase: `cold-${target.phase}` })),
];
