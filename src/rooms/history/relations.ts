import type { Database } from '#src/platform/database/types.ts';
import { notFound } from '#src/protocol/errors.ts';
import type { HistoryPoint, RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { ReadAccess } from '#src/rooms/history/access.ts';
import type { ReadBundles } from '#src/rooms/history/bundles.ts';
import type { RelatedBy } from '#src/rooms/history/filter.ts';
import type { Direction, PointOf } from '#src/rooms/history/points.ts';
import type { Presenter, RoomReader } from '#src/rooms/history/presenter.ts';
import { relatedByAny, relatedEvents, threadsOfRoom } from '#src/rooms/history/relation-store.ts';
import { formatPoint, type HistoryToken, pointPast } from '#src/rooms/history/tokens.ts';
import type { Visibility } from '#src/rooms/history/visibility.ts';

/** How far relations of relations are followed (client-server API, `recurse`). */
export const RECURSION_DEPTH = 3;

export interface RelationsRequest {
  readonly eventId: string;
  readonly relationType: string | undefined;
  readonly eventType: string | undefined;
  readonly from: HistoryToken | undefined;
  readonly to: HistoryToken | undefined;
  readonly direction: Direction;
  readonly limit: number;
  readonly recurse: boolean;
}

/** Events are JSON texts; `next` is undefined where there is no more. */
export interface RelationsPage {
  readonly chunk: readonly string[];
  readonly next: string | undefined;
  /** The event itself, as it was before anything related to it. */
  readonly original: string;
}

/** Those of a room's events to which something relates as a filter wants it. */
export type SiftRelated = (events: readonly RoomEvent[], relatedBy: RelatedBy | undefined) => Promise<readonly RoomEvent[]>;

export interface Relations {
  /** What relates to an event. Throws `forbidden` for a room that the reader may not read, `notFound` for an event that is not there for the reader. */
  page(reader: RoomReader, roomId: string, request: RelationsRequest): Promise<RelationsPage>;
  /** A room's threads by their roots, those with the latest word first. Throws `forbidden`. */
  threads(
    reader: RoomReader,
    roomId: string,
    request: { readonly from: HistoryPoint | undefined; readonly limit: number; readonly onlyParticipated: boolean },
  ): Promise<{ readonly chunk: readonly string[]; readonly next: HistoryPoint | undefined }>;
  readonly siftRelated: SiftRelated;
}

const FIRST: HistoryPoint = { depth: -1, position: Number.MIN_SAFE_INTEGER };
const LAST: HistoryPoint = { depth: Number.MAX_SAFE_INTEGER, position: Number.MAX_SAFE_INTEGER };
const WITH_RELATIONS = { withRoomId: true, withRelations: true } as const;

export interface RelationsTools {
  readonly database: Pick<Database, 'read'>;
  readonly graph: Pick<RoomGraph, 'events'>;
  readonly access: ReadAccess;
  readonly visibility: Pick<Visibility, 'visible'>;
  readonly presenter: Presenter;
  readonly readBundles: ReadBundles;
  readonly pointOf: PointOf;
}

/** Reading what relates to events (client-server API, "Relationships API" and "Querying threads in a room"). */
export const createRelations = ({ database, graph, access, visibility, presenter, readBundles, pointOf }: RelationsTools): Relations => {
  const related = async (room: RoomInfo, target: RoomEvent, request: RelationsRequest): Promise<readonly RoomEvent[]> => {
    const { direction, recurse, limit, from, to, ...wanted } = request;
    const isBackwards = direction === 'b';
    const start = from === undefined ? (isBackwards ? LAST : FIRST) : await pointOf(room, from);
    const end = to === undefined ? (isBackwards ? FIRST : LAST) : await pointOf(room, to);
    const query = {
      ...wanted,
      roomNum: room.num,
      hops: recurse ? RECURSION_DEPTH : 1,
      withoutEdits: target.redactedBy !== undefined,
      newestFirst: isBackwards,
      limit: limit + 1,
    };
    const span = isBackwards ? { after: end, upTo: start } : { after: start, upTo: end };
    const rows = await database.read('related events', (db) => relatedEvents(db, query, span));
    return graph.events.list(rows.map((row) => row.event_num));
  };

  const page: Relations['page'] = async (reader, roomId, request) => {
    const { room } = await access.reading(reader, roomId);
    const event = await graph.events.byId(request.eventId);
    const [target] = event?.roomNum === room.num ? await visibility.visible(reader, room, [event]) : [];
    if (target === undefined) throw notFound('Unknown parent event.');
    const found = await related(room, target.event, request);
    const events = found.slice(0, request.limit);
    const last = events.at(-1);
    const [original] = await presenter.present([target], reader, { withRoomId: true });
    return {
      chunk: await presenter.present(await visibility.visible(reader, room, events), reader, WITH_RELATIONS),
      next: last !== undefined && found.length > events.length ? formatPoint(pointPast(last, request.direction)) : undefined,
      original: original as string,
    };
  };

  const threads: Relations['threads'] = async (reader, roomId, { from, limit, onlyParticipated }) => {
    const { room } = await access.reading(reader, roomId);
    const rows = await database.read('threads of a room', (db) => threadsOfRoom(db, room.num, from ?? LAST, limit + 1));
    const roots = await graph.events.byIds(rows.slice(0, limit).map((row) => row.root_event_id));
    const inRoom = rows.slice(0, limit).flatMap((row) => roots.get(row.root_event_id) ?? []);
    const shown = await visibility.visible(
      reader,
      room,
      inRoom.filter((event) => event.roomNum === room.num),
    );
    const bundles = await readBundles(shown, reader);
    const wanted = shown.filter(({ event }) => {
      const thread = bundles.get(event.num)?.thread;
      return thread !== undefined && (thread.participated || !onlyParticipated);
    });
    const last = rows.length > limit ? rows[limit] : undefined;
    return {
      chunk: await presenter.present(wanted, reader, WITH_RELATIONS),
      next: last && { depth: last.latest_depth, position: last.latest_position },
    };
  };

  return {
    page,
    threads,
    siftRelated: async (events, relatedBy) => {
      if (relatedBy === undefined || events.length === 0) return events;
      const ids = events.map((event) => event.eventId);
      const found = await database.read('events with relations', (db) => relatedByAny(db, ids, relatedBy));
      return events.filter((event) => found.has(event.eventId));
    },
  };
};
