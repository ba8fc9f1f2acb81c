import type { Clock } from '#src/platform/clock.ts';
import { forbidden, notFound } from '#src/protocol/errors.ts';
import type { HistoryPoint, RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { ReadAccess, Reading } from '#src/rooms/history/access.ts';
import type { EventFormat } from '#src/rooms/history/client-event.ts';
import { type EventFilter, passes } from '#src/rooms/history/filter.ts';
import type { FillGaps } from '#src/rooms/history/gaps.ts';
import type { Direction, PointOf } from '#src/rooms/history/points.ts';
import type { Presenter, RoomReader, Shown } from '#src/rooms/history/presenter.ts';
import type { SiftRelated } from '#src/rooms/history/relations.ts';
import type { StateReader } from '#src/rooms/history/state-reader.ts';
import { comparePoints, formatPoint, type HistoryToken, pointAfter, pointBefore, pointPast } from '#src/rooms/history/tokens.ts';
import type { Visibility } from '#src/rooms/history/visibility.ts';

/** A page that is asked for. */
export interface PageRequest {
  readonly from: HistoryToken | undefined;
  /** `from` as the client wrote it. */
  readonly fromText: string | undefined;
  readonly to: HistoryToken | undefined;
  readonly direction: Direction;
  readonly limit: number;
  readonly filter: EventFilter | undefined;
  readonly format?: EventFormat;
}

/** Events are JSON texts. */
export interface Page {
  readonly start: string;
  /** Undefined at the end of the history. */
  readonly end: string | undefined;
  readonly chunk: readonly string[];
  readonly state: readonly string[];
}

export interface Context {
  readonly start: string;
  readonly end: string;
  readonly event: string;
  readonly eventsBefore: readonly string[];
  readonly eventsAfter: readonly string[];
  readonly state: readonly string[];
}

/** What the reader may see of the events beside one, the nearest first, and the places behind the furthest of them. */
export interface Neighbours {
  readonly before: readonly Shown[];
  readonly after: readonly Shown[];
  readonly start: string;
  readonly end: string;
}

export interface Pagination {
  /** Throws `forbidden` when the reader may not read the room. */
  messages(reader: RoomReader, roomId: string, request: PageRequest): Promise<Page>;
  /** Throws `notFound` for an event that is not in the room, `forbidden` for one that the reader may not see. */
  context(reader: RoomReader, roomId: string, eventId: string, limit: number, filter: EventFilter | undefined): Promise<Context>;
  /** So many events before and after one of a room that the reader may read. */
  around(
    reader: RoomReader,
    room: RoomInfo,
    event: RoomEvent,
    limits: { readonly before: number; readonly after: number },
    filter?: EventFilter,
  ): Promise<Neighbours>;
  /** One event of whatever room. Throws `notFound` when it is not there for the reader. */
  eventAnywhere(reader: RoomReader, eventId: string): Promise<string>;
  /** One event. Throws `notFound` when it is not there for the reader. */
  event(reader: RoomReader, roomId: string, eventId: string): Promise<string>;
}

export interface PaginationTools {
  readonly graph: Pick<RoomGraph, 'events' | 'timeline' | 'head' | 'rooms'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly access: ReadAccess;
  readonly visibility: Visibility;
  readonly presenter: Presenter;
  readonly stateReader: StateReader;
  readonly pointOf: PointOf;
  readonly siftRelated: SiftRelated;
  readonly fillGaps: FillGaps;
}

/** So long a page waits for what other servers have of it, in milliseconds. */
const FILL_BUDGET_MS = 5000;
/** So often it is read anew after they have answered. */
const MAX_FILLINGS = 3;

/** A page that a filter leaves empty looks no further than over this many events; the client may ask on from there. */
const MAX_SCANNED = 2000;
const MIN_SCAN = 20;

const WITH_RELATIONS = { withRoomId: true, withRelations: true } as const;

export const createPagination = ({
  graph,
  clock,
  access,
  visibility,
  presenter,
  stateReader,
  pointOf,
  siftRelated,
  fillGaps,
}: PaginationTools): Pagination => {
  const lastPoint = async ({ room, left }: Reading): Promise<HistoryPoint> => {
    const { extremities } = await graph.head(room);
    if (left === undefined) return { depth: Math.max(0, ...extremities.map((event) => event.depth)), position: Number.MAX_SAFE_INTEGER };
    return pointAfter(left);
  };

  const startOf = async (reading: Reading, from: HistoryToken | undefined, direction: Direction): Promise<HistoryPoint> => {
    const { room, left } = reading;
    if (from === undefined) return direction === 'f' ? { depth: 0, position: 0 } : lastPoint(reading);
    const point = await pointOf(room, from);
    // There is nothing to see for those who left after their leaving.
    return direction === 'b' && left !== undefined && comparePoints(point, pointAfter(left)) > 0 ? pointAfter(left) : point;
  };

  /** Events from a place on, up to another; `isLast` says that there is nothing behind them. */
  const loadUntil = async (
    room: RoomInfo,
    from: HistoryPoint,
    until: HistoryPoint | undefined,
    direction: Direction,
    count: number,
  ): Promise<{ events: readonly RoomEvent[]; isLast: boolean }> => {
    const { timeline } = graph;
    const backwards = direction === 'b';
    const loaded = await (backwards ? timeline.backwards(room.num, from, count + 1) : timeline.forwards(room.num, from, count + 1));
    const isWithin = (event: RoomEvent): boolean => {
      const order = until === undefined ? 0 : comparePoints(pointAfter(event), until);
      return until === undefined || (backwards ? order > 0 : order <= 0);
    };
    const events = loaded.slice(0, count).filter(isWithin);
    return { events, isLast: events.length === loaded.length || events.length < count };
  };

  /** Collects what the reader may see and wants to, going on until the page is full, the history ends or too much was looked at. */
  const collect = async (
    reader: RoomReader,
    room: RoomInfo,
    start: HistoryPoint,
    until: HistoryPoint | undefined,
    { from, direction, limit, filter }: Pick<PageRequest, 'direction' | 'limit' | 'filter' | 'from'>,
  ): Promise<{ shown: readonly Shown[]; end: HistoryPoint | undefined }> => {
    // A place of `/sync` has nothing before it that came later, whatever depth it claims.
    const newest = from !== undefined && 'streamPosition' in from && direction === 'b' ? from.streamPosition : Infinity;
    const shown: Shown[] = [];
    let at = start;
    for (let scanned = 0; scanned < MAX_SCANNED;) {
      const count = Math.max(limit - shown.length, filter === undefined ? 0 : MIN_SCAN);
      const { events, isLast } = await loadUntil(room, at, until, direction, count);
      const seen = await visibility.visible(
        reader,
        room,
        await siftRelated(
          events.filter((event) => (event.position ?? 0) <= newest),
          filter?.relatedBy,
        ),
      );
      const wanted = seen.filter(({ event }) => passes(filter, room, event)).slice(0, limit - shown.length);
      shown.push(...wanted);
      const isFull = shown.length === limit;
      const last = isFull ? wanted.at(-1)?.event : events.at(-1);
      if (last === undefined || (isLast && last === events.at(-1))) return { shown, end: undefined };
      at = pointPast(last, direction);
      if (isFull) return { shown, end: at };
      scanned += events.length;
    }
    return { shown, end: at };
  };

  /**
   * The same for a page of `/messages`: what is missing of it is asked for where a member reads back. Where that takes too long, or brings more than a page reads,
   * the page does not say that the history ends, so that the client asks on.
   */
  const collectWhole = async (
    reader: RoomReader,
    { room, by }: Reading,
    start: HistoryPoint,
    until: HistoryPoint | undefined,
    request: PageRequest,
  ): Promise<{ shown: readonly Shown[]; end: HistoryPoint | undefined }> => {
    const collectPage = async () => collect(reader, room, start, until, request);
    let page = await collectPage();
    if (request.direction === 'f' || by !== 'member') return page;
    const deadline = clock.now() + FILL_BUDGET_MS;
    for (let round = 0; round < MAX_FILLINGS; round += 1) {
      const span = { after: Math.max(page.end?.depth ?? -1, until?.depth ?? -1), upTo: start.depth };
      const filling = await fillGaps(room, span, deadline - clock.now());
      if (filling === 'whole') return page;
      if (filling === 'waiting') break;
      page = await collectPage();
    }
    const last = page.shown.at(-1)?.event;
    return { shown: page.shown, end: page.end ?? (last === undefined ? start : pointPast(last, 'b')) };
  };

  const messages: Pagination['messages'] = async (reader, roomId, request) => {
    const reading = await access.reading(reader, roomId);
    const start = await startOf(reading, request.from, request.direction);
    const startText = request.fromText ?? formatPoint(start);
    if (request.limit === 0) return { start: startText, end: startText, chunk: [], state: [] };
    const until = request.to === undefined ? undefined : await pointOf(reading.room, request.to);
    const { shown, end } = await collectWhole(reader, reading, start, until, request);
    const { format = 'client' } = request;
    const chunk = await presenter.present(shown, reader, { ...WITH_RELATIONS, format });
    const first = shown[0]?.event;
    const isLazy = request.filter?.lazyLoadMembers === true && first?.stateRoot !== undefined;
    const state = isLazy
      ? await stateReader.members(reading.room, first.stateRoot, [...new Set(shown.map(({ event }) => event.pdu.sender))])
      : [];
    return {
      start: startText,
      end: end && formatPoint(end),
      chunk,
      state: await stateReader.present(reading.room, state, reader),
    };
  };

  const around: Pagination['around'] = async (reader, room, event, limits, filter) => {
    const collectFrom = async (direction: Direction, point: HistoryPoint, limit: number) =>
      limit === 0
        ? { shown: [] as readonly Shown[], end: point }
        : collect(reader, room, point, undefined, { direction, limit, filter, from: undefined });
    const before = await collectFrom('b', pointBefore(event), limits.before);
    const after = await collectFrom('f', pointAfter(event), limits.after);
    return {
      before: before.shown,
      after: after.shown,
      start: formatPoint(before.end ?? pointBefore(before.shown.at(-1)?.event ?? event)),
      end: formatPoint(after.end ?? pointAfter(after.shown.at(-1)?.event ?? event)),
    };
  };

  const context: Pagination['context'] = async (reader, roomId, eventId, limit, filter) => {
    const reading = await access.reading(reader, roomId);
    const { room } = reading;
    const event = await graph.events.byId(eventId);
    if (event === undefined || event.roomNum !== room.num || event.position === undefined) throw notFound('Event not found.');
    const [shown] = await visibility.visible(reader, room, [event]);
    if (shown === undefined) throw forbidden("You don't have permission to access that event.");
    const beside = await around(reader, room, event, { before: Math.floor(limit / 2), after: Math.ceil(limit / 2) }, filter);
    const last = beside.after.at(-1) ?? shown;
    const senders = [shown, ...beside.before, ...beside.after].map((each) => each.event.pdu.sender);
    const state = await stateReader.ofTimeline(room, last.event.stateRoot ?? reading.root, new Set(senders), filter);
    return {
      start: beside.start,
      end: beside.end,
      event: (await presenter.present([shown], reader, WITH_RELATIONS))[0] as string,
      eventsBefore: await presenter.present(beside.before, reader, WITH_RELATIONS),
      eventsAfter: await presenter.present(beside.after, reader, WITH_RELATIONS),
      state: await stateReader.present(room, state, reader),
    };
  };

  const eventIn: Pagination['event'] = async (reader, roomId, eventId) => {
    const missing = notFound('Event not found.');
    const { room } = await access.reading(reader, roomId).catch(() => {
      throw missing;
    });
    const event = await graph.events.byId(eventId);
    if (event?.roomNum !== room.num) throw missing;
    const shown = await visibility.visible(reader, room, [event]);
    const [text] = await presenter.present(shown, reader, WITH_RELATIONS);
    if (text === undefined) throw missing;
    return text;
  };

  return {
    messages,
    context,
    around,
    event: eventIn,
    eventAnywhere: async (reader, eventId) => {
      const event = await graph.events.byId(eventId);
      const room = event && (await graph.rooms([event.roomNum])).get(event.roomNum);
      return eventIn(reader, room?.roomId ?? '', eventId);
    },
  };
};
