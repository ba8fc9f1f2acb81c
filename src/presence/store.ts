import { sql } from '#src/platform/database/sql.ts';
import type { Reader, RowOf, Table, Transaction } from '#src/platform/database/types.ts';

const columns = {
  user_num: 'bigint',
  state: 'text',
  last_active_ms: 'bigint',
  status_msg: 'text?',
  changed_ms: 'bigint',
} as const;
const table: Table<typeof columns> = { name: 'presence', columns, key: ['user_num'] };

export type PresenceRow = RowOf<typeof columns>;

export const putPresence = (tx: Transaction, row: PresenceRow): void => tx.put(table, row);

export const deletePresence = async (tx: Transaction, userNums: readonly number[]): Promise<void> => {
  await tx.run(sql`DELETE FROM presence WHERE user_num ${sql.in(userNums)}`);
};

/** Makes everybody offline, as a change at this position; answers how many were not. */
export const setAllOffline = async (tx: Transaction, position: number): Promise<number> =>
  tx.run(sql`UPDATE presence SET state = 'offline', status_msg = NULL, changed_ms = ${position} WHERE state <> 'offline'`);

/** The last position that was written; 0 when there is none. */
export const lastPosition = async (reader: Reader): Promise<number> =>
  (await reader.one<{ position: number | null }>(sql`SELECT MAX(changed_ms) AS position FROM presence`))?.position ?? 0;

export const readNotOffline = async (reader: Reader): Promise<PresenceRow[]> =>
  reader.all<PresenceRow>(sql`SELECT * FROM presence WHERE state <> 'offline'`);

export const readPresence = async (reader: Reader, userNums: readonly number[]): Promise<PresenceRow[]> =>
  reader.all<PresenceRow>(sql`SELECT * FROM presence WHERE user_num ${sql.in(userNums)}`);

/** The latest changes after a position. */
export const readChangedSince = async (reader: Reader, after: number, limit: number): Promise<PresenceRow[]> =>
  reader.all<PresenceRow>(sql`SELECT * FROM presence WHERE changed_ms > ${after} ORDER BY changed_ms DESC LIMIT ${limit}`);

// Who is in which room: reads of the table memberships (rooms/graph).

/** The rooms that users are in. */
export const joinedRoomsOf = async (
  reader: Reader,
  userNums: readonly number[],
): Promise<readonly { readonly user_num: number; readonly room_num: number }[]> =>
  reader.all(sql`SELECT user_num, room_num FROM memberships WHERE user_num ${sql.in(userNums)} AND membership = 'join'`);

/** Those of some rooms in which there are users of other servers. */
export const roomsWithOthers = async (reader: Reader, roomNums: readonly number[]): Promise<readonly { readonly room_num: number }[]> =>
  reader.all(sql`SELECT DISTINCT room_num FROM memberships WHERE room_num ${sql.in(roomNums)} AND membership = 'join' AND is_local = 0`);

/** Everybody who is in one of the rooms. */
export const membersOf = async (reader: Reader, roomNums: readonly number[]): Promise<readonly { readonly user_num: number }[]> =>
  reader.all(sql`SELECT DISTINCT user_num FROM memberships WHERE room_num ${sql.in(roomNums)} AND membership = 'join'`);
