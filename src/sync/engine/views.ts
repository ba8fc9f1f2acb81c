import { sql } from '#src/platform/database/sql.ts';
import type { Reader } from '#src/platform/database/types.ts';

// Reads over many rooms at once, of the tables events, room_state_history and memberships (rooms/graph).

/** The numbers of the newest events of each room with positions in (after, upTo], oldest first; one more a room than `limit`, where there is one. */
export const newestOfRooms = async (
  reader: Reader,
  roomNums: readonly number[],
  after: number,
  upTo: number,
  limit: number,
): Promise<ReadonlyMap<number, number[]>> => {
  // The subquery finds where each room's newest begin by walking its index backwards; it never reads older rows. Its LIMIT, which takes
  // nothing away, keeps PostgreSQL from computing it anew for every event (26 seconds for 33 rooms with 20,000 events).
  const rows = await reader.all<{ room_num: number; event_num: number }>(sql`
    SELECT e.room_num, e.event_num FROM (
      SELECT r.room_num, (
        SELECT c.stream_position FROM events c
        WHERE c.room_num = r.room_num AND c.stream_position > ${after} AND c.stream_position <= ${upTo}
        ORDER BY c.stream_position DESC LIMIT 1 OFFSET ${limit}
      ) AS cut FROM rooms r WHERE r.room_num ${sql.in(roomNums)} LIMIT ${roomNums.length}
    ) w JOIN events e ON e.room_num = w.room_num AND e.stream_position >= COALESCE(w.cut, ${after + 1}) AND e.stream_position <= ${upTo}
    ORDER BY e.stream_position`);
  const byRoom = new Map<number, number[]>();
  for (const row of rows) {
    const nums = byRoom.get(row.room_num) ?? [];
    nums.push(row.event_num);
    byRoom.set(row.room_num, nums);
  }
  return byRoom;
};

/** The numbers of the oldest events of all these rooms together with positions in (after, upTo], oldest first. */
export const oldestOfRooms = async (
  reader: Reader,
  roomNums: readonly number[],
  after: number,
  upTo: number,
  limit: number,
): Promise<number[]> => {
  // As above: no more than `limit` events of each room are read, however far back `after` lies.
  const rows = await reader.all<{ event_num: number }>(sql`
    SELECT e.event_num FROM (
      SELECT r.room_num, (
        SELECT c.stream_position FROM events c
        WHERE c.room_num = r.room_num AND c.stream_position > ${after} AND c.stream_position <= ${upTo}
        ORDER BY c.stream_position LIMIT 1 OFFSET ${limit - 1}
      ) AS cut FROM rooms r WHERE r.room_num ${sql.in(roomNums)} LIMIT ${roomNums.length}
    ) w JOIN events e ON e.room_num = w.room_num AND e.stream_position > ${after} AND e.stream_position <= COALESCE(w.cut, ${upTo})
    ORDER BY e.stream_position LIMIT ${limit}`);
  return rows.map((row) => row.event_num);
};

/** Those of the rooms in which there are events with positions in (after, upTo]. */
export const roomsWithEvents = async (reader: Reader, roomNums: readonly number[], after: number, upTo: number): Promise<Set<number>> => {
  const rows = await reader.all<{ room_num: number }>(sql`
    SELECT r.room_num FROM rooms r WHERE r.room_num ${sql.in(roomNums)} AND (EXISTS (
      SELECT 1 FROM events e WHERE e.room_num = r.room_num AND e.stream_position > ${after} AND e.stream_position <= ${upTo}
    ) OR EXISTS (
      SELECT 1 FROM room_state_history h WHERE h.room_num = r.room_num AND h.stream_position > ${after} AND h.stream_position <= ${upTo}))`);
  return new Set(rows.map((row) => row.room_num));
};

/** How many are joined and invited in each room. */
export const memberCounts = async (
  reader: Reader,
  roomNums: readonly number[],
): Promise<ReadonlyMap<number, { joined: number; invited: number }>> => {
  const rows = await reader.all<{ room_num: number; joined: number; invited: number }>(sql`
    SELECT room_num, SUM(CASE WHEN membership = 'join' THEN 1 ELSE 0 END) AS joined,
      SUM(CASE WHEN membership = 'invite' THEN 1 ELSE 0 END) AS invited
    FROM memberships WHERE room_num ${sql.in(roomNums)} GROUP BY room_num`);
  return new Map(rows.map((row) => [row.room_num, { joined: row.joined, invited: row.invited }]));
};

/** The first members of a room: those who are in it or invited, else those who were, in the order in which they came. */
export const firstMembers = async (reader: Reader, roomNum: number, limit: number): Promise<{ present: number[]; gone: number[] }> => {
  const ofKind = async (isPresent: boolean): Promise<number[]> => {
    const kinds = isPresent ? ['join', 'invite'] : ['leave', 'ban'];
    const rows = await reader.all<{ user_num: number }>(sql`
      SELECT user_num FROM memberships WHERE room_num = ${roomNum} AND membership ${sql.in(kinds)} ORDER BY event_num LIMIT ${limit}`);
    return rows.map((row) => row.user_num);
  };
  const present = await ofKind(true);
  return { present, gone: present.length > 1 ? [] : await ofKind(false) };
};
