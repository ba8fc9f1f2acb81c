import { sql } from '#src/platform/database/sql.ts';
import type { Reader, RowOf, Table, Transaction } from '#src/platform/database/types.ts';

const columns = { server_name: 'text', failing_since_ts: 'bigint', last_tried_ts: 'bigint', retry_interval_ms: 'bigint' } as const;
const table: Table<typeof columns> = { name: 'unreachable_servers', columns, key: ['server_name'] };

export type UnreachableRow = RowOf<typeof columns>;

/** All servers that are being left alone, or were when they were last tried. */
export const readUnreachable = (reader: Reader): Promise<UnreachableRow[]> =>
  reader.all<UnreachableRow>(sql`SELECT * FROM unreachable_servers`);

export const putUnreachable = (tx: Transaction, row: UnreachableRow): void => tx.put(table, row);

export const deleteUnreachable = async (tx: Transaction, serverName: string): Promise<void> => {
  await tx.run(sql`DELETE FROM unreachable_servers WHERE server_name = ${serverName}`);
};
