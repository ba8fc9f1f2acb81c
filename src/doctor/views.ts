import { sql } from '#src/platform/database/sql.ts';
import { parseStoredPdu } from '#src/protocol/events.ts';
import { AUTH_GENERATIONS_UPDATE, isRejected } from '#src/rooms/graph/index.ts';
import type { Reader } from '#src/platform/database/types.ts';

/** Read-only SQL over the tables of rooms: `rooms`, `room_heads`, `events`, `event_auth`, `state_nodes`, `memberships`, and what hangs on rooms. */

export interface RoomRow {
  readonly room_num: number;
  readonly room_id: string;
  readonly room_version: string;
}

export interface EventRow {
  readonly event_num: number;
  readonly event_id: string;
  readonly type_num: number;
  readonly sender_num: number;
  readonly state_key_num: number | null;
  readonly depth: number;
  readonly stream_position: number | null;
  readonly state_root: string | null;
  readonly facts: number;
  readonly redacted_by: number | null;
  readonly origin_server_ts: number;
  readonly json: string;
}

export const roomsAfter = async (reader: Reader, after: number, limit: number): Promise<RoomRow[]> =>
  reader.all(sql`SELECT room_num, room_id, room_version FROM rooms WHERE room_num > ${after} ORDER BY room_num LIMIT ${limit}`);

export const roomById = async (reader: Reader, roomId: string): Promise<RoomRow | undefined> =>
  reader.one(sql`SELECT room_num, room_id, room_version FROM rooms WHERE room_id = ${roomId}`);

/** A room's events that have a place in the timeline, by position. */
export const placedEvents = async (reader: Reader, roomNum: number, after: number, limit: number): Promise<EventRow[]> =>
  reader.all(sql`SELECT * FROM events WHERE room_num = ${roomNum} AND stream_position > ${after} ORDER BY stream_position LIMIT ${limit}`);

/** A room's events that have none: rejected, soft-failed, outliers. */
export const unplacedEvents = async (reader: Reader, roomNum: number, after: number, limit: number): Promise<EventRow[]> =>
  reader.all(
    sql`SELECT * FROM events WHERE room_num = ${roomNum} AND stream_position IS NULL AND event_num > ${after}
        ORDER BY event_num LIMIT ${limit}`,
  );

/** One event of a room. */
export const eventById = async (reader: Reader, roomNum: number, eventId: string): Promise<EventRow | undefined> =>
  reader.one(sql`SELECT * FROM events WHERE event_id = ${eventId} AND room_num = ${roomNum}`);

/** What other events are asked for: where they are, and what became of them. */
export interface CitedRow {
  readonly event_num: number;
  readonly event_id: string;
  readonly room_num: number;
  readonly state_root: string | null;
  readonly facts: number;
  readonly redacted_by: number | null;
  readonly json: string;
}

export const eventsById = async (reader: Reader, eventIds: readonly string[]): Promise<CitedRow[]> =>
  reader.all(
    sql`SELECT event_num, event_id, room_num, state_root, facts, redacted_by, json FROM events WHERE event_id ${sql.in(eventIds)}`,
  );

export const eventsByNum = async (reader: Reader, nums: readonly number[]): Promise<CitedRow[]> =>
  reader.all(sql`SELECT event_num, event_id, room_num, state_root, facts, redacted_by, json FROM events WHERE event_num ${sql.in(nums)}`);

/** Whether a row of the members' tables says what an event says that has no state: what became of a user of this server in a room that this server was not in. */
export const isToldFromOutside = (event: CitedRow | undefined, membership: string): boolean =>
  event?.state_root === null && !isRejected(event) && parseStoredPdu(event.json).content.membership === membership;

export const authEdges = async (reader: Reader, nums: readonly number[]): Promise<{ event_num: number; auth_num: number }[]> =>
  reader.all(sql`SELECT event_num, auth_num FROM event_auth WHERE event_num ${sql.in(nums)}`);

/** What some of a room's events cite and is known not to be here. */
export const missingEvents = async (
  reader: Reader,
  roomNum: number,
  nums: readonly number[],
): Promise<{ event_num: number; missing_event_id: string }[]> =>
  reader.all(sql`SELECT event_num, missing_event_id FROM missing_events WHERE room_num = ${roomNum} AND event_num ${sql.in(nums)}`);

/** Whether the index of auth chains is complete: not while events from before there was one get their places in it. */
export const isIndexed = async (reader: Reader): Promise<boolean> =>
  (await reader.one(sql`SELECT name FROM background_updates WHERE name = ${AUTH_GENERATIONS_UPDATE}`)) === undefined;

export const headRow = async (
  reader: Reader,
  roomNum: number,
): Promise<{ forward_extremities: string; current_root: string } | undefined> =>
  reader.one(sql`SELECT forward_extremities, current_root FROM room_heads WHERE room_num = ${roomNum}`);

export const nodesAfter = async (
  reader: Reader,
  roomNum: number,
  after: string,
  limit: number,
): Promise<{ node_id: string; data: Uint8Array }[]> =>
  reader.all(sql`SELECT node_id, data FROM state_nodes WHERE room_num = ${roomNum} AND node_id > ${after} ORDER BY node_id LIMIT ${limit}`);

export const membershipsAfter = async (
  reader: Reader,
  roomNum: number,
  after: number,
  limit: number,
): Promise<{ user_num: number; membership: string; event_num: number }[]> =>
  reader.all(
    sql`SELECT user_num, membership, event_num FROM memberships WHERE room_num = ${roomNum} AND user_num > ${after} ORDER BY user_num LIMIT ${limit}`,
  );

/** How far the numbers in use have come, and how far they were given out. */
export const numbering = async (reader: Reader): Promise<readonly { name: string; used: number; given: number }[]> => {
  const given = await reader.all<{ stream: string; position: number }>(
    sql`SELECT stream, MAX(position) AS position FROM stream_positions GROUP BY stream`,
  );
  const last = async (query: ReturnType<typeof sql>): Promise<number> => (await reader.one<{ last: number | null }>(query))?.last ?? 0;
  const used = [
    ['events', await last(sql`SELECT MAX(stream_position) AS last FROM events`)],
    ['event_numbers', await last(sql`SELECT MAX(event_num) AS last FROM events`)],
    ['room_numbers', await last(sql`SELECT MAX(room_num) AS last FROM rooms`)],
  ] as const;
  const positions = new Map(given.map(({ stream, position }) => [stream, position]));
  return used.map(([name, number]) => ({ name, used: number, given: positions.get(name) ?? 0 }));
};

/** From a position on, a room's current state. */
export interface StateChangeRow {
  readonly stream_position: number;
  readonly current_root: string;
}

export const stateHistory = async (reader: Reader, roomNum: number, after: number, limit: number): Promise<StateChangeRow[]> =>
  reader.all(
    sql`SELECT stream_position, current_root FROM room_state_history WHERE room_num = ${roomNum} AND stream_position > ${after}
        ORDER BY stream_position LIMIT ${limit}`,
  );

export const lastStateChange = async (reader: Reader, roomNum: number): Promise<StateChangeRow | undefined> =>
  reader.one(
    sql`SELECT stream_position, current_root FROM room_state_history WHERE room_num = ${roomNum} ORDER BY stream_position DESC LIMIT 1`,
  );

/** One change of a user's membership of a room. */
export interface ChangeRow {
  readonly user_num: number;
  readonly stream_position: number;
  readonly event_num: number;
  readonly membership: string;
}

/** The changes of some users' memberships of a room, up to a position. */
export const membershipChanges = async (reader: Reader, roomNum: number, userNums: readonly number[], upTo: number): Promise<ChangeRow[]> =>
  reader.all(
    sql`SELECT user_num, stream_position, event_num, membership FROM membership_changes
        WHERE user_num ${sql.in(userNums)} AND room_num = ${roomNum} AND stream_position <= ${upTo}`,
  );

/** The users of this server who are or were something in a room. */
export const localUsers = async (reader: Reader, roomNum: number): Promise<number[]> => {
  const rows = await reader.all<{ user_num: number }>(sql`SELECT user_num FROM memberships WHERE room_num = ${roomNum} AND is_local = 1`);
  return rows.map((row) => row.user_num);
};
