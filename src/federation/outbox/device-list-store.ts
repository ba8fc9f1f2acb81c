import { sql } from '#src/platform/database/sql.ts';
import type { Reader, RowOf, Table, Transaction } from '#src/platform/database/types.ts';

const columns = { destination: 'text', user_num: 'bigint', told_position: 'bigint', last_id: 'bigint', is_waiting: 'bigint' } as const;
const table: Table<typeof columns> = { name: 'told_device_lists', columns, key: ['destination', 'user_num'] };

/** How far a server has been told of a user's devices. */
export type ToldRow = RowOf<typeof columns>;

export const putTold = (tx: Transaction, row: ToldRow): void => tx.put(table, row);

export const toldOfUser = (reader: Reader, userNum: number): Promise<ToldRow[]> =>
  reader.all<ToldRow>(sql`SELECT * FROM told_device_lists WHERE user_num = ${userNum}`);

export const waitingFor = (reader: Reader, destination: string, limit: number): Promise<ToldRow[]> =>
  reader.all<ToldRow>(
    sql`SELECT * FROM told_device_lists WHERE destination = ${destination} AND is_waiting = 1 ORDER BY user_num LIMIT ${limit}`,
  );

export const waitingDestinations = async (reader: Reader): Promise<string[]> =>
  (await reader.all<{ destination: string }>(sql`SELECT DISTINCT destination FROM told_device_lists WHERE is_waiting = 1`)).map(
    (row) => row.destination,
  );

export const deleteTold = async (tx: Transaction, userNum: number, destinations: readonly string[]): Promise<void> => {
  for (const destination of destinations)
    await tx.run(sql`DELETE FROM told_device_lists WHERE destination = ${destination} AND user_num = ${userNum}`);
};
