import { sql } from '#src/platform/database/sql.ts';
import type { Reader, RowOf, Table, Transaction } from '#src/platform/database/types.ts';

const columns = {
  room_num: 'bigint',
  user_num: 'bigint',
  receipt_type: 'text',
  thread_id: 'text',
  event_id: 'text',
  event_position: 'bigint',
  received_ts: 'bigint',
  stream_position: 'bigint',
} as const;
const table: Table<typeof columns> = { name: 'receipts', columns, key: ['room_num', 'user_num', 'receipt_type', 'thread_id'] };

export type ReceiptRow = RowOf<typeof columns>;

export const putReceipt = (tx: Transaction, row: ReceiptRow): void => tx.put(table, row);

/** Where the event of a receipt stands; undefined when there is no such receipt. */
export const receiptPosition = async (
  reader: Reader,
  key: Pick<ReceiptRow, 'room_num' | 'user_num' | 'receipt_type' | 'thread_id'>,
): Promise<number | undefined> => {
  const row = await reader.one<{ event_position: number }>(sql`
    SELECT event_position FROM receipts WHERE room_num = ${key.room_num} AND user_num = ${key.user_num}
      AND receipt_type = ${key.receipt_type} AND thread_id = ${key.thread_id}`);
  return row?.event_position;
};

/** The receipts of some rooms that came last at a position in (after, upTo], in that order. */
export const readReceipts = async (reader: Reader, roomNums: readonly number[], after: number, upTo: number): Promise<ReceiptRow[]> =>
  reader.all<ReceiptRow>(sql`
    SELECT * FROM receipts WHERE room_num ${sql.in(roomNums)} AND stream_position > ${after} AND stream_position <= ${upTo}
    ORDER BY stream_position`);

/** Up to where a user has read rooms: for each thread the furthest of both kinds of receipt. */
export const readMarksOf = async (
  reader: Reader,
  userNum: number,
  roomNums: readonly number[],
): Promise<{ readonly room_num: number; readonly thread_id: string; readonly position: number }[]> =>
  reader.all(sql`
    SELECT room_num, thread_id, MAX(event_position) AS position FROM receipts
    WHERE room_num ${sql.in(roomNums)} AND user_num = ${userNum} AND receipt_type IN ('m.read', 'm.read.private')
    GROUP BY room_num, thread_id`);
