import { sql } from '#src/platform/database/sql.ts';
import type { Reader, RowOf, Table, Transaction } from '#src/platform/database/types.ts';

const columns = { user_num: 'bigint', room_num: 'bigint', data_type: 'text', content: 'text', stream_position: 'bigint' } as const;
const table: Table<typeof columns> = { name: 'account_data', columns, key: ['user_num', 'room_num', 'data_type'] };

/** The room number of what belongs to no room. */
export const NO_ROOM = 0;

export type DataRow = RowOf<typeof columns>;

export const putData = (tx: Transaction, row: DataRow): void => tx.put(table, row);

/** The JSON of one entry. */
export const readData = async (reader: Reader, userNum: number, roomNum: number, type: string): Promise<string | undefined> => {
  const row = await reader.one<{ content: string }>(sql`
    SELECT content FROM account_data WHERE user_num = ${userNum} AND room_num = ${roomNum} AND data_type = ${type}`);
  return row?.content;
};

/** A user's entries that changed last at a position in (after, upTo], in that order. */
export const readChanges = async (reader: Reader, userNum: number, after: number, upTo: number): Promise<DataRow[]> =>
  reader.all<DataRow>(sql`
    SELECT user_num, room_num, data_type, content, stream_position FROM account_data
    WHERE user_num = ${userNum} AND stream_position > ${after} AND stream_position <= ${upTo} ORDER BY stream_position`);

export const deleteData = async (tx: Transaction, userNum: number): Promise<void> => {
  await tx.run(sql`DELETE FROM account_data WHERE user_num = ${userNum}`);
};
