import { sql } from '#src/platform/database/sql.ts';
import type { Reader } from '#src/platform/database/types.ts';

// Reads of the tables events and strings (rooms/graph, platform).

export interface StoredEvent {
  readonly event_num: number;
  readonly room_num: number;
  readonly origin_server_ts: number;
  readonly json: string;
}

/** Of the events with numbers above `after`, up to `upTo`, those of some types that have a place in the timeline and are not redacted. */
export const eventsOfTypes = (reader: Reader, types: readonly string[], after: number, upTo: number): Promise<StoredEvent[]> =>
  reader.all<StoredEvent>(sql`
    SELECT event_num, room_num, origin_server_ts, json FROM events
    WHERE event_num > ${after} AND event_num <= ${upTo} AND stream_position IS NOT NULL AND redacted_by IS NULL
      AND type_num IN (SELECT num FROM strings WHERE text ${sql.in(types)})
    ORDER BY event_num`);

/** The highest number of an event; 0 where there is none. */
export const lastEventNum = async (reader: Reader): Promise<number> =>
  (await reader.one<{ last: number | null }>(sql`SELECT MAX(event_num) AS last FROM events`))?.last ?? 0;

/** Events that took the places (from, to] in the past. */
export const eventNumsInPast = async (reader: Reader, from: number, to: number): Promise<number[]> => {
  const rows = await reader.all<{ event_num: number }>(sql`
    SELECT event_num FROM events WHERE stream_position < ${-from} AND stream_position >= ${-to} ORDER BY stream_position DESC`);
  return rows.map((row) => row.event_num);
};
