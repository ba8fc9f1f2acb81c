import { sql } from '#src/platform/database/sql.ts';
import type { Reader, RowOf, Table, Transaction } from '#src/platform/database/types.ts';

const columns = { room_num: 'bigint', user_num: 'bigint', event_num: 'bigint', server_name: 'text', state: 'text' } as const;
const outsideStates: Table<typeof columns> = { name: 'outside_states', columns, key: ['room_num', 'user_num'] };

/** What another server has told a user of a room that this server is not in. */
export type OutsideStateRow = RowOf<typeof columns>;

export const putOutsideState = (tx: Transaction, row: OutsideStateRow): void => tx.put(outsideStates, row);

export const readOutsideState = (reader: Reader, roomNum: number, userNum: number): Promise<OutsideStateRow | undefined> =>
  reader.one<OutsideStateRow>(sql`SELECT * FROM outside_states WHERE room_num = ${roomNum} AND user_num = ${userNum}`);

/** Forgets what users were told of rooms into which they are not invited any more, and on which they do not knock. */
export const sweepOutsideStates = (tx: Transaction): Promise<number> =>
  tx.run(sql`
    DELETE FROM outside_states WHERE NOT EXISTS (
      SELECT 1 FROM memberships AS held
      WHERE held.room_num = outside_states.room_num AND held.user_num = outside_states.user_num AND held.event_num = outside_states.event_num)`);

const untoldColumns = {
  room_num: 'bigint',
  user_num: 'bigint',
  event_num: 'bigint',
  servers: 'text',
  tries: 'bigint',
  retry_ts: 'bigint',
} as const;
const untoldLeaves: Table<typeof untoldColumns> = { name: 'untold_leaves', columns: untoldColumns, key: ['room_num', 'user_num'] };

/** A leave that no server of the room could be told of yet. */
export type UntoldLeaveRow = RowOf<typeof untoldColumns>;

export const putUntoldLeave = (tx: Transaction, row: UntoldLeaveRow): void => tx.put(untoldLeaves, row);

/** Those whose servers may be tried again now, the most urgent first. */
export const readUntoldLeaves = (reader: Reader, nowTs: number, limit: number): Promise<UntoldLeaveRow[]> =>
  reader.all<UntoldLeaveRow>(sql`SELECT * FROM untold_leaves WHERE retry_ts <= ${nowTs} ORDER BY retry_ts LIMIT ${limit}`);

export const deleteUntoldLeave = async (tx: Transaction, { room_num: roomNum, user_num: userNum }: UntoldLeaveRow): Promise<void> => {
  await tx.run(sql`DELETE FROM untold_leaves WHERE room_num = ${roomNum} AND user_num = ${userNum}`);
};
