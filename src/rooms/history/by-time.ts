import { notFound } from '#src/protocol/errors.ts';
import { clampedInteger } from '#src/protocol/json.ts';
import type { RoomEvent, RoomGraph, RoomInfo, TimePoint } from '#src/rooms/graph/index.ts';
import type { ReadAccess } from '#src/rooms/history/access.ts';
import type { Direction } from '#src/rooms/history/points.ts';
import type { RoomReader } from '#src/rooms/history/presenter.ts';
import type { Visibility } from '#src/rooms/history/visibility.ts';

/** A moment, and on which side of it to look. */
export interface Moment {
  /** Milliseconds. */
  readonly ts: number;
  readonly direction: Direction;
}

/** An event by its id and the time that it claims. */
export interface EventAtTime {
  readonly event_id: string;
  readonly origin_server_ts: number;
}

const PAGE = 20;
/** Past so many events that the reader may not see no further ones are looked at. */
const MAX_SCANNED = 2000;

const { MAX_SAFE_INTEGER: MOST, MIN_SAFE_INTEGER: LEAST } = Number;

/** The place from which events at the moment itself are the nearest. */
const startOf = ({ ts, direction }: Moment): TimePoint => {
  const edge = direction === 'f' ? LEAST : MOST;
  return { ts: Math.max(LEAST, Math.min(MOST, ts)), depth: edge, position: edge };
};

const timeOf = (event: RoomEvent): number => clampedInteger(event.pdu.origin_server_ts);

/** Brings in the event nearest to a moment from a server that has more of the room's history; answers whether there is something here now that was not. */
export type FetchByTime = (room: RoomInfo, moment: Moment) => Promise<boolean>;

/**
 * The event of a room nearest to a moment on one side of it, the moment included, among those that `mayRead` lets through; of several at one time the first in the room's
 * order when looking forwards, the last when looking back.
 */
export const nearestEvent = async (
  timeline: Pick<RoomGraph['timeline'], 'byTime'>,
  room: RoomInfo,
  moment: Moment,
  mayRead: (events: readonly RoomEvent[]) => Promise<readonly RoomEvent[]>,
): Promise<RoomEvent | undefined> => {
  let from = startOf(moment);
  for (let scanned = 0; scanned < MAX_SCANNED; scanned += PAGE) {
    const events = await timeline.byTime(room.num, moment.direction, from, PAGE);
    const [found] = await mayRead(events);
    if (found !== undefined) return found;
    const last = events.at(-1);
    if (last === undefined || events.length < PAGE) return undefined;
    from = { ts: timeOf(last), depth: last.depth, position: last.position as number };
  }
  return undefined;
};

/** What is answered; throws `notFound` where nothing was found. */
export const eventAtTime = (found: RoomEvent | undefined, { ts, direction }: Moment): EventAtTime => {
  if (found !== undefined) return { event_id: found.eventId, origin_server_ts: timeOf(found) };
  const side = direction === 'f' ? 'FORWARDS' : 'BACKWARDS';
  throw notFound(`Unable to find event from ${String(ts)} in direction Direction.${side}`);
};

/** Finds the event nearest to a moment that a reader may see. Throws `forbidden` for a room that they may not read, `notFound`. */
export type FindByTime = (reader: RoomReader, roomId: string, moment: Moment) => Promise<EventAtTime>;

export const createFindByTime = ({
  graph,
  access,
  visibility,
  fetchByTime,
}: {
  graph: Pick<RoomGraph, 'timeline'>;
  access: ReadAccess;
  visibility: Pick<Visibility, 'visible'>;
  fetchByTime: FetchByTime;
}): FindByTime => {
  const { timeline } = graph;

  /** Whether something that is missing here may be nearer: what lies before what was found, or looking back what comes after it. */
  const isNearGap = async (room: RoomInfo, found: RoomEvent | undefined, { direction }: Moment): Promise<boolean> => {
    if (found === undefined) return (await timeline.gaps(room.num, LEAST, MOST, 1)).length > 0;
    const [next] =
      direction === 'f' ? [found] : await timeline.forwards(room.num, { depth: found.depth, position: found.position as number }, 1);
    return next !== undefined && (await timeline.gaps(room.num, next.depth - 1, next.depth, 1)).length > 0;
  };

  return async (reader, roomId, moment) => {
    const { room } = await access.reading(reader, roomId);
    const find = async (): Promise<RoomEvent | undefined> =>
      nearestEvent(timeline, room, moment, async (events) => (await visibility.visible(reader, room, events)).map(({ event }) => event));
    const found = await find();
    const hasMore = (await isNearGap(room, found, moment)) && (await fetchByTime(room, moment));
    return eventAtTime(hasMore ? await find() : found, moment);
  };
};
