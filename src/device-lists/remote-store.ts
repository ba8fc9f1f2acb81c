import { sql } from '#src/platform/database/sql.ts';
import type { Reader, RowOf, Table, Transaction } from '#src/platform/database/types.ts';

const columns = { user_num: 'bigint', last_id: 'text', is_stale: 'bigint' } as const;
const table: Table<typeof columns> = { name: 'remote_device_lists', columns, key: ['user_num'] };

/** Up to where the list of a user of another server is known. */
export type RemoteListRow = RowOf<typeof columns>;

export const readRemoteLists = (reader: Reader, userNums: readonly number[]): Promise<RemoteListRow[]> =>
  reader.all<RemoteListRow>(sql`SELECT user_num, last_id, is_stale FROM remote_device_lists WHERE user_num ${sql.in(userNums)}`);

export const putRemoteList = (tx: Transaction, row: RemoteListRow): void => tx.put(table, row);

export const deleteRemoteList = async (tx: Transaction, userNum: number): Promise<void> => {
  await tx.run(sql`DELETE FROM remote_device_lists WHERE user_num = ${userNum}`);
};

/** Lists are to be fetched anew. */
export const markStale = async (tx: Transaction, userNums: readonly number[]): Promise<void> => {
  await tx.run(sql`UPDATE remote_device_lists SET is_stale = 1 WHERE user_num ${sql.in(userNums)}`);
};

/** Those of a room's members are. */
export const markMembersStale = async (tx: Transaction, roomNum: number): Promise<void> => {
  await tx.run(sql`
    UPDATE remote_device_lists SET is_stale = 1
    WHERE user_num IN (SELECT m.user_num FROM memberships m WHERE m.room_num = ${roomNum} AND m.is_local = 0 AND m.membership = 'join')`);
};
