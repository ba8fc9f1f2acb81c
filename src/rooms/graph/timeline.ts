import type { Database } from '#src/platform/database/types.ts';
import type { Events } from '#src/rooms/graph/event-cache.ts';
import type { RoomEvent } from '#src/rooms/graph/events.ts';
import type { NodeId } from '#src/rooms/graph/state-tree/nodes.ts';
import {
  eventNumsBetween,
  gapsBetween,
  type HistoryPoint,
  type TimePoint,
  roomEventNumsBackwards,
  roomEventNumsByTime,
  roomEventNumsForwards,
  roomEventNumsNewest,
} from '#src/rooms/graph/read-store.ts';
import { rootsAt, silentChangesBetween } from '#src/rooms/graph/store.ts';

/** A change of a room's current state without an event in the timeline. */
export interface SilentChange {
  readonly roomNum: number;
  readonly position: number;
}

/** An event that is missing where the timeline goes on from it. */
export interface Gap {
  readonly missingId: string;
  /** The depth of the event that follows it. */
  readonly depth: number;
  readonly senderNum: number;
}

/** Events in their orders: by live position for sync and followers, by depth and position for history. */
export interface Timeline {
  /** A room's newest events with positions in (after, upTo], oldest first; `limited` says that there were more than `limit`. */
  newest(roomNum: number, after: number, upTo: number, limit: number): Promise<{ events: readonly RoomEvent[]; limited: boolean }>;
  /** A room's events at or before a place in its history, newest first. */
  backwards(roomNum: number, point: HistoryPoint, limit: number): Promise<readonly RoomEvent[]>;
  /** A room's events after a place in its history, oldest first. */
  forwards(roomNum: number, point: HistoryPoint, limit: number): Promise<readonly RoomEvent[]>;
  /** A room's events after a place by the times that they claim, or before it, the nearest first. */
  byTime(roomNum: number, direction: 'b' | 'f', point: TimePoint, limit: number): Promise<readonly RoomEvent[]>;
  /** What is missing before events of the room's timeline whose depths are in (after, upTo], before the deepest first. */
  gaps(roomNum: number, after: number, upTo: number, limit: number): Promise<readonly Gap[]>;
  /** Live events of all rooms with positions in (from, to], oldest first. */
  between(from: number, to: number, limit: number): Promise<readonly RoomEvent[]>;
  /** Changes of rooms' current states at positions in (from, to] that have no event of their own there, because state was resolved anew; oldest first. */
  silentChanges(from: number, to: number): Promise<readonly SilentChange[]>;
  /** The root of a room's current state as it was at a live position; the empty state before its first event. */
  rootAt(roomNum: number, position: number): Promise<NodeId>;
  /** The same of many rooms, by number; without those that had no event yet. */
  rootsAt(roomNums: readonly number[], position: number): Promise<ReadonlyMap<number, NodeId>>;
  /** Takes in events that have just become durable, in the order of their positions. */
  remember(events: readonly RoomEvent[]): void;
  /** Forgets what memory holds: it may miss events. */
  forget(): void;
}

/** So many of the server's latest events can be given without asking the database. */
const RECENT = 2000;
/** So many of one room's latest. */
const ROOM_RECENT = 100;
const MAX_ROOMS = 2000;

/** The latest events of a room, oldest first, and the position after which they are all. */
interface RecentEvents {
  events: RoomEvent[];
  since: number;
}

/** With other processes writing events too (`soleWriter` false) memory is not complete and is not asked. */
export const createTimeline = (database: Database, events: Events, soleWriter: boolean): Timeline => {
  const rooms = new Map<number, RecentEvents>();
  const server: RecentEvents = { events: [], since: database.positions.current('events').min };

  const append = (recent: RecentEvents, event: RoomEvent, most: number): void => {
    recent.events.push(event);
    if (recent.events.length <= most * 2) return;
    const dropped = recent.events.splice(0, recent.events.length - most);
    recent.since = dropped.at(-1)?.position ?? recent.since;
  };

  const remember = (added: readonly RoomEvent[]): void => {
    for (const event of added) {
      if (event.position === undefined || event.position < 0) continue;
      let room = rooms.get(event.roomNum);
      if (room === undefined) {
        // Nothing is known of the room before this event: complete from here on.
        room = { events: [], since: event.position - 1 };
        rooms.set(event.roomNum, room);
        const oldest = rooms.size > MAX_ROOMS ? rooms.keys().next().value : undefined;
        if (oldest !== undefined) rooms.delete(oldest);
      }
      if (server.since === Number.POSITIVE_INFINITY) server.since = event.position - 1;
      append(room, event, ROOM_RECENT);
      append(server, event, RECENT);
    }
  };

  const from = (recent: RecentEvents | undefined, after: number): readonly RoomEvent[] | undefined => {
    if (!soleWriter || recent === undefined || after < recent.since) return undefined;
    const first = recent.events.findLastIndex((event) => (event.position as number) <= after) + 1;
    return recent.events.slice(first);
  };

  /** Memory holds events as they were when they became durable; the cache knows what a redaction has made of them since. */
  const latest = (event: RoomEvent): RoomEvent => events.peek(event.num) ?? event;

  const list = async (
    name: string,
    nums: (reader: Parameters<Parameters<Database['read']>[1]>[0]) => Promise<number[]>,
  ): Promise<RoomEvent[]> => database.read(name, async (reader) => events.list(await nums(reader), reader));

  const rootsOf: Timeline['rootsAt'] = async (roomNums, position) =>
    roomNums.length === 0 ? new Map() : database.read('states at position', async (reader) => rootsAt(reader, roomNums, position));

  return {
    newest: async (roomNum, after, upTo, limit) => {
      const known = from(rooms.get(roomNum), after)?.filter((event) => (event.position as number) <= upTo);
      if (known !== undefined) return { events: known.slice(Math.max(0, known.length - limit)).map(latest), limited: known.length > limit };
      const found = await list('room timeline', async (reader) => roomEventNumsNewest(reader, roomNum, after, upTo, limit + 1));
      return { events: found.slice(0, limit).toReversed(), limited: found.length > limit };
    },
    backwards: async (roomNum, point, limit) =>
      list('history backwards', async (reader) => roomEventNumsBackwards(reader, roomNum, point, limit)),
    byTime: async (roomNum, direction, point, limit) =>
      list('history by time', async (reader) => roomEventNumsByTime(reader, roomNum, direction, point, limit)),
    forwards: async (roomNum, point, limit) =>
      list('history forwards', async (reader) => roomEventNumsForwards(reader, roomNum, point, limit)),
    gaps: async (roomNum, after, upTo, limit) =>
      (await database.read('gaps in history', async (reader) => gapsBetween(reader, roomNum, after, upTo, limit))).map((row) => ({
        missingId: row.missing_event_id,
        depth: row.depth,
        senderNum: row.sender_num,
      })),
    between: async (after, upTo, limit) => {
      const known = from(server, after)?.filter((event) => (event.position as number) <= upTo);
      if (known !== undefined) return known.slice(0, limit).map(latest);
      return list('events between', async (reader) => (await eventNumsBetween(reader, after, upTo, limit)).map((row) => row.event_num));
    },
    silentChanges: async (after, upTo) =>
      (await database.read('silent state changes', async (reader) => silentChangesBetween(reader, after, upTo))).map((row) => ({
        roomNum: row.room_num,
        position: row.stream_position,
      })),
    rootAt: async (roomNum, position) => (await rootsOf([roomNum], position)).get(roomNum) ?? '',
    rootsAt: rootsOf,
    remember,
    forget: () => {
      rooms.clear();
      server.events = [];
      // What is published now and was not remembered lies at or before the next event's place.
      server.since = Number.POSITIVE_INFINITY;
    },
  };
};
