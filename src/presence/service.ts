import { forbidden, invalidParam, unknown } from '#src/protocol/errors.ts';
import { domainOf, isUserId } from '#src/protocol/identifiers.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { RateLimiter } from '#src/platform/http/rate-limits.ts';
import type { Jobs } from '#src/platform/jobs/index.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import type { Requester } from '#src/accounts/index.ts';
import { EVENTS_STREAM, isAccepted, type RoomGraph } from '#src/rooms/graph/index.ts';
import { type Book, stepOf, type Who } from '#src/presence/book.ts';
import { createChanges, type Rooms } from '#src/presence/changes.ts';
import { heardOf } from '#src/presence/incoming.ts';
import { MAX_STATUS_BYTES } from '#src/presence/limits.ts';
import type { PresenceMetrics } from '#src/presence/metrics.ts';
import { createPresenceSource, type PresenceSource, thoseIn } from '#src/presence/source.ts';
import { contentOf, type Presence as State, PRESENCES, type Timings } from '#src/presence/states.ts';
import { joinedRoomsOf } from '#src/presence/store.ts';
import { createToServers, type ToServers } from '#src/presence/to-servers.ts';
import { createWakes } from '#src/presence/wakes.ts';

/** Who is online (client-server API, "Presence"). */
export interface Presence {
  /**
   * How a user is. Throws `invalidParam` for what is no user id, `forbidden` for somebody with whom the requester shares no room. Where presence is off,
   * everybody is offline.
   */
  of(requester: Requester, userId: string): Promise<JsonObject>;
  /**
   * A user says how things are; where presence is off, in vain. Throws `invalidParam` for what is no user id, `forbidden` for another user, `limitExceeded`, `unknown` for a presence that there is
   * not, `invalidParam` for too long a message.
   */
  set(requester: Requester, userId: string, presence: string, statusMessage: string | undefined): Promise<void>;
  /** Somebody syncs, until what this answers is called. */
  seen(who: Who, presence: State): Promise<() => void>;
  /** What another server says in an EDU `m.presence`. */
  receive(origin: string, content: JsonObject): Promise<void>;
  readonly source: PresenceSource;
  /** Calls with what other servers are to be told of users of this server, about a second after it has changed. */
  readonly onOwn: ToServers['onOwn'];
  /** Stops following, and writes what has changed. */
  close(): Promise<void>;
}

export interface PresenceTools {
  readonly book: Book;
  readonly database: Database;
  readonly strings: Pick<Strings, 'numOf' | 'numsOf' | 'textOf'>;
  readonly clock: Clock;
  readonly jobs: Jobs;
  readonly graph: Pick<RoomGraph, 'room' | 'timeline'> & { readonly memberships: Pick<RoomGraph['memberships'], 'ofUser'> };
  readonly config: Pick<Config, 'server_name' | 'presence' | 'exclude_rooms_from_presence' | 'experimental_features'>;
  readonly limiter: Pick<RateLimiter, 'check'>;
  readonly metrics: PresenceMetrics;
  readonly log: Logger;
}

const MEMBER = 'm.room.member';
const WRITE_INTERVAL_MS = 5000;
const AT_ONCE = 500;
const EVENTS_AT_ONCE = 1000;
const NO_ROOMS: ReadonlySet<number> = new Set();

export const timingsOf = ({ presence }: Pick<Config, 'presence'>): Timings => ({
  activeMs: presence.last_active_granularity,
  offlineMs: presence.sync_online_timeout,
  idleMs: presence.idle_timeout,
});

/** Whether presence comes of what users do. */
export const isTracked = ({ presence }: Pick<Config, 'presence'>): boolean => presence.enabled === true;

const checkUserId = (text: string): void => {
  if (!isUserId(text)) throw invalidParam('That is not a valid user ID');
};

export const createPresence = (tools: PresenceTools): Presence => {
  const { book, database, strings, clock, jobs, graph, config, limiter, log } = tools;
  const tracks = isTracked(config);
  const changes = createChanges(clock, book.startPosition);
  const wakes = createWakes(clock);
  const toServers = createToServers(tools);
  const allowed = PRESENCES.filter((each) => each !== 'busy' || config.experimental_features.msc3026_enabled);
  let working = Promise.resolve();

  /** Rooms by which nobody sees anybody (`exclude_rooms_from_presence`). */
  const excluded = async (): Promise<ReadonlySet<number>> => {
    if (config.exclude_rooms_from_presence.length === 0) return NO_ROOMS;
    const rooms = await Promise.all(config.exclude_rooms_from_presence.map((roomId) => graph.room(roomId)));
    return new Set(rooms.flatMap((room) => room?.num ?? []));
  };

  const viewOf = async (userNum: number): Promise<Rooms> => {
    const without = await excluded();
    const rows = await graph.memberships.ofUser(userNum);
    return {
      size: rows.size,
      has: (roomNum) => rows.get(roomNum)?.membership === 'join' && !without.has(roomNum),
      keys: () => rows.keys(),
    };
  };

  const roomsOf = async (userNum: number): Promise<ReadonlySet<number>> => {
    const rooms = await viewOf(userNum);
    return new Set([...rooms.keys()].filter((roomNum) => rooms.has(roomNum)));
  };

  const roomsOfSome = async (userNums: readonly number[]): Promise<ReadonlyMap<number, ReadonlySet<number>>> => {
    const [first] = userNums;
    // One who has just done something is in memory.
    if (first !== undefined && userNums.length === 1) return new Map([[first, await roomsOf(first)]]);
    const without = await excluded();
    const rows = await database.read('rooms of those changed', (reader) => joinedRoomsOf(reader, userNums));
    const found = new Map<number, Set<number>>();
    for (const { user_num: userNum, room_num: roomNum } of rows) {
      if (without.has(roomNum)) continue;
      const rooms = found.get(userNum);
      if (rooms === undefined) found.set(userNum, new Set([roomNum]));
      else rooms.add(roomNum);
    }
    return found;
  };

  /** Gives changes their places in the stream, for those who share rooms with whose they are. */
  const place = async (userNums: readonly number[]): Promise<void> => {
    for (let first = 0; first < userNums.length; first += AT_ONCE) {
      const some = userNums.slice(first, first + AT_ONCE);
      const rooms = await roomsOfSome(some);
      for (const userNum of some) {
        const inRooms = rooms.get(userNum) ?? [];
        book.placed(userNum, changes.add(userNum, inRooms, true));
        wakes.add([userNum], inRooms);
        if (book.of(userNum)?.isLocal === true) toServers.add(userNum, inRooms);
      }
    }
  };

  book.onNews(async (userNums) =>
    place(userNums).catch((error: unknown) => log.warn({ err: error }, 'A change of presence could not be told')),
  );

  book.onRepeat(async (userNums) => {
    for (let first = 0; first < userNums.length; first += AT_ONCE)
      for (const [userNum, inRooms] of await roomsOfSome(userNums.slice(first, first + AT_ONCE))) toServers.add(userNum, inRooms);
  });

  /** A server from which somebody has come into a room is told of those who are there. */
  const tellServer = async (roomNum: number, server: string): Promise<void> => {
    const here = [...book.all()].flatMap(({ user }) => (user.isLocal && user.presence !== 'offline' ? [user.userNum] : []));
    for (const userNum of await thoseIn(database, new Set([roomNum]), here)) toServers.addServer(userNum, server);
  };

  /** Those in a room, and their servers, are told of who has come into it. */
  const noteJoins = async (after: number, upTo: number): Promise<void> => {
    let without: ReadonlySet<number> | undefined;
    for (let from = after; from < upTo;) {
      const events = await graph.timeline.between(from, upTo, EVENTS_AT_ONCE);
      for (const event of events) {
        const { roomNum, stateKeyNum, pdu } = event;
        if (pdu.type !== MEMBER || pdu.content.membership !== 'join' || stateKeyNum === undefined || !isAccepted(event)) continue;
        without ??= await excluded();
        if (without.has(roomNum)) continue;
        const server = domainOf(pdu.state_key ?? '');
        if (server !== undefined && server !== config.server_name) await tellServer(roomNum, server);
        const user = book.of(stateKeyNum);
        if (user === undefined || user.presence === 'offline') continue;
        if (user.isLocal) toServers.add(stateKeyNum, [roomNum]);
        changes.add(stateKeyNum, [roomNum], false);
        wakes.add([], [roomNum]);
      }
      from = events.length < EVENTS_AT_ONCE ? upTo : (events.at(-1)?.position ?? upTo);
    }
  };

  const eventsNow = (): number => database.positions.current(EVENTS_STREAM).min;
  let noted = eventsNow();
  const unsubscribe = !tracks
    ? () => undefined
    : database.positions.subscribe((streams) => {
        if (!streams.has(EVENTS_STREAM)) return;
        const [after, upTo] = [noted, eventsNow()];
        noted = upTo;
        if (book.all()[Symbol.iterator]().next().done === true) return;
        working = working
          .then(() => noteJoins(after, upTo))
          .catch((error: unknown) => log.warn({ err: error }, 'Rooms could not be told of the presence of who came in'));
      });

  if (tracks) {
    jobs.every('presence grows old', stepOf(timingsOf(config)), async () => book.lookAgain());
    jobs.every('write presence', WRITE_INTERVAL_MS, async () => book.write(changes.reachesBackTo()));
  }

  const maySee = async (requester: Requester, userNum: number): Promise<boolean> => {
    if (userNum === requester.userNum) return true;
    const [mine, theirs] = [await roomsOf(requester.userNum), await roomsOf(userNum)];
    return !mine.isDisjointFrom(theirs);
  };

  return {
    of: async (requester, userId) => {
      checkUserId(userId);
      if (config.presence.enabled === false) return { presence: 'offline' };
      const userNum = await strings.numOf(userId);
      if (userNum === undefined || !(await maySee(requester, userNum))) throw forbidden('You are not allowed to see their presence.');
      return contentOf(await book.current(userNum, userId), clock.now());
    },
    set: async (requester, userId, presence, statusMessage) => {
      checkUserId(userId);
      if (userId !== requester.userId) throw forbidden('Can only set your own presence state');
      limiter.check(userId);
      if (!tracks) return;
      const state = allowed.find((each) => each === presence);
      if (state === undefined) throw unknown('Invalid presence state');
      if (Buffer.byteLength(statusMessage ?? '') > MAX_STATUS_BYTES) throw invalidParam('status_msg is too long');
      await book.set(requester, state, statusMessage);
    },
    seen: book.startSync,
    receive: async (origin, content) => {
      const told = tracks ? heardOf(origin, content, clock.now()) : [];
      if (told.length === 0) return;
      const nums = await strings.numsOf(told.map(({ userId }) => userId));
      const rooms = await roomsOfSome([...nums.values()]);
      const heard = told.flatMap((each) => {
        const userNum = nums.get(each.userId);
        const isHere = userNum !== undefined && (rooms.get(userNum)?.size ?? 0) > 0;
        return isHere && allowed.includes(each.presence) ? [{ ...each, userNum }] : [];
      });
      await book.hear(heard);
    },
    onOwn: toServers.onOwn,
    source: createPresenceSource({
      ...tools,
      changes,
      roomsOf,
      viewOf,
      includesOffline: config.presence.include_offline_users_on_sync,
      follow: wakes.follow,
    }),
    close: async () => {
      unsubscribe();
      wakes.close();
      await working;
      await toServers.close();
      if (tracks) await book.writeAll();
    },
  };
};
