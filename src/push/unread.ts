import type { Reader } from '#src/platform/database/types.ts';
import {
  type Correction,
  correctionsAfter,
  EVERYBODY,
  latestOfMain,
  MAIN_THREAD,
  type MemberRow,
  membersOfUser,
  type PastClass,
  pastClassesOfUser,
  runningAt,
  sentOfUser,
  type Series,
  seriesAfter,
} from '#src/push/counts-store.ts';
import type { IgnoredSpan } from '#src/push/ignored.ts';
import { isNone, minus, NONE, plus, type Running, type Tally } from '#src/push/running.ts';

/** Up to where a user has read a room by receipts; threads by their numbers. */
export interface MarkByNumber {
  readonly unthreaded: number;
  readonly threads: ReadonlyMap<number, number>;
}

/** What a user has not read of a room. */
export interface Unread {
  readonly classNum: number;
  /** By thread; those with nothing unread are left out. */
  readonly threads: ReadonlyMap<number, Tally>;
  /** No event after this position that was there to be read has counted for the user. */
  readonly upTo: number;
}

/** A stretch of positions, without its first and with its last. */
interface Stretch {
  readonly after: number;
  readonly upTo: number;
}

/** While a user belonged to a class. */
interface Belonging extends Stretch {
  readonly classNum: number;
}

/** Running counts at or before a position. */
type RunningAt = (series: Series, position: number) => Promise<Running>;

const FOR_EVER = Number.MAX_SAFE_INTEGER;

const belongingsOf = (member: MemberRow, past: readonly PastClass[]): readonly Belonging[] => {
  const starts = [...past, member];
  return starts.map((start, index) => ({
    classNum: start.class_num,
    after: start.since,
    upTo: starts[index + 1]?.since ?? FOR_EVER,
  }));
};

/** What a series counted for a user in a stretch. */
const countedIn = async (series: Series, belongings: readonly Belonging[], stretch: Stretch, at: RunningAt): Promise<Tally> => {
  let sum = NONE;
  for (const { classNum, after, upTo } of belongings) {
    const from = Math.max(after, stretch.after);
    const to = Math.min(upTo, stretch.upTo);
    if (from >= to) continue;
    const [end, start] = [await at(series, to), await at(series, from)];
    sum = plus(sum, minus(end.get(classNum) ?? NONE, start.get(classNum) ?? NONE));
  }
  return sum;
};

/** All that is written down about a user and a room. */
interface RoomFacts {
  readonly belongings: readonly Belonging[];
  readonly series: readonly Series[];
  readonly corrections: readonly Correction[];
  readonly spans: readonly IgnoredSpan[];
  readonly readUpTo: (threadNum: number) => number;
  readonly at: RunningAt;
}

const threadsOf = async ({ belongings, series, corrections, spans, readUpTo, at }: RoomFacts): Promise<ReadonlyMap<number, Tally>> => {
  const threads = new Map<number, Tally>();
  const add = (threadNum: number, tally: Tally): void => void threads.set(threadNum, plus(threads.get(threadNum) ?? NONE, tally));
  for (const each of series) {
    const unread: Stretch = { after: readUpTo(each.threadNum), upTo: FOR_EVER };
    if (each.senderNum === EVERYBODY) {
      add(each.threadNum, await countedIn(each, belongings, unread, at));
      continue;
    }
    for (const { senderNum, since, until } of spans) {
      if (senderNum !== each.senderNum) continue;
      const ignored: Stretch = { after: Math.max(unread.after, since), upTo: until };
      add(each.threadNum, minus(NONE, await countedIn(each, belongings, ignored, at)));
    }
  }
  for (const row of corrections) {
    const { who, position } = row;
    const isIgnored = spans.some(({ senderNum, since, until }) => senderNum === row.sender_num && since < position && position <= until);
    const isOfUser = who > 0 || belongings.some(({ classNum, after, upTo }) => classNum === -who && after < position && position <= upTo);
    if (position > readUpTo(row.thread_num) && isOfUser && !isIgnored) add(row.thread_num, row);
  }
  for (const [threadNum, tally] of threads) if (isNone(tally)) threads.delete(threadNum);
  return threads;
};

const byRoom = <Row extends { readonly room_num: number }>(rows: readonly Row[]): ReadonlyMap<number, readonly Row[]> =>
  Map.groupBy(rows, (row) => row.room_num);

/** Running counts as the database has them; those at the end of main timelines have been read already. */
const readRunning = (reader: Reader, latest: Awaited<ReturnType<typeof latestOfMain>>): RunningAt => {
  const known = new Map<string, Running>();
  return async (series, position) => {
    const end = series.senderNum === EVERYBODY && series.threadNum === MAIN_THREAD ? latest.get(series.roomNum) : undefined;
    if (end !== undefined && end.position <= position) return end.running;
    const key = `${series.roomNum}/${series.senderNum}/${series.threadNum}/${position}`;
    const found = known.get(key) ?? (await runningAt(reader, series, position)).running;
    known.set(key, found);
    return found;
  };
};

/**
 * What a user has not read, from the running counts: those now, less those where the user has read up to, for each class that the user has belonged to
 * since; with the corrections in between. Costs a few rows a room and thread, however much is unread.
 */
export const readUnread = async (
  reader: Reader,
  userNum: number,
  roomNums: readonly number[],
  marks: ReadonlyMap<number, MarkByNumber>,
  spans: readonly IgnoredSpan[],
): Promise<ReadonlyMap<number, Unread>> => {
  const members = await membersOfUser(reader, userNum, roomNums);
  if (members.length === 0) return new Map();
  const nums = members.map((member) => member.room_num);
  const past = byRoom(await pastClassesOfUser(reader, userNum, nums));
  const sent = byRoom(await sentOfUser(reader, userNum, nums));
  const latest = await latestOfMain(reader, userNum, nums);
  const rooms = members.map((member) => {
    const roomNum = member.room_num;
    const mark = marks.get(roomNum);
    const everywhere = Math.max(member.joined, mark?.unthreaded ?? 0);
    const inThreads = new Map(mark?.threads);
    for (const { thread_num: threadNum, position } of sent.get(roomNum) ?? [])
      inThreads.set(threadNum, Math.max(position, inThreads.get(threadNum) ?? 0));
    return {
      roomNum,
      member,
      everywhere,
      belongings: belongingsOf(member, past.get(roomNum) ?? []),
      readUpTo: (threadNum: number) => Math.max(everywhere, inThreads.get(threadNum) ?? 0),
    };
  });
  const oldest = Math.min(...rooms.map((room) => room.everywhere));
  const senders = [EVERYBODY, ...new Set(spans.map((span) => span.senderNum))];
  const others = Map.groupBy(await seriesAfter(reader, nums, senders, oldest), (series) => series.roomNum);
  const who = [userNum, ...new Set(rooms.flatMap((room) => room.belongings.map(({ classNum }) => -classNum)))];
  const corrections = byRoom(await correctionsAfter(reader, nums, who, oldest));
  const at = readRunning(reader, latest);
  const unread = new Map<number, Unread>();
  for (const { roomNum, member, belongings, readUpTo } of rooms) {
    const main: Series = { roomNum, senderNum: EVERYBODY, threadNum: MAIN_THREAD };
    const series = [...((latest.get(roomNum)?.position ?? 0) > readUpTo(MAIN_THREAD) ? [main] : []), ...(others.get(roomNum) ?? [])];
    const corrected = corrections.get(roomNum) ?? [];
    const threads = await threadsOf({ belongings, series, corrections: corrected, spans, readUpTo, at });
    const positions = [...(others.get(roomNum) ?? []), ...corrected].map((row) => row.position);
    const upTo = Math.max(member.joined, latest.get(roomNum)?.position ?? 0, ...positions);
    unread.set(roomNum, { classNum: member.class_num, threads, upTo });
  }
  return unread;
};
