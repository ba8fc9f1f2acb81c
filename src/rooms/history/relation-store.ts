import { sql } from '#src/platform/database/sql.ts';
import type { Reader } from '#src/platform/database/types.ts';
import { type HistoryPoint, NOT_ACCEPTED } from '#src/rooms/graph/index.ts';

// Reads of the tables event_relations and threads (rooms/messaging) beside events and strings. What was redacted, or never accepted, relates to nothing.

/** Which of the events have what kinds of relations to them that readers are told with the event. Costs a look into an index per event. */
export const relationsTo = (
  reader: Reader,
  eventIds: readonly string[],
): Promise<{ readonly target_event_id: string; readonly relation_type: string }[]> =>
  reader.all(sql`
    SELECT DISTINCT target_event_id, relation_type FROM event_relations
    WHERE target_event_id ${sql.in(eventIds)} AND relation_type IN ('m.replace', 'm.thread', 'm.reference')`);

/** The latest edit of each of the events: by its sender, in its room, of its type. */
export const latestEdits = (
  reader: Reader,
  eventNums: readonly number[],
): Promise<{ readonly target_num: number; readonly event_num: number }[]> =>
  reader.all(sql`
    SELECT target_num, event_num FROM (
      SELECT o.event_num AS target_num, e.event_num, ROW_NUMBER() OVER (
        PARTITION BY o.event_num ORDER BY e.origin_server_ts DESC, e.event_id DESC
      ) AS place
      FROM events o
      JOIN event_relations r ON r.target_event_id = o.event_id AND r.relation_type = 'm.replace'
      JOIN events e ON e.event_num = r.event_num AND e.room_num = o.room_num AND e.type_num = o.type_num AND e.sender_num = o.sender_num
      WHERE o.event_num ${sql.in(eventNums)} AND e.state_key_num IS NULL AND e.stream_position IS NOT NULL
        AND e.redacted_by IS NULL AND (e.facts & ${NOT_ACCEPTED}) = 0
    ) AS edits WHERE place = 1`);

/** A thread as one reader sees it. */
export interface ThreadRow {
  readonly target_num: number;
  /** The latest event in it. */
  readonly event_num: number;
  readonly size: number;
  /** 1 when the reader has said something in it. */
  readonly participated: number;
}

/** The threads that begin with these events, without what ignored people say in them. Costs a thread's length. */
export const threadsFrom = (
  reader: Reader,
  eventNums: readonly number[],
  { userNum, ignored }: { readonly userNum: number; readonly ignored: readonly number[] },
): Promise<ThreadRow[]> =>
  reader.all<ThreadRow>(sql`
    SELECT target_num, event_num, size, participated FROM (
      SELECT o.event_num AS target_num, e.event_num,
        COUNT(*) OVER (PARTITION BY o.event_num) AS size,
        MAX(CASE WHEN e.sender_num = ${userNum} THEN 1 ELSE 0 END) OVER (PARTITION BY o.event_num) AS participated,
        ROW_NUMBER() OVER (PARTITION BY o.event_num ORDER BY e.depth DESC, e.stream_position DESC) AS place
      FROM events o
      JOIN event_relations r ON r.target_event_id = o.event_id AND r.relation_type = 'm.thread'
      JOIN events e ON e.event_num = r.event_num AND e.room_num = o.room_num
      WHERE o.event_num ${sql.in(eventNums)} AND NOT (e.sender_num ${sql.in(ignored)}) AND e.stream_position IS NOT NULL
        AND e.redacted_by IS NULL AND (e.facts & ${NOT_ACCEPTED}) = 0
    ) AS threads WHERE place = 1`);

/** The ids of the events that refer to these, in their room's order, without those of ignored people. */
export const referencesTo = (
  reader: Reader,
  eventNums: readonly number[],
  ignored: readonly number[],
): Promise<{ readonly target_num: number; readonly event_id: string }[]> =>
  reader.all(sql`
    SELECT o.event_num AS target_num, e.event_id FROM events o
    JOIN event_relations r ON r.target_event_id = o.event_id AND r.relation_type = 'm.reference'
    JOIN events e ON e.event_num = r.event_num AND e.room_num = o.room_num
    WHERE o.event_num ${sql.in(eventNums)} AND NOT (e.sender_num ${sql.in(ignored)}) AND e.stream_position IS NOT NULL
      AND e.redacted_by IS NULL AND (e.facts & ${NOT_ACCEPTED}) = 0
    ORDER BY e.depth, e.stream_position`);

/** Which events that relate to one are asked for. */
export interface RelatedQuery {
  readonly roomNum: number;
  readonly eventId: string;
  /** Over how many relations an event may be related: 1 for those to the event itself. */
  readonly hops: number;
  readonly relationType: string | undefined;
  readonly eventType: string | undefined;
  /** Edits are left out: they would tell what was redacted. */
  readonly withoutEdits: boolean;
  readonly newestFirst: boolean;
  readonly limit: number;
}

/** The numbers of events in (after, upTo] of the room's history that relate to an event, newest or oldest first. */
export const relatedEvents = (
  reader: Reader,
  query: RelatedQuery,
  { after, upTo }: { readonly after: HistoryPoint; readonly upTo: HistoryPoint },
): Promise<{ readonly event_num: number }[]> =>
  reader.all(sql`
    WITH RECURSIVE related (event_num, event_id, relation_type, hops) AS (
      SELECT e.event_num, e.event_id, r.relation_type, 1 FROM event_relations r JOIN events e ON e.event_num = r.event_num
      WHERE r.target_event_id = ${query.eventId} AND r.room_num = ${query.roomNum}
      UNION
      SELECT e.event_num, e.event_id, r.relation_type, p.hops + 1 FROM related p
      JOIN event_relations r ON r.target_event_id = p.event_id AND r.room_num = ${query.roomNum} JOIN events e ON e.event_num = r.event_num
      WHERE p.hops < ${query.hops}
    )
    SELECT event_num FROM (
      SELECT DISTINCT e.event_num, e.depth, e.stream_position FROM related r JOIN events e ON e.event_num = r.event_num
      WHERE (${query.relationType === undefined ? 1 : 0} = 1 OR r.relation_type = ${query.relationType ?? ''})
        AND (${query.eventType === undefined ? 1 : 0} = 1 OR e.type_num = (SELECT num FROM strings WHERE text = ${query.eventType ?? ''}))
        AND (${query.withoutEdits ? 0 : 1} = 1 OR r.relation_type <> 'm.replace')
        AND e.redacted_by IS NULL AND (e.facts & ${NOT_ACCEPTED}) = 0
        AND (e.depth < ${upTo.depth} OR (e.depth = ${upTo.depth} AND e.stream_position <= ${upTo.position}))
        AND (e.depth > ${after.depth} OR (e.depth = ${after.depth} AND e.stream_position > ${after.position}))
    ) AS found
    ORDER BY depth * ${query.newestFirst ? -1 : 1}, stream_position * ${query.newestFirst ? -1 : 1} LIMIT ${query.limit}`);

/** A room's threads at or before a place, those with the latest word first. */
export const threadsOfRoom = (
  reader: Reader,
  roomNum: number,
  upTo: HistoryPoint,
  limit: number,
): Promise<{ readonly root_event_id: string; readonly latest_depth: number; readonly latest_position: number }[]> =>
  reader.all(sql`
    SELECT root_event_id, latest_depth, latest_position FROM threads
    WHERE room_num = ${roomNum} AND (latest_depth < ${upTo.depth} OR (latest_depth = ${upTo.depth} AND latest_position <= ${upTo.position}))
    ORDER BY latest_depth DESC, latest_position DESC LIMIT ${limit}`);

/** Those of the events to which something relates: of one of the types, by one of the users. What is undefined does not restrict. */
export const relatedByAny = async (
  reader: Reader,
  eventIds: readonly string[],
  { types, senders }: { readonly types: readonly string[] | undefined; readonly senders: readonly string[] | undefined },
): Promise<ReadonlySet<string>> => {
  const rows = await reader.all<{ target_event_id: string }>(sql`
    SELECT DISTINCT r.target_event_id FROM event_relations r JOIN events e ON e.event_num = r.event_num
    WHERE r.target_event_id ${sql.in(eventIds)}
      AND (${types === undefined ? 1 : 0} = 1 OR r.relation_type ${sql.in(types ?? [])})
      AND (${senders === undefined ? 1 : 0} = 1 OR e.sender_num IN (SELECT num FROM strings WHERE text ${sql.in(senders ?? [])}))
      AND e.redacted_by IS NULL AND (e.facts & ${NOT_ACCEPTED}) = 0`);
  return new Set(rows.map((row) => row.target_event_id));
};
