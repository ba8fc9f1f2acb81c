import type { Outcome } from '#src/push/classes.ts';
import type { Tally } from '#src/push/running.ts';

/** What one event has counted. */
export interface CountedEvent {
  readonly position: number;
  readonly threadNum: number;
  readonly senderNum: number;
  readonly outcomes: ReadonlyMap<number, Outcome>;
  readonly differences: ReadonlyMap<number, Tally>;
}

/** What a batch of a room has counted, as it became durable. */
export interface CountedBatch {
  readonly events: readonly CountedEvent[];
  /** Whose counts cannot be told from the events: who has come, gone, or come into another class. */
  readonly disturbed: readonly number[];
  /** An event was redacted: nobody's can. */
  readonly redacted: boolean;
}

interface Tail {
  readonly events: CountedEvent[];
  /** The position after which `events` has everything that happened to everybody. */
  since: number;
  /** The same for single users, where it is later. */
  readonly disturbed: Map<number, number>;
}

/** The latest events of rooms, from which counts are carried on without asking the database. */
export interface RecentCounts {
  remember(roomNum: number, upTo: number, batch: CountedBatch): void;
  /** What a room has counted after a position, for a user; undefined when memory does not tell. */
  after(roomNum: number, userNum: number, position: number): readonly CountedEvent[] | undefined;
}

const MAX_EVENTS = 200;
const MAX_DISTURBED = 1000;
const MAX_ROOMS = 2000;

/** `now` is where the stream of events stands as this is made: nothing is known of what was before. */
export const createRecentCounts = (now: number): RecentCounts => {
  const rooms = new Map<number, Tail>();
  /** Of rooms that are not in `rooms` nothing has happened after this position. */
  let since = now;

  const tailOf = (roomNum: number): Tail => {
    const known = rooms.get(roomNum);
    rooms.delete(roomNum);
    const tail = known ?? { events: [], since, disturbed: new Map() };
    rooms.set(roomNum, tail);
    if (rooms.size > MAX_ROOMS) {
      const [oldest] = rooms.entries();
      if (oldest !== undefined) {
        since = Math.max(
          since,
          oldest[1].since,
          ...oldest[1].events.slice(-1).map((event) => event.position),
          ...oldest[1].disturbed.values(),
        );
        rooms.delete(oldest[0]);
      }
    }
    return tail;
  };

  return {
    remember: (roomNum, upTo, { events, disturbed, redacted }) => {
      const tail = tailOf(roomNum);
      tail.events.push(...events);
      for (const userNum of disturbed) tail.disturbed.set(userNum, upTo);
      if (redacted || tail.disturbed.size > MAX_DISTURBED) {
        tail.since = upTo;
        tail.disturbed.clear();
        tail.events.length = 0;
      }
      if (tail.events.length > MAX_EVENTS) {
        const dropped = tail.events.splice(0, tail.events.length - MAX_EVENTS / 2);
        tail.since = Math.max(tail.since, dropped.at(-1)?.position ?? 0);
      }
    },
    after: (roomNum, userNum, position) => {
      const tail = rooms.get(roomNum);
      if (position < (tail?.since ?? since) || position < (tail?.disturbed.get(userNum) ?? 0)) return undefined;
      if (tail === undefined) return [];
      const first = tail.events.findLastIndex((event) => event.position <= position) + 1;
      return tail.events.slice(first);
    },
  };
};
