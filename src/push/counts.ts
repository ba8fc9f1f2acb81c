import { entryCache } from '#src/platform/cache/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import { EVENTS_STREAM, type RoomGraph } from '#src/rooms/graph/index.ts';
import { MAIN_THREAD } from '#src/push/counts-store.ts';
import type { Ignored } from '#src/push/ignored.ts';
import { MAIN, NO_MARK, type ReadMark, type ReadMarks } from '#src/push/ports.ts';
import type { CountedEvent, RecentCounts } from '#src/push/recent.ts';
import { NONE, plus, type Tally } from '#src/push/running.ts';
import { type MarkByNumber, readUnread, type Unread } from '#src/push/unread.ts';

/** How much of a room a user has not read; threads by the ids of their roots. */
export interface RoomCounts extends Tally {
  readonly threads: ReadonlyMap<string, Tally>;
}

/** How much of rooms a user has not read, as sync asks for it. */
export interface UnreadCounts {
  /** Rooms without an entry have nothing unread. `byThread` keeps threads' counts apart. */
  of(reader: { readonly userNum: number }, roomNums: readonly number[], byThread: boolean): Promise<ReadonlyMap<number, RoomCounts>>;
}

export interface CountsTools {
  readonly database: Database;
  readonly graph: Pick<RoomGraph, 'events'>;
  readonly readMarks: ReadMarks;
  readonly ignored: Ignored;
  readonly recent: RecentCounts;
}

/** Counts as they were at a position of the events' stream. */
interface Known extends Unread {
  readonly mark: ReadMark;
}

const MAX_KNOWN = 50_000;

const sameMark = (a: ReadMark, b: ReadMark): boolean =>
  a === b ||
  (a.unthreaded === b.unthreaded &&
    a.threads.size === b.threads.size &&
    [...a.threads].every(([id, position]) => b.threads.get(id) === position));

/** The counts with one more event; undefined where it takes more than adding. */
const withEvent = (known: Known, userNum: number, event: CountedEvent, ignored: Ignored): Known | undefined => {
  if (event.senderNum === userNum || ignored.isIgnored(event.senderNum)) return undefined;
  const outcome = event.outcomes.get(known.classNum) ?? NONE;
  const tally = plus(outcome, event.differences.get(userNum) ?? NONE);
  if (tally.notifications === 0 && tally.highlights === 0) return { ...known, upTo: event.position };
  const threads = new Map(known.threads);
  threads.set(event.threadNum, plus(threads.get(event.threadNum) ?? NONE, tally));
  return { ...known, upTo: event.position, threads };
};

/** Answers counts: carried on from the last answer by the events since, or read anew where something else has happened. */
export const createUnreadCounts = ({ database, graph, readMarks, ignored, recent }: CountsTools): UnreadCounts => {
  const cache = entryCache<string, Known>(MAX_KNOWN);

  const carryOn = (userNum: number, roomNum: number, mark: ReadMark): Known | undefined => {
    const key = `${userNum}/${roomNum}`;
    let known = cache.get(key);
    if (known === undefined || !sameMark(known.mark, mark)) return undefined;
    const events = recent.after(roomNum, userNum, known.upTo);
    if (events === undefined) return undefined;
    for (const event of events) {
      known = withEvent(known, userNum, event, ignored);
      if (known === undefined) return undefined;
    }
    cache.set(key, known);
    return known;
  };

  const numbered = async (marks: ReadonlyMap<number, ReadMark>): Promise<ReadonlyMap<number, MarkByNumber>> => {
    const ids = [...marks.values()].flatMap((mark) => [...mark.threads.keys()].filter((id) => id !== MAIN));
    const events = ids.length === 0 ? undefined : await graph.events.byIds(ids);
    const numOf = (id: string): number | undefined => (id === MAIN ? MAIN_THREAD : events?.get(id)?.num);
    return new Map(
      [...marks].map(([roomNum, { unthreaded, threads }]) => {
        const byNum = [...threads].flatMap(([id, position]): [number, number][] => {
          const num = numOf(id);
          return num === undefined ? [] : [[num, position]];
        });
        return [roomNum, { unthreaded: unthreaded ?? 0, threads: new Map(byNum) }];
      }),
    );
  };

  const readAnew = async (
    userNum: number,
    roomNums: readonly number[],
    marks: ReadonlyMap<number, ReadMark>,
  ): Promise<ReadonlyMap<number, Unread>> => {
    const published = database.positions.current(EVENTS_STREAM).min;
    const byNumber = await numbered(marks);
    const unread = await database.read('unread counts', async (reader) =>
      readUnread(reader, userNum, roomNums, byNumber, await ignored.spansOf(reader, userNum)),
    );
    // What was published before has been read; of what came meanwhile the reading itself tells.
    for (const [roomNum, each] of unread)
      cache.set(`${userNum}/${roomNum}`, { ...each, upTo: Math.max(published, each.upTo), mark: marks.get(roomNum) ?? NO_MARK });
    return unread;
  };

  const idsOf = async (found: ReadonlyMap<number, Unread>): Promise<ReadonlyMap<number, string>> => {
    const nums = new Set([...found.values()].flatMap(({ threads }) => [...threads.keys()]));
    nums.delete(MAIN_THREAD);
    if (nums.size === 0) return new Map();
    return new Map([...(await graph.events.byNums([...nums]))].map(([num, event]) => [num, event.eventId]));
  };

  return {
    of: async ({ userNum }, roomNums, byThread) => {
      const marks = await readMarks.of(userNum, roomNums);
      const found = new Map<number, Unread>();
      const missing: number[] = [];
      for (const roomNum of roomNums) {
        const known = carryOn(userNum, roomNum, marks.get(roomNum) ?? NO_MARK);
        if (known === undefined) missing.push(roomNum);
        else found.set(roomNum, known);
      }
      if (missing.length > 0) for (const [roomNum, unread] of await readAnew(userNum, missing, marks)) found.set(roomNum, unread);
      const ids = byThread ? await idsOf(found) : undefined;
      const counts = new Map<number, RoomCounts>();
      for (const [roomNum, { threads }] of found) {
        if (threads.size === 0) continue;
        const named = new Map<string, Tally>();
        let sum = NONE;
        for (const [threadNum, tally] of threads) {
          const id = threadNum === MAIN_THREAD ? undefined : ids?.get(threadNum);
          if (id === undefined) sum = plus(sum, tally);
          else named.set(id, tally);
        }
        counts.set(roomNum, { ...sum, threads: named });
      }
      return counts;
    },
  };
};
