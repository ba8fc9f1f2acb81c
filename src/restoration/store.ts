import { sql } from '#src/platform/database/sql.ts';
import type { Reader, RowOf, Transaction } from '#src/platform/database/types.ts';

const lostStretches = {
  name: 'lost_stretches',
  columns: { stream: 'text', after_position: 'bigint', before_position: 'bigint' },
  key: ['stream', 'after_position'],
} as const;

export type LostStretch = RowOf<typeof lostStretches.columns>;

export const putLostStretch = (tx: Transaction, row: LostStretch): void => tx.put(lostStretches, row);

export const readLostStretches = (reader: Reader): Promise<LostStretch[]> =>
  reader.all<LostStretch>(sql`SELECT stream, after_position, before_position FROM lost_stretches`);
