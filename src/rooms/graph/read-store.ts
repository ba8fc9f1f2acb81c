import { type Sql, sql } from '#src/platform/database/sql.ts';
import type { Reader } from '#src/platform/database/types.ts';
import type { EventRow, MembershipRow } from '#src/rooms/graph/store.ts';

/** Rows of events by number, in no order. */
export const eventRows = async (reader: Reader, nums: readonly number[]): Promise<EventRow[]> =>
  reader.all(sql`SELECT * FROM events WHERE event_num ${sql.in(nums)}`);

export const eventNumsById = async (reader: Reader, eventIds: readonly string[]): Promise<ReadonlyMap<string, number>> => {
  const rows = await reader.all<{ event_id: string; event_num: number }>(
    sql`SELECT event_id, event_num FROM events WHERE event_id ${sql.in(eventIds)}`,
  );
  return new Map(rows.map((row) => [row.event_id, row.event_num]));
};

/** Live events of all rooms after `from` up to `to` (both live positions), oldest first. */
export const eventNumsBetween = async (
  reader: Reader,
  from: number,
  to: number,
  limit: number,
): Promise<{ event_num: number; stream_position: number }[]> =>
  reader.all(
    sql`SELECT event_num, stream_position FROM events WHERE stream_position > ${from} AND stream_position <= ${to}
        ORDER BY stream_position LIMIT ${limit}`,
  );

const nums = async (reader: Reader, query: Sql): Promise<number[]> =>
  (await reader.all<{ event_num: number }>(query)).map((row) => row.event_num);

/** Events of a room with positions in (after, upTo], newest first. */
export const roomEventNumsNewest = async (reader: Reader, roomNum: number, after: number, upTo: number, limit: number): Promise<number[]> =>
  nums(
    reader,
    sql`SELECT event_num FROM events WHERE room_num = ${roomNum} AND stream_position > ${after} AND stream_position <= ${upTo}
        ORDER BY stream_position DESC LIMIT ${limit}`,
  );

/** Events of a room that came after one, in the order of coming. */
export const eventNumsAfter = async (reader: Reader, roomNum: number, eventNum: number, limit: number): Promise<number[]> =>
  nums(reader, sql`SELECT event_num FROM events WHERE room_num = ${roomNum} AND event_num > ${eventNum} ORDER BY event_num LIMIT ${limit}`);

/** A place in a room's history: between events, ordered by depth and then position. */
export interface HistoryPoint {
  readonly depth: number;
  readonly position: number;
}

/** Events of a room before a place in its history, newest first; `floor` is the lowest position to give (inclusive; backfilled events lie below 0). */
export const roomEventNumsBackwards = async (reader: Reader, roomNum: number, point: HistoryPoint, limit: number): Promise<number[]> =>
  nums(
    reader,
    sql`SELECT event_num FROM events WHERE room_num = ${roomNum} AND stream_position IS NOT NULL
          AND (depth < ${point.depth} OR (depth = ${point.depth} AND stream_position <= ${point.position}))
        ORDER BY depth DESC, stream_position DESC LIMIT ${limit}`,
  );

/** Events of a room after a place in its history, oldest first. */
export const roomEventNumsForwards = async (reader: Reader, roomNum: number, point: HistoryPoint, limit: number): Promise<number[]> =>
  nums(
    reader,
    sql`SELECT event_num FROM events WHERE room_num = ${roomNum} AND stream_position IS NOT NULL
          AND (depth > ${point.depth} OR (depth = ${point.depth} AND stream_position > ${point.position}))
        ORDER BY depth, stream_position LIMIT ${limit}`,
  );

/** A place in a room's history by the times that its events claim: between events, ordered by time, depth and position. */
export interface TimePoint extends HistoryPoint {
  /** Milliseconds. */
  readonly ts: number;
}

/** Events of a room after a place by time, or before it, the nearest first. */
export const roomEventNumsByTime = async (
  reader: Reader,
  roomNum: number,
  direction: 'b' | 'f',
  { ts, depth, position }: TimePoint,
  limit: number,
): Promise<number[]> =>
  nums(
    reader,
    direction === 'f'
      ? sql`SELECT event_num FROM events WHERE room_num = ${roomNum} AND stream_position IS NOT NULL
              AND (origin_server_ts, depth, stream_position) > (${ts}, ${depth}, ${position})
            ORDER BY origin_server_ts, depth, stream_position LIMIT ${limit}`
      : sql`SELECT event_num FROM events WHERE room_num = ${roomNum} AND stream_position IS NOT NULL
              AND (origin_server_ts, depth, stream_position) < (${ts}, ${depth}, ${position})
            ORDER BY origin_server_ts DESC, depth DESC, stream_position DESC LIMIT ${limit}`,
  );

/** Which events are missing that events of the timeline follow, those of the deepest first; with the depth and the sender of the event that follows. Costs what is missing in the room. */
export const gapsBetween = async (
  reader: Reader,
  roomNum: number,
  after: number,
  upTo: number,
  limit: number,
): Promise<{ missing_event_id: string; depth: number; sender_num: number }[]> =>
  reader.all(sql`
    SELECT m.missing_event_id, e.depth, e.sender_num FROM missing_events m JOIN events e ON e.event_num = m.event_num
    WHERE m.room_num = ${roomNum} AND m.is_auth = 0 AND e.depth > ${after} AND e.depth <= ${upTo} AND e.stream_position IS NOT NULL
    ORDER BY e.depth DESC, m.missing_event_id LIMIT ${limit}`);

interface RawMembership {
  readonly room_num: number;
  readonly user_num: number;
  readonly membership: string;
  readonly event_num: number;
  readonly is_local: number;
  readonly forgotten: number;
}

const membership = (row: RawMembership): MembershipRow => ({
  roomNum: row.room_num,
  userNum: row.user_num,
  membership: row.membership,
  eventNum: row.event_num,
  isLocal: row.is_local === 1,
  forgotten: row.forgotten === 1,
});

export const membershipsOfUser = async (reader: Reader, userNum: number): Promise<MembershipRow[]> =>
  (await reader.all<RawMembership>(sql`SELECT * FROM memberships WHERE user_num = ${userNum}`)).map(membership);

export const membershipsOfRoom = async (reader: Reader, roomNum: number): Promise<MembershipRow[]> =>
  (await reader.all<RawMembership>(sql`SELECT * FROM memberships WHERE room_num = ${roomNum}`)).map(membership);

/** Whether somebody is invited to a room whose id ends in the name of a server. */
export const isServerInvited = async (reader: Reader, roomNum: number, serverName: string): Promise<boolean> => {
  const ending = `:${serverName}`;
  const row = await reader.one(sql`
    SELECT m.user_num FROM memberships m JOIN strings s ON s.num = m.user_num
    WHERE m.room_num = ${roomNum} AND m.membership = 'invite' AND SUBSTR(s.text, LENGTH(s.text) - ${ending.length - 1}) = ${ending} LIMIT 1`);
  return row !== undefined;
};

/** Rooms that users of a server have joined; reads all memberships. */
export const roomsOfServer = (serverName: string): Sql => {
  const ending = `:${serverName}`;
  return sql`
    SELECT DISTINCT m.room_num FROM memberships m JOIN strings s ON s.num = m.user_num
    WHERE m.membership = 'join' AND SUBSTR(s.text, LENGTH(s.text) - ${ending.length - 1}) = ${ending} ORDER BY m.room_num`;
};

/** Those members of a room who have this membership. */
export const membershipsOfKind = async (reader: Reader, roomNum: number, kind: string): Promise<MembershipRow[]> =>
  (await reader.all<RawMembership>(sql`SELECT * FROM memberships WHERE room_num = ${roomNum} AND membership = ${kind}`)).map(membership);

/** How many members of a room have each membership. */
export const membershipCounts = async (reader: Reader, roomNum: number): Promise<ReadonlyMap<string, number>> => {
  const rows = await reader.all<{ membership: string; count: number }>(
    sql`SELECT membership, COUNT(*) AS count FROM memberships WHERE room_num = ${roomNum} GROUP BY membership`,
  );
  return new Map(rows.map((row) => [row.membership, row.count]));
};

/** One change of a local user's membership of a room. */
export interface MembershipChange {
  readonly room_num: number;
  readonly event_num: number;
  readonly membership: string;
  readonly stream_position: number;
}

/** Changes of a user's memberships with positions in (after, upTo], oldest first. */
export const membershipChangesOf = async (reader: Reader, userNum: number, after: number, upTo: number): Promise<MembershipChange[]> =>
  reader.all(
    sql`SELECT room_num, event_num, membership, stream_position FROM membership_changes
        WHERE user_num = ${userNum} AND stream_position > ${after} AND stream_position <= ${upTo} ORDER BY stream_position`,
  );

/** Users of this server who are in a room, by number. */
export const localMembers = async (reader: Reader, roomNum: number, limit: number): Promise<number[]> => {
  const rows = await reader.all<{ user_num: number }>(
    sql`SELECT user_num FROM memberships WHERE room_num = ${roomNum} AND is_local = 1 AND membership = 'join' ORDER BY user_num LIMIT ${limit}`,
  );
  return rows.map((row) => row.user_num);
};

/** Rooms with more than so many forward extremities, those with the most first. */
export const roomsWithManyEnds = async (reader: Reader, moreThan: number, except: readonly number[], limit: number): Promise<number[]> => {
  // A list of n numbers has n - 1 commas.
  const rows = await reader.all<{ room_num: number }>(sql`
    SELECT room_num FROM (
      SELECT room_num, LENGTH(forward_extremities) - LENGTH(REPLACE(forward_extremities, ',', '')) + 1 AS ends FROM room_heads
    ) AS counted
    WHERE ends > ${moreThan} ORDER BY ends DESC, room_num LIMIT ${limit + except.length}`);
  return rows
    .map((row) => row.room_num)
    .filter((num) => !except.includes(num))
    .slice(0, limit);
};
