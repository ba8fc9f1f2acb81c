import { sql } from '#src/platform/database/sql.ts';
import type { Reader, RowOf, Table, Transaction } from '#src/platform/database/types.ts';

const columns = { room_num: 'bigint', user_num: 'bigint', event_num: 'bigint', server_name: 'text', state: 'text' } as const;
const outsideStates: Table<typeof columns> = { name: 'outside_states', columns, key: ['room_num', 'user_num'] };

/** What another server has told a user of a room that this server is not in. */
export type OutsideStateRow = RowOf<typeof columns>;

export const putOutsideState = (tx: Transaction, row: OutsideStateRow): void => tx.put(outsideStates, row);

export const readOutsideState = (reader: Reader, roomNum: number, userNum: number): Promise<OutsideStateRow | undefined> =>
  reader.one<OutsideStateRow>(sql`SELECT * FROM outside_states WHERE room_num = ${roomNum} AND user_num = ${userNum}`);
