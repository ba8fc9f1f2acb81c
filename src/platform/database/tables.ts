import type { Table } from '#src/platform/database/types.ts';

export const positionsTable = {
  name: 'stream_positions',
  columns: { stream: 'text', writer: 'text', position: 'bigint' },
  key: ['stream', 'writer'],
} as const satisfies Table<Record<string, 'text' | 'bigint'>>;

/**
 * Not a stream: in its row of `stream_positions` each group on PostgreSQL leaves a number of its own, which tells after a lost
 * connection whether the group was committed.
 */
export const COMMIT_MARKER = '$commit';
