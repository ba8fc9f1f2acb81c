import type { Database } from '#src/platform/database/types.ts';
import type { RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { EventComplaint } from '#src/reports/service.ts';
import {
  countEventReports,
  countUserReports,
  deleteEventReport,
  deleteUserReport,
  eventReport,
  type EventReportFilter,
  type EventReportRow,
  eventReports,
  type Part,
  userReport,
  type UserReportFilter,
  type UserReportRow,
  userReports,
} from '#src/reports/store.ts';

/** A report of an event as administrators read it; what is not there is null. */
export interface EventReport {
  readonly id: number;
  readonly received_ts: number;
  readonly room_id: string;
  readonly event_id: string;
  readonly user_id: string;
  readonly score: number | null;
  readonly reason: string | null;
  readonly sender: string;
  readonly canonical_alias: string | null;
  readonly name: string | null;
}

/** A report of a user as administrators read it. */
export interface UserReport {
  readonly id: number;
  readonly received_ts: number;
  readonly target_user_id: string;
  readonly user_id: string;
  readonly reason: string | null;
}

/** A part of a list, and how long the whole is. */
export interface ReportPage<Report> {
  readonly reports: readonly Report[];
  readonly total: number;
}

/** Reading what users have reported, and putting it away. */
export interface ReportReading {
  events(filter: EventReportFilter, part: Part): Promise<ReportPage<EventReport>>;
  /** One report, and the PDU that it is about as JSON; undefined where there is none. */
  event(reportNum: number): Promise<{ readonly report: EventReport; readonly pdu: string } | undefined>;
  /** Answers whether it was there. */
  removeEvent(reportNum: number): Promise<boolean>;
  users(filter: UserReportFilter, part: Part): Promise<ReportPage<UserReport>>;
  user(reportNum: number): Promise<UserReport | undefined>;
  /** Answers whether it was there. */
  removeUser(reportNum: number): Promise<boolean>;
}

/** What administrators know a room by. */
interface RoomNames {
  readonly canonical_alias: string | null;
  readonly name: string | null;
}

const complaintIn = ({ content }: { readonly content: string }): EventComplaint => JSON.parse(content) as EventComplaint;

const userReportOf = (row: UserReportRow): UserReport => ({
  id: row.report_num,
  received_ts: row.received_ts,
  target_user_id: row.target_user_id,
  user_id: row.user_id,
  reason: complaintIn(row).reason ?? null,
});

export const createReportReading = ({
  database,
  graph,
}: {
  database: Database;
  graph: Pick<RoomGraph, 'rooms' | 'currentState' | 'events'>;
}): ReportReading => {
  const namesOf = async (room: RoomInfo): Promise<RoomNames> => {
    const text = async (type: string, key: string): Promise<string | null> => {
      const value = (await graph.currentState(room, type, ''))?.pdu.content[key];
      return typeof value === 'string' ? value : null;
    };
    return { canonical_alias: await text('m.room.canonical_alias', 'alias'), name: await text('m.room.name', 'name') };
  };

  const describe = async (rows: readonly EventReportRow[]): Promise<EventReport[]> => {
    const names = new Map<number, RoomNames>();
    for (const room of (await graph.rooms([...new Set(rows.map((row) => row.room_num))])).values())
      names.set(room.num, await namesOf(room));
    return rows.map((row) => {
      const { reason, score } = complaintIn(row);
      return {
        id: row.report_num,
        received_ts: row.received_ts,
        room_id: row.room_id,
        event_id: row.event_id,
        user_id: row.user_id,
        score: score ?? null,
        reason: reason ?? null,
        sender: row.sender,
        ...(names.get(row.room_num) ?? { canonical_alias: null, name: null }),
      };
    });
  };

  return {
    events: async (filter, part) => {
      const { rows, total } = await database.read('event reports', async (reader) => ({
        rows: await eventReports(reader, filter, part),
        total: await countEventReports(reader, filter),
      }));
      return { reports: await describe(rows), total };
    },
    event: async (reportNum) => {
      const row = await database.read('event report', async (reader) => eventReport(reader, reportNum));
      const [report] = row === undefined ? [] : await describe([row]);
      const event = row && (await graph.events.byNum(row.event_num));
      return report && event && { report, pdu: event.json };
    },
    removeEvent: async (reportNum) => database.write('delete event report', async (tx) => deleteEventReport(tx, reportNum)),
    users: async (filter, part) => {
      const { rows, total } = await database.read('user reports', async (reader) => ({
        rows: await userReports(reader, filter, part),
        total: await countUserReports(reader, filter),
      }));
      return { reports: rows.map(userReportOf), total };
    },
    user: async (reportNum) => {
      const row = await database.read('user report', async (reader) => userReport(reader, reportNum));
      return row && userReportOf(row);
    },
    removeUser: async (reportNum) => database.write('delete user report', async (tx) => deleteUserReport(tx, reportNum)),
  };
};
