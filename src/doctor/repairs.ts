import { sql } from '#src/platform/database/sql.ts';
import type { Transaction } from '#src/platform/database/types.ts';
import type { ChangeRow, EventRow, StateChangeRow } from '#src/doctor/views.ts';

/** SQL that writes derived rows anew. Each runs in a transaction, while no server is at work. */

export type Columns = Pick<EventRow, 'type_num' | 'sender_num' | 'state_key_num' | 'origin_server_ts' | 'depth'>;

export const rewriteColumns = async (tx: Transaction, eventNum: number, columns: Columns): Promise<void> => {
  await tx.run(sql`
    UPDATE events SET type_num = ${columns.type_num}, sender_num = ${columns.sender_num}, state_key_num = ${columns.state_key_num},
      origin_server_ts = ${columns.origin_server_ts}, depth = ${columns.depth}
    WHERE event_num = ${eventNum}`);
};

export const rewriteAuthEdges = async (tx: Transaction, eventNum: number, authNums: readonly number[]): Promise<void> => {
  await tx.run(sql`DELETE FROM event_auth WHERE event_num = ${eventNum}`);
  for (const authNum of authNums) await tx.run(sql`INSERT INTO event_auth (event_num, auth_num) VALUES (${eventNum}, ${authNum})`);
};

export const rewriteHead = async (tx: Transaction, roomNum: number, extremities: readonly number[], root: string): Promise<void> => {
  await tx.run(sql`
    INSERT INTO room_heads (room_num, forward_extremities, current_root) VALUES (${roomNum}, ${JSON.stringify(extremities)}, ${root})
    ON CONFLICT (room_num) DO UPDATE SET forward_extremities = EXCLUDED.forward_extremities, current_root = EXCLUDED.current_root`);
};

/** Makes these the only changes of a room's current state. */
export const rewriteHistory = async (tx: Transaction, roomNum: number, changes: readonly StateChangeRow[]): Promise<void> => {
  await tx.run(sql`DELETE FROM room_state_history WHERE room_num = ${roomNum}`);
  for (const change of changes) await putHistory(tx, roomNum, change);
};

export const putHistory = async (tx: Transaction, roomNum: number, { stream_position: position, current_root: root }: StateChangeRow) => {
  await tx.run(sql`
    INSERT INTO room_state_history (room_num, stream_position, current_root) VALUES (${roomNum}, ${position}, ${root})
    ON CONFLICT (room_num, stream_position) DO UPDATE SET current_root = EXCLUDED.current_root`);
};

/** A user's membership as the current state has it. */
export interface TrueMembership {
  readonly userNum: number;
  readonly membership: string;
  readonly eventNum: number;
  readonly isLocal: boolean;
}

/** Writes a membership anew; that the user has forgotten the room still holds for the same event. */
export const rewriteMembership = async (tx: Transaction, roomNum: number, row: TrueMembership): Promise<void> => {
  await tx.run(sql`
    INSERT INTO memberships (room_num, user_num, membership, event_num, is_local, forgotten)
    VALUES (${roomNum}, ${row.userNum}, ${row.membership}, ${row.eventNum}, ${row.isLocal ? 1 : 0}, 0)
    ON CONFLICT (room_num, user_num) DO UPDATE SET membership = EXCLUDED.membership, event_num = EXCLUDED.event_num,
      is_local = EXCLUDED.is_local,
      forgotten = CASE WHEN memberships.event_num = EXCLUDED.event_num THEN memberships.forgotten ELSE 0 END`);
};

/** Whom the current state does not know has left. */
export const leaveUnknown = async (tx: Transaction, roomNum: number, userNum: number): Promise<void> => {
  await tx.run(sql`UPDATE memberships SET membership = 'leave' WHERE room_num = ${roomNum} AND user_num = ${userNum}`);
};

export const setRedactedBy = async (tx: Transaction, eventNum: number, redactionNum: number | null): Promise<void> => {
  await tx.run(sql`UPDATE events SET redacted_by = ${redactionNum} WHERE event_num = ${eventNum}`);
};

/** What is given out from now on begins above `used`. */
export const raiseNumbering = async (tx: Transaction, stream: string, used: number): Promise<void> => {
  await tx.run(sql`UPDATE stream_positions SET position = ${used} WHERE stream = ${stream} AND position < ${used}`);
};

/** Makes these the changes of memberships in a room that there are, in place of those. */
export const rewriteChanges = async (
  tx: Transaction,
  roomNum: number,
  wrong: readonly ChangeRow[],
  right: readonly ChangeRow[],
): Promise<void> => {
  for (const { user_num: userNum, stream_position: position } of wrong)
    await tx.run(
      sql`DELETE FROM membership_changes WHERE user_num = ${userNum} AND stream_position = ${position} AND room_num = ${roomNum}`,
    );
  for (const row of right)
    await tx.run(sql`
      INSERT INTO membership_changes (user_num, stream_position, room_num, event_num, membership)
      VALUES (${row.user_num}, ${row.stream_position}, ${roomNum}, ${row.event_num}, ${row.membership})
      ON CONFLICT (user_num, stream_position) DO UPDATE SET
        room_num = EXCLUDED.room_num, event_num = EXCLUDED.event_num, membership = EXCLUDED.membership`);
};
