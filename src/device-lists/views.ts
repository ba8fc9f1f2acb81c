import { sql } from '#src/platform/database/sql.ts';
import type { Reader } from '#src/platform/database/types.ts';

// Who shares rooms with whom: reads of the tables memberships, events and strings (rooms/graph, platform).

interface Row {
  readonly user_num: number;
}

const numsOf = (rows: readonly Row[]): number[] => rows.map((row) => row.user_num);

/** Those of the users who are in a room with somebody. */
export const sharersAmong = async (reader: Reader, userNum: number, candidates: readonly number[]): Promise<number[]> =>
  numsOf(
    await reader.all<Row>(sql`
      SELECT DISTINCT other.user_num FROM memberships mine
      JOIN memberships other ON other.room_num = mine.room_num AND other.membership = 'join'
      WHERE mine.user_num = ${userNum} AND mine.membership = 'join' AND other.user_num ${sql.in(candidates)}`),
  );

/** Everybody who is in one of the rooms. */
export const membersOf = async (reader: Reader, roomNums: readonly number[]): Promise<number[]> =>
  numsOf(
    await reader.all<Row>(sql`
      SELECT DISTINCT user_num FROM memberships WHERE room_num ${sql.in(roomNums)} AND membership = 'join'`),
  );

/** Those of some users who have more than one member event in a room with positions in (after, upTo]. */
export const membersOfSeveralEvents = async (
  reader: Reader,
  { roomNum, userNums, after, upTo }: { roomNum: number; userNums: readonly number[]; after: number; upTo: number },
): Promise<number[]> =>
  numsOf(
    await reader.all<Row>(sql`
      SELECT state_key_num AS user_num FROM events
      WHERE room_num = ${roomNum} AND stream_position > ${after} AND stream_position <= ${upTo} AND state_key_num ${sql.in(userNums)}
        AND type_num = (SELECT num FROM strings WHERE text = ${'m.room.member'})
      GROUP BY state_key_num HAVING COUNT(*) > 1`),
  );
