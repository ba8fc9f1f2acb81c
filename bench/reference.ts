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

interface Target {
  readonly phase: string;
  readonly figure: string;
  /** Myelin's figure divided by Synapse's must not exceed this. */
  readonly ratio: number;
}

/** What Myelin sets out to reach beside Synapse, in one run on one machine. */
export const TARGETS: readonly Target[] = [
  { phase: 'twenty-rooms', figure: 'cpuMs', ratio: 1 / 15 },
  { phase: 'one-by-one', figure: 'cpuMs', ratio: 1 / 8 },
  { phase: 'start', figure: 'againMs', ratio: 1 / 2 },
  { phase: 'start', figure: 'idleMib', ratio: 1 },
  { phase: 'bytes', figure: 'perMessage', ratio: 1 / 8 },
];
