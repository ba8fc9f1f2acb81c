import { sql } from '#src/platform/database/sql.ts';
import type { Reader } from '#src/platform/database/types.ts';

// Reads of the tables rooms, room_heads and memberships (rooms/graph) beside this slice's published_rooms.

/** A published room, and the root of its current state. */
export interface PublishedRow {
  readonly room_num: number;
  readonly room_id: string;
  readonly room_version: string;
  readonly current_root: string;
}

export const publishedRooms = (reader: Reader): Promise<PublishedRow[]> =>
  reader.all<PublishedRow>(sql`
    SELECT r.room_num, r.room_id, r.room_version, h.current_root FROM published_rooms p
    JOIN rooms r ON r.room_num = p.room_num JOIN room_heads h ON h.room_num = p.room_num`);

/** How many are in each of the rooms; rooms that everybody has left are not there. */
export const joinedCounts = async (reader: Reader, roomNums: readonly number[]): Promise<ReadonlyMap<number, number>> => {
  const rows = await reader.all<{ room_num: number; joined: number }>(sql`
    SELECT room_num, COUNT(*) AS joined FROM memberships WHERE room_num ${sql.in(roomNums)} AND membership = 'join' GROUP BY room_num`);
  return new Map(rows.map((row) => [row.room_num, row.joined]));
};
