import { sql } from '#src/platform/database/sql.ts';
import type { Reader, Transaction } from '#src/platform/database/types.ts';

/** A series of running counts, and the place that it has come to by its rows; null when there are none. */
export interface SeriesPlace {
  readonly sender_num: number;
  readonly thread_num: number;
  readonly position: number | null;
}

/** What does not agree in what a room's unread counts are made of. */
export interface CountingFaults {
  /** Members for whom nothing is counted, with their member events. */
  readonly missing: readonly { readonly user_num: number; readonly stream_position: number | null; readonly json: string }[];
  /** Users who are no members, and for whom something is kept. */
  readonly surplus: readonly number[];
  /** Series of running counts that have come to another place than is written down. */
  readonly series: readonly SeriesPlace[];
}

/** Compares what unread counts are made of with the room's members of this server, and the last place of each series with its rows. */
export const verifyCounting = async (reader: Reader, roomNum: number): Promise<CountingFaults> => {
  const surplus = await reader.all<{ user_num: number }>(sql`
    SELECT user_num FROM push_members WHERE room_num = ${roomNum} AND user_num NOT IN (
      SELECT user_num FROM memberships WHERE room_num = ${roomNum} AND membership = 'join' AND is_local = 1)`);
  return {
    missing: await reader.all(sql`
      SELECT m.user_num, e.stream_position, e.json FROM memberships m JOIN events e ON e.event_num = m.event_num
      WHERE m.room_num = ${roomNum} AND m.membership = 'join' AND m.is_local = 1 AND m.user_num NOT IN (
        SELECT user_num FROM push_members WHERE room_num = ${roomNum})`),
    surplus: surplus.map((row) => row.user_num),
    series: await reader.all(sql`
      SELECT s.sender_num, s.thread_num, (
        SELECT MAX(c.position) FROM push_counts c
        WHERE c.room_num = s.room_num AND c.sender_num = s.sender_num AND c.thread_num = s.thread_num) AS position
      FROM (
        SELECT room_num, sender_num, thread_num FROM push_series WHERE room_num = ${roomNum}
        UNION SELECT room_num, sender_num, thread_num FROM push_counts
          WHERE room_num = ${roomNum} AND (sender_num <> 0 OR thread_num <> 0)) s
      WHERE NOT EXISTS (
        SELECT 1 FROM push_series p
        WHERE p.room_num = s.room_num AND p.sender_num = s.sender_num AND p.thread_num = s.thread_num AND p.position = (
          SELECT MAX(c.position) FROM push_counts c
          WHERE c.room_num = s.room_num AND c.sender_num = s.sender_num AND c.thread_num = s.thread_num))`),
  };
};

/** Writes down where a series has come to, in place of what was there. */
export const rewriteSeries = async (tx: Transaction, roomNum: number, series: SeriesPlace): Promise<void> => {
  const { sender_num: senderNum, thread_num: threadNum, position } = series;
  await tx.run(sql`DELETE FROM push_series WHERE room_num = ${roomNum} AND sender_num = ${senderNum} AND thread_num = ${threadNum}`);
  if (position === null) return;
  await tx.run(sql`
    INSERT INTO push_series (room_num, sender_num, thread_num, position) VALUES (${roomNum}, ${senderNum}, ${threadNum}, ${position})`);
};

/** A room's members of a class who have never changed a push rule, with the positions of their joins; and who of this server's users there has changed any. */
export const usualMembers = async (
  reader: Reader,
  roomNum: number,
  classNum: number,
): Promise<{ readonly members: ReadonlyMap<number, number>; readonly changed: ReadonlySet<number> }> => {
  const rows = await reader.all<{ user_num: number; joined: number }>(sql`
    SELECT user_num, joined FROM push_members
    WHERE room_num = ${roomNum} AND class_num = ${classNum} AND user_num NOT IN (SELECT user_num FROM push_rules)`);
  const changed = await reader.all<{ user_num: number }>(sql`
    SELECT user_num FROM memberships
    WHERE room_num = ${roomNum} AND is_local = 1 AND user_num IN (SELECT user_num FROM push_rules)`);
  return { members: new Map(rows.map((row) => [row.user_num, row.joined])), changed: new Set(changed.map((row) => row.user_num)) };
};

/** Everybody's running counts in some of a room's threads, at positions in (after, upTo]. */
export const runningBetween = async (
  reader: Reader,
  roomNum: number,
  threadNums: readonly number[],
  after: number,
  upTo: number,
): Promise<{ thread_num: number; position: number; counts: string }[]> =>
  reader.all(sql`
    SELECT thread_num, position, counts FROM push_counts
    WHERE room_num = ${roomNum} AND sender_num = 0 AND thread_num ${sql.in(threadNums)} AND position > ${after} AND position <= ${upTo}`);

/** A room's corrections for some users and classes, at positions in (after, upTo]. */
export const correctionsBetween = async (
  reader: Reader,
  roomNum: number,
  who: readonly number[],
  after: number,
  upTo: number,
): Promise<{ who: number; position: number; notifications: number; highlights: number }[]> =>
  reader.all(sql`
    SELECT who, position, notifications, highlights FROM push_corrections
    WHERE room_num = ${roomNum} AND who ${sql.in(who)} AND position > ${after} AND position <= ${upTo}`);

export const deleteCorrection = async (tx: Transaction, roomNum: number, who: number, position: number): Promise<void> => {
  await tx.run(sql`DELETE FROM push_corrections WHERE room_num = ${roomNum} AND who = ${who} AND position = ${position}`);
};
