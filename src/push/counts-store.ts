import { sql } from '#src/platform/database/sql.ts';
import type { Reader, Table, Transaction } from '#src/platform/database/types.ts';
import { formatRunning, minus, NO_COUNTS, NONE, parseRunning, type Running } from '#src/push/running.ts';

const classColumns = { class_num: 'bigint', digest: 'text' } as const;
const classes: Table<typeof classColumns> = { name: 'push_classes', columns: classColumns, key: ['class_num'] };

const memberColumns = {
  room_num: 'bigint',
  user_num: 'bigint',
  joined: 'bigint',
  class_num: 'bigint',
  since: 'bigint',
  name: 'text?',
} as const;
const members: Table<typeof memberColumns> = { name: 'push_members', columns: memberColumns, key: ['room_num', 'user_num'] };

const countColumns = { room_num: 'bigint', sender_num: 'bigint', thread_num: 'bigint', position: 'bigint', counts: 'text' } as const;
const counts: Table<typeof countColumns> = {
  name: 'push_counts',
  columns: countColumns,
  key: ['room_num', 'sender_num', 'thread_num', 'position'],
};

const seriesColumns = { room_num: 'bigint', sender_num: 'bigint', thread_num: 'bigint', position: 'bigint' } as const;
const lastOfSeries: Table<typeof seriesColumns> = {
  name: 'push_series',
  columns: seriesColumns,
  key: ['room_num', 'sender_num', 'thread_num'],
};

const correctionColumns = {
  room_num: 'bigint',
  who: 'bigint',
  position: 'bigint',
  thread_num: 'bigint',
  sender_num: 'bigint',
  notifications: 'bigint',
  highlights: 'bigint',
} as const;
const corrections: Table<typeof correctionColumns> = {
  name: 'push_corrections',
  columns: correctionColumns,
  key: ['room_num', 'who', 'position'],
};

const sentColumns = { room_num: 'bigint', user_num: 'bigint', thread_num: 'bigint', position: 'bigint' } as const;
const sent: Table<typeof sentColumns> = { name: 'push_sent', columns: sentColumns, key: ['room_num', 'user_num', 'thread_num'] };

/** The events of everybody in a room's main timeline. */
export const EVERYBODY = 0;
export const MAIN_THREAD = 0;

/** A series of running counts. */
export interface Series {
  readonly roomNum: number;
  /** A sender's number, or `EVERYBODY`. */
  readonly senderNum: number;
  /** The event number of a thread's root, or `MAIN_THREAD`. */
  readonly threadNum: number;
}

export const classByDigest = async (reader: Reader, digest: string): Promise<number | undefined> => {
  const row = await reader.one<{ class_num: number }>(sql`SELECT class_num FROM push_classes WHERE digest = ${digest}`);
  return row?.class_num;
};

export const insertClass = (tx: Transaction, classNum: number, digest: string): void => {
  tx.insert(classes, { class_num: classNum, digest });
};

/** Selects the classes to which nobody belongs or has belonged. */
export const unusedClasses = sql`
  SELECT class_num FROM push_classes
  WHERE class_num NOT IN (SELECT class_num FROM push_members) AND class_num NOT IN (SELECT class_num FROM push_past_classes)`;

export const deleteClasses = async (tx: Transaction, classNums: readonly number[]): Promise<void> => {
  await tx.run(sql`DELETE FROM push_classes WHERE class_num ${sql.in(classNums)}`);
};

export interface MemberRow {
  readonly room_num: number;
  readonly user_num: number;
  readonly joined: number;
  readonly class_num: number;
  readonly since: number;
  readonly name: string | null;
}

/** A display name as it is stored: as JSON, for it may hold what a database's text may not. */
export const nameText = (name: string | undefined): string | null => (name === undefined ? null : JSON.stringify(name));

export const nameOf = (text: string | null): string | undefined => (text === null ? undefined : (JSON.parse(text) as string));

export const putMember = (tx: Transaction, row: MemberRow): void => {
  tx.put(members, { ...row });
};

/** A room's members with numbers above `after`, by number. */
export const membersOfRoom = async (reader: Reader, roomNum: number, after: number, limit: number): Promise<MemberRow[]> =>
  reader.all(sql`SELECT * FROM push_members WHERE room_num = ${roomNum} AND user_num > ${after} ORDER BY user_num LIMIT ${limit}`);

/** A user's row in each of some rooms. */
export const membersOfUser = async (reader: Reader, userNum: number, roomNums: readonly number[]): Promise<MemberRow[]> =>
  reader.all(sql`SELECT * FROM push_members WHERE user_num = ${userNum} AND room_num ${sql.in(roomNums)}`);

/** Forgets what is kept for a user in a room. */
export const deleteMember = async (tx: Transaction, roomNum: number, userNum: number): Promise<void> => {
  await tx.run(sql`DELETE FROM push_members WHERE room_num = ${roomNum} AND user_num = ${userNum}`);
  await tx.run(sql`DELETE FROM push_past_classes WHERE room_num = ${roomNum} AND user_num = ${userNum}`);
  await tx.run(sql`DELETE FROM push_corrections WHERE room_num = ${roomNum} AND who = ${userNum}`);
  await tx.run(sql`DELETE FROM push_sent WHERE room_num = ${roomNum} AND user_num = ${userNum}`);
};

/** From when on a user belonged to a class. */
export interface PastClass {
  readonly room_num: number;
  readonly since: number;
  readonly class_num: number;
}

/** Moves a member to another class, for events after `since`. */
export const moveMember = async (tx: Transaction, roomNum: number, userNum: number, classNum: number, since: number): Promise<void> => {
  await tx.run(sql`
    INSERT INTO push_past_classes (room_num, user_num, since, class_num)
    SELECT room_num, user_num, since, class_num FROM push_members WHERE room_num = ${roomNum} AND user_num = ${userNum}
    ON CONFLICT (room_num, user_num, since) DO UPDATE SET class_num = excluded.class_num`);
  await tx.run(
    sql`UPDATE push_members SET class_num = ${classNum}, since = ${since} WHERE room_num = ${roomNum} AND user_num = ${userNum}`,
  );
};

export const renameMember = async (tx: Transaction, roomNum: number, userNum: number, name: string | null): Promise<void> => {
  await tx.run(sql`UPDATE push_members SET name = ${name} WHERE room_num = ${roomNum} AND user_num = ${userNum}`);
};

export const pastClassesOfUser = async (reader: Reader, userNum: number, roomNums: readonly number[]): Promise<PastClass[]> =>
  reader.all(
    sql`SELECT room_num, since, class_num FROM push_past_classes WHERE room_num ${sql.in(roomNums)} AND user_num = ${userNum} ORDER BY since`,
  );

/** Deletes a user's past classes in a room that were over at a position. */
export const deletePastClasses = async (tx: Transaction, roomNum: number, userNum: number, readUpTo: number): Promise<void> => {
  await tx.run(sql`
    DELETE FROM push_past_classes WHERE room_num = ${roomNum} AND user_num = ${userNum} AND since < (
      SELECT MAX(since) FROM push_past_classes WHERE room_num = ${roomNum} AND user_num = ${userNum} AND since <= ${readUpTo})`);
};

/** Writes down where a series of running counts has come to. */
export const insertRunning = (tx: Transaction, { roomNum, senderNum, threadNum }: Series, position: number, running: Running): void => {
  const key = { room_num: roomNum, sender_num: senderNum, thread_num: threadNum };
  tx.put(counts, { ...key, position, counts: formatRunning(running) });
  if (senderNum !== EVERYBODY || threadNum !== MAIN_THREAD) tx.put(lastOfSeries, { ...key, position });
};

/** The last running counts of a series at or before a position. */
export const runningAt = async (
  reader: Reader,
  { roomNum, senderNum, threadNum }: Series,
  position: number,
): Promise<{ readonly position: number; readonly running: Running }> => {
  const row = await reader.one<{ position: number; counts: string }>(
    sql`SELECT position, counts FROM push_counts
        WHERE room_num = ${roomNum} AND sender_num = ${senderNum} AND thread_num = ${threadNum} AND position <= ${position}
        ORDER BY position DESC LIMIT 1`,
  );
  return row === undefined ? { position: 0, running: NO_COUNTS } : { position: row.position, running: parseRunning(row.counts) };
};

/** The last running counts of some rooms' main timelines, for a member of them. */
export const latestOfMain = async (
  reader: Reader,
  userNum: number,
  roomNums: readonly number[],
): Promise<ReadonlyMap<number, { readonly position: number; readonly running: Running }>> => {
  const rows = await reader.all<{ room_num: number; position: number; counts: string }>(
    sql`SELECT counted.room_num, counted.position, counted.counts FROM push_members member JOIN push_counts counted
          ON counted.room_num = member.room_num AND counted.sender_num = 0 AND counted.thread_num = 0 AND counted.position = (
            SELECT MAX(position) FROM push_counts latest
            WHERE latest.room_num = member.room_num AND latest.sender_num = 0 AND latest.thread_num = 0)
        WHERE member.user_num = ${userNum} AND member.room_num ${sql.in(roomNums)}`,
  );
  return new Map(rows.map((row) => [row.room_num, { position: row.position, running: parseRunning(row.counts) }]));
};

/** Series of some rooms, but for everybody's main timelines, that went on after a position. */
export const seriesAfter = async (
  reader: Reader,
  roomNums: readonly number[],
  senderNums: readonly number[],
  after: number,
): Promise<(Series & { readonly position: number })[]> => {
  const rows = await reader.all<{ room_num: number; sender_num: number; thread_num: number; position: number }>(
    sql`SELECT room_num, sender_num, thread_num, position FROM push_series
        WHERE room_num ${sql.in(roomNums)} AND position > ${after} AND sender_num ${sql.in(senderNums)}`,
  );
  return rows.map((row) => ({ roomNum: row.room_num, senderNum: row.sender_num, threadNum: row.thread_num, position: row.position }));
};

/** How an event is different, for a user or (`who` below 0) for a class. */
export interface Correction {
  readonly room_num: number;
  readonly who: number;
  readonly position: number;
  readonly thread_num: number;
  readonly sender_num: number;
  readonly notifications: number;
  readonly highlights: number;
}

export const putCorrection = (tx: Transaction, row: Correction): void => {
  tx.put(corrections, { ...row });
};

/** The corrections of some rooms for a user or class in `who`, at positions above `after`. */
export const correctionsAfter = async (
  reader: Reader,
  roomNums: readonly number[],
  who: readonly number[],
  after: number,
): Promise<Correction[]> =>
  reader.all(sql`SELECT * FROM push_corrections WHERE room_num ${sql.in(roomNums)} AND who ${sql.in(who)} AND position > ${after}`);

/**
 * Takes a redacted event out of the counts: what it counted for classes is corrected, what was different for users is deleted. `threadNums` are the
 * threads in which it may have been counted.
 */
export const uncount = async (
  tx: Transaction,
  roomNum: number,
  threadNums: readonly number[],
  senderNum: number,
  position: number,
): Promise<void> => {
  for (const threadNum of threadNums) {
    const series: Series = { roomNum, senderNum: EVERYBODY, threadNum };
    const at = await runningAt(tx, series, position);
    if (at.position !== position) continue;
    const before = await runningAt(tx, series, position - 1);
    for (const [classNum, tally] of at.running) {
      const { notifications, highlights } = minus(before.running.get(classNum) ?? NONE, tally);
      if (notifications === 0 && highlights === 0) continue;
      putCorrection(tx, {
        room_num: roomNum,
        who: -classNum,
        position,
        thread_num: threadNum,
        sender_num: senderNum,
        notifications,
        highlights,
      });
    }
  }
  await tx.run(sql`DELETE FROM push_corrections WHERE position = ${position} AND who > 0`);
};

export const putSent = (tx: Transaction, roomNum: number, userNum: number, threadNum: number, position: number): void => {
  tx.put(sent, { room_num: roomNum, user_num: userNum, thread_num: threadNum, position });
};

/** Up to where a user has read threads of some rooms by sending. */
export const sentOfUser = async (
  reader: Reader,
  userNum: number,
  roomNums: readonly number[],
): Promise<{ readonly room_num: number; readonly thread_num: number; readonly position: number }[]> =>
  reader.all(sql`SELECT room_num, thread_num, position FROM push_sent WHERE room_num ${sql.in(roomNums)} AND user_num = ${userNum}`);
