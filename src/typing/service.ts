import { forbidden, MatrixError } from '#src/protocol/errors.ts';
import type { Random } from '#src/platform/random.ts';
import { createVolatileStream } from '#src/platform/streams/volatile.ts';
import type { Requester } from '#src/accounts/index.ts';
import type { RoomGraph } from '#src/rooms/graph/index.ts';

/** What sync shows of a room's typists. */
export interface TypingEvent {
  readonly type: 'm.typing';
  readonly content: { readonly user_ids: readonly string[] };
}

/** Typing as a stream of `/sync`. */
export interface TypingSource {
  readonly part: 'typing';
  now(): { readonly position: number; readonly epoch: string | undefined };
  follow(wake: { room(roomNum: number): void }): void;
  ephemeral(
    reader: unknown,
    roomNums: readonly number[],
    span: { readonly after: number | undefined },
  ): Promise<ReadonlyMap<number, readonly TypingEvent[]>>;
}

export interface Typing {
  /** Says that somebody types, for at most `timeoutMs`, or has stopped. Throws `forbidden` for who is not in the room. */
  set(requester: Requester, roomId: string, userId: string, isTyping: boolean, timeoutMs: number): Promise<void>;
  /** Another server says that a user of its types, which holds for a minute, or has stopped. */
  receive(roomNum: number, userNum: number, userId: string, isTyping: boolean): Promise<void>;
  /** Calls whenever a user of this server says that he types, and when he has stopped. */
  onOwn(listener: (roomNum: number, userId: string, isTyping: boolean) => void): void;
  readonly source: TypingSource;
  /** Forgets everybody. */
  close(): void;
}

/** Who types in a room, by number. */
type Typists = ReadonlyMap<number, string>;

const MAX_TIMEOUT_MS = 120_000;

/** As long as Synapse believes another server that somebody types. */
const REMOTE_TIMEOUT_MS = 60_000;

const NOBODY: Typists = new Map();

/** Who is typing lives in memory only: a restart forgets it, and tells clients so by a new epoch. */
export const createTyping = ({ graph, random }: { graph: Pick<RoomGraph, 'room' | 'memberships'>; random: Random }): Typing => {
  const stream = createVolatileStream<Typists>(random);
  const timers = new Map<string, NodeJS.Timeout>();
  const listeners: ((roomNum: number, userId: string, isTyping: boolean) => void)[] = [];
  const tell = (roomNum: number, userId: string, isTyping: boolean): void => {
    for (const listener of listeners) listener(roomNum, userId, isTyping);
  };

  const change = (roomNum: number, userNum: number, userId: string | undefined): void => {
    const key = String(roomNum);
    const before = stream.get(key) ?? NOBODY;
    if (before.get(userNum) === userId) return;
    const typists = new Map(before);
    if (userId === undefined) typists.delete(userNum);
    else typists.set(userNum, userId);
    if (typists.size === 0) stream.remove(key);
    else stream.set(key, typists);
  };

  const stopTimer = (name: string): void => {
    clearTimeout(timers.get(name));
    timers.delete(name);
  };

  const note = (
    roomNum: number,
    userNum: number,
    userId: string | undefined,
    timeoutMs: number,
    onExpired: () => void = () => undefined,
  ): void => {
    const name = `${String(roomNum)}/${String(userNum)}`;
    stopTimer(name);
    change(roomNum, userNum, userId);
    if (userId === undefined) return;
    const expire = (): void => {
      timers.delete(name);
      change(roomNum, userNum, undefined);
      onExpired();
    };
    timers.set(name, setTimeout(expire, Math.min(Math.max(0, timeoutMs), MAX_TIMEOUT_MS)).unref());
  };

  const isJoined = async (roomNum: number, userNum: number): Promise<boolean> =>
    (await graph.memberships.in(roomNum, userNum))?.membership === 'join';

  /** Those who have left meanwhile type no more. */
  const eventFor = async (roomNum: number, typists: Typists): Promise<TypingEvent> => {
    const userIds: string[] = [];
    for (const [userNum, userId] of typists) if (await isJoined(roomNum, userNum)) userIds.push(userId);
    return { type: 'm.typing', content: { user_ids: userIds } };
  };

  const now: TypingSource['now'] = () => {
    const [epoch, position] = stream.token().split('.');
    return { epoch, position: Number(position) };
  };

  return {
    set: async (requester, roomId, userId, isTyping, timeoutMs) => {
      if (userId !== requester.userId) throw new MatrixError(400, 'M_FORBIDDEN', "Cannot set another user's typing state");
      const room = await graph.room(roomId);
      if (room === undefined || !(await isJoined(room.num, requester.userNum)))
        throw forbidden(`User ${requester.userId} not in room ${roomId}`);
      note(room.num, requester.userNum, isTyping ? userId : undefined, timeoutMs, () => tell(room.num, userId, false));
      tell(room.num, userId, isTyping);
    },
    receive: async (roomNum, userNum, userId, isTyping) => {
      if (await isJoined(roomNum, userNum)) note(roomNum, userNum, isTyping ? userId : undefined, REMOTE_TIMEOUT_MS);
    },
    onOwn: (listener) => void listeners.push(listener),
    source: {
      part: 'typing',
      now,
      follow: (wake) => {
        stream.subscribe((key) => wake.room(Number(key)));
      },
      ephemeral: async (_reader, roomNums, { after }) => {
        const since = after === undefined ? ('everything' as const) : stream.since(`${now().epoch ?? ''}.${String(after)}`);
        const rows: ReadonlyMap<string, Typists | undefined> = since === 'everything' ? stream.all().rows : since.changes;
        const wanted = new Set(roomNums);
        const events = new Map<number, readonly TypingEvent[]>();
        for (const [key, typists] of rows)
          if (wanted.has(Number(key))) events.set(Number(key), [await eventFor(Number(key), typists ?? NOBODY)]);
        return events;
      },
    },
    close: () => {
      for (const name of timers.keys()) stopTimer(name);
    },
  };
};
