import { type Sql, sql } from '#src/platform/database/sql.ts';
import type { Reader, Transaction } from '#src/platform/database/types.ts';

/** So many reports of one user are kept of each kind. */
const MAX_OF_REPORTER = 1000;

/** What every report says: who reported, when (milliseconds), and JSON with the reason. */
export interface NewReport {
  readonly userNum: number;
  readonly receivedTs: number;
  readonly content: string;
}

export const insertEventReport = async (tx: Transaction, report: NewReport & { roomNum: number; eventNum: number }): Promise<void> => {
  const { userNum, receivedTs, content, roomNum, eventNum } = report;
  await tx.run(sql`
    INSERT INTO event_reports (received_ts, user_num, room_num, event_num, content)
    VALUES (${receivedTs}, ${userNum}, ${roomNum}, ${eventNum}, ${content})`);
  await tx.run(sql`
    DELETE FROM event_reports WHERE user_num = ${userNum} AND report_num NOT IN (
      SELECT report_num FROM event_reports WHERE user_num = ${userNum} ORDER BY report_num DESC LIMIT ${MAX_OF_REPORTER})`);
};

export const insertRoomReport = async (tx: Transaction, report: NewReport & { roomNum: number }): Promise<void> => {
  const { userNum, receivedTs, content, roomNum } = report;
  await tx.run(sql`
    INSERT INTO room_reports (received_ts, user_num, room_num, content) VALUES (${receivedTs}, ${userNum}, ${roomNum}, ${content})`);
  await tx.run(sql`
    DELETE FROM room_reports WHERE user_num = ${userNum} AND report_num NOT IN (
      SELECT report_num FROM room_reports WHERE user_num = ${userNum} ORDER BY report_num DESC LIMIT ${MAX_OF_REPORTER})`);
};

export const insertUserReport = async (tx: Transaction, report: NewReport & { targetNum: number }): Promise<void> => {
  const { userNum, receivedTs, content, targetNum } = report;
  await tx.run(sql`
    INSERT INTO user_reports (received_ts, user_num, target_num, content) VALUES (${receivedTs}, ${userNum}, ${targetNum}, ${content})`);
  await tx.run(sql`
    DELETE FROM user_reports WHERE user_num = ${userNum} AND report_num NOT IN (
      SELECT report_num FROM user_reports WHERE user_num = ${userNum} ORDER BY report_num DESC LIMIT ${MAX_OF_REPORTER})`);
};

/** A report of an event, as it is read. */
export interface EventReportRow {
  readonly report_num: number;
  readonly received_ts: number;
  readonly user_id: string;
  readonly room_num: number;
  readonly room_id: string;
  readonly event_num: number;
  readonly event_id: string;
  readonly sender: string;
  readonly content: string;
}

/** A part of a list: `offset` rows are passed over, the oldest come first where that is wanted. */
export interface Part {
  readonly offset: number;
  readonly limit: number;
  readonly oldestFirst: boolean;
}

/** Which reports of events are wanted; an empty text is no condition. */
export interface EventReportFilter {
  /** Is in the id of who reported. */
  readonly reporter: string;
  /** Is in the id of the room. */
  readonly room: string;
  /** Is the id of who sent the event. */
  readonly sender: string;
}

const EVENT_REPORTS = sql`
  event_reports r JOIN rooms o ON o.room_num = r.room_num JOIN events e ON e.event_num = r.event_num
  JOIN strings u ON u.num = r.user_num JOIN strings s ON s.num = e.sender_num`;

/** A text is in another where that is not the same without it: so it is compared alike on both engines, letter by letter. */
const matches = ({ reporter, room, sender }: EventReportFilter): Sql => sql`
  (${reporter} = '' OR REPLACE(u.text, ${reporter}, '') <> u.text) AND (${room} = '' OR REPLACE(o.room_id, ${room}, '') <> o.room_id)
  AND (${sender} = '' OR s.text = ${sender})`;

const EVENT_REPORT_COLUMNS = sql`
  r.report_num, r.received_ts, u.text AS user_id, r.room_num, o.room_id, r.event_num, e.event_id, s.text AS sender, r.content`;

export const eventReports = async (reader: Reader, filter: EventReportFilter, part: Part): Promise<EventReportRow[]> => {
  const rows = sql`SELECT ${EVENT_REPORT_COLUMNS} FROM ${EVENT_REPORTS} WHERE ${matches(filter)}`;
  return reader.all(
    part.oldestFirst
      ? sql`${rows} ORDER BY r.received_ts, r.report_num LIMIT ${part.limit} OFFSET ${part.offset}`
      : sql`${rows} ORDER BY r.received_ts DESC, r.report_num DESC LIMIT ${part.limit} OFFSET ${part.offset}`,
  );
};

export const countEventReports = async (reader: Reader, filter: EventReportFilter): Promise<number> =>
  (await reader.one<{ total: number }>(sql`SELECT COUNT(*) AS total FROM ${EVENT_REPORTS} WHERE ${matches(filter)}`))?.total ?? 0;

export const eventReport = async (reader: Reader, reportNum: number): Promise<EventReportRow | undefined> =>
  reader.one(sql`SELECT ${EVENT_REPORT_COLUMNS} FROM ${EVENT_REPORTS} WHERE r.report_num = ${reportNum}`);

/** Deletes a report; answers whether it was there. */
export const deleteEventReport = async (tx: Transaction, reportNum: number): Promise<boolean> =>
  (await tx.run(sql`DELETE FROM event_reports WHERE report_num = ${reportNum}`)) > 0;

/** A report of a user, as it is read. */
export interface UserReportRow {
  readonly report_num: number;
  readonly received_ts: number;
  readonly user_id: string;
  readonly target_user_id: string;
  readonly content: string;
}

/** Which reports of users are wanted; an empty text is no condition. */
export interface UserReportFilter {
  readonly reporter: string;
  /** Is in the id of who was reported. */
  readonly target: string;
}

const USER_REPORTS = sql`user_reports r JOIN strings u ON u.num = r.user_num JOIN strings t ON t.num = r.target_num`;
const USER_REPORT_COLUMNS = sql`r.report_num, r.received_ts, u.text AS user_id, t.text AS target_user_id, r.content`;

const isOf = ({ reporter, target }: UserReportFilter): Sql => sql`
  (${reporter} = '' OR REPLACE(u.text, ${reporter}, '') <> u.text) AND (${target} = '' OR REPLACE(t.text, ${target}, '') <> t.text)`;

export const userReports = async (reader: Reader, filter: UserReportFilter, part: Part): Promise<UserReportRow[]> => {
  const rows = sql`SELECT ${USER_REPORT_COLUMNS} FROM ${USER_REPORTS} WHERE ${isOf(filter)}`;
  return reader.all(
    part.oldestFirst
      ? sql`${rows} ORDER BY r.received_ts, r.report_num LIMIT ${part.limit} OFFSET ${part.offset}`
      : sql`${rows} ORDER BY r.received_ts DESC, r.report_num DESC LIMIT ${part.limit} OFFSET ${part.offset}`,
  );
};

export const countUserReports = async (reader: Reader, filter: UserReportFilter): Promise<number> =>
  (await reader.one<{ total: number }>(sql`SELECT COUNT(*) AS total FROM ${USER_REPORTS} WHERE ${isOf(filter)}`))?.total ?? 0;

export const userReport = async (reader: Reader, reportNum: number): Promise<UserReportRow | undefined> =>
  reader.one(sql`SELECT ${USER_REPORT_COLUMNS} FROM ${USER_REPORTS} WHERE r.report_num = ${reportNum}`);

/** Deletes a report; answers whether it was there. */
export const deleteUserReport = async (tx: Transaction, reportNum: number): Promise<boolean> =>
  (await tx.run(sql`DELETE FROM user_reports WHERE report_num = ${reportNum}`)) > 0;
