import type { Requester } from '#src/accounts/index.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { BackgroundUpdates } from '#src/platform/database/background-updates.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Follower, Followers } from '#src/platform/streams/followers.ts';
import { unknown } from '#src/protocol/errors.ts';
import { isRoomId } from '#src/protocol/identifiers.ts';
import { type RoomEventFilter, roomEventFilterOf } from '#src/filters/index.ts';
import { EVENTS_STREAM, PAST_STREAM, type RoomGraph, type RoomInfo } from '#src/rooms/graph/index.ts';
import type { History } from '#src/rooms/history/index.ts';
import { type AnswerWish, type ContextWish, createWriteAnswer } from '#src/search/answer.ts';
import { type Catch, createFind } from '#src/search/finder.ts';
import { createIndexer } from '#src/search/indexer.ts';
import { rebuildSearchIndex, SEARCH_INDEX } from '#src/search/rebuild.ts';
import { FIRST_PLACE } from '#src/search/store.ts';
import { parseTerm } from '#src/search/terms.ts';
import { SEARCH_KEYS, type SearchKey } from '#src/search/texts.ts';
import { parseNextBatch } from '#src/search/tokens.ts';

/** What is searched for in rooms (client-server API, "Room Events Criteria"). */
export interface Criteria {
  readonly term: string;
  readonly keys: readonly SearchKey[];
  /** A `RoomEventFilter` as JSON; not checked yet. */
  readonly filter: unknown;
  readonly orderBy: 'rank' | 'recent';
  readonly context: ContextWish | undefined;
  readonly withState: boolean;
  readonly groups: ReadonlySet<'room_id' | 'sender'>;
}

export interface Search {
  /**
   * Events of the rooms that the requester is in, as JSON text; `nextBatch` is the token of an earlier page. Throws `M_UNKNOWN` where searching is switched off, `M_BAD_JSON`
   * for a bad filter, `M_INVALID_PARAM` for a bad token.
   */
  search(requester: Requester, criteria: Criteria, nextBatch: string | undefined): Promise<string>;
  /** Follows the streams of events from now on. */
  follow(followers: Followers): Promise<void>;
}

export interface SearchTools {
  readonly database: Database;
  readonly graph: RoomGraph;
  readonly history: Pick<History, 'visibility' | 'siftRelated' | 'presenter' | 'reading'>;
  readonly backgroundUpdates: Pick<BackgroundUpdates, 'register'>;
  readonly config: Pick<Config, 'enable_search'>;
}

const DEFAULT_LIMIT = 10;
const MAX_LIMIT = 100;
/** So many rooms before one are looked for. */
const MAX_PREDECESSORS = 100;
/** Messages are gathered for so long, unless somebody searches. */
const GATHER_MS = 500;
/** Whoever searches waits no longer for the index to be current. */
const MAX_WAIT_MS = 2000;
const BATCH = 100;

const NOTHING: Catch = { hits: [], total: 0, next: undefined };

/** Searching messages on the server (client-server API, "Server Side Search"). */
export const createSearch = (tools: SearchTools): Search => {
  const { graph, backgroundUpdates, config } = tools;
  const indexer = createIndexer(tools);
  const find = createFind(tools);
  const write = createWriteAnswer(tools);
  const following: Follower[] = [];
  if (config.enable_search) backgroundUpdates.register(SEARCH_INDEX, rebuildSearchIndex);

  /** The rooms that a room was made to follow. */
  const predecessorsOf = async (roomId: string): Promise<string[]> => {
    const found: string[] = [];
    for (let at = roomId; found.length < MAX_PREDECESSORS;) {
      const room = await graph.room(at);
      const create = room && (await graph.currentState(room, 'm.room.create', ''));
      const { room_id: before } = (create?.pdu.content['predecessor'] ?? {}) as { room_id?: unknown };
      if (!isRoomId(before) || before === roomId || found.includes(before)) return found;
      found.push(before);
      at = before;
    }
    return found;
  };

  /** A filter of rooms is of those as well that they follow. */
  const withPredecessors = async (filter: RoomEventFilter): Promise<RoomEventFilter> => {
    if (filter.rooms === undefined) return filter;
    const rooms = new Set(filter.rooms);
    for (const roomId of filter.rooms) for (const before of await predecessorsOf(roomId)) rooms.add(before);
    return { ...filter, rooms };
  };

  /** Those of the rooms that the requester is in which are to be searched. */
  const roomsFor = async (
    { userNum }: Requester,
    { rooms, notRooms }: RoomEventFilter,
    only: string | undefined,
  ): Promise<ReadonlyMap<number, RoomInfo>> => {
    const memberships = await graph.memberships.ofUser(userNum);
    const joined = [...memberships.values()].filter((row) => row.membership === 'join').map((row) => row.roomNum);
    const found = new Map<number, RoomInfo>();
    for (const room of (await graph.rooms(joined)).values()) {
      if (notRooms.has(room.roomId) || rooms?.has(room.roomId) === false || (only !== undefined && room.roomId !== only)) continue;
      found.set(room.num, room);
    }
    return found;
  };

  return {
    search: async (requester, criteria, nextBatch) => {
      if (!config.enable_search) throw unknown('Search is disabled on this homeserver');
      const batch = nextBatch === undefined ? { roomId: undefined, after: FIRST_PLACE } : parseNextBatch(nextBatch);
      const filter = await withPredecessors(await roomEventFilterOf(criteria.filter));
      const rooms = await roomsFor(requester, filter, batch.roomId);
      const terms = parseTerm(criteria.term);
      const wish: AnswerWish = { ...criteria, terms, groupRoomId: batch.roomId };
      if (rooms.size === 0 || terms.words.length === 0) return write(requester, NOTHING, wish);
      await Promise.all(following.map((follower) => follower.caughtUp(MAX_WAIT_MS)));
      const found = await find(requester, {
        rooms,
        terms,
        filter,
        keyNums: criteria.keys.map((key) => SEARCH_KEYS.indexOf(key)),
        isByRank: criteria.orderBy === 'rank',
        after: batch.after,
        limit: Math.min(filter.limit ?? DEFAULT_LIMIT, MAX_LIMIT),
      });
      return write(requester, found, wish);
    },
    follow: async (followers) => {
      if (!config.enable_search) return;
      const plan = { start: 'now', batch: BATCH, gatherMs: GATHER_MS } as const;
      following.push(
        await followers.follow({
          ...plan,
          name: 'search: messages',
          stream: EVENTS_STREAM,
          handle: async ({ from, to }) => indexer.live(from.min, to.min),
        }),
        await followers.follow({
          ...plan,
          name: 'search: past',
          stream: PAST_STREAM,
          handle: async ({ from, to }) => indexer.past(from.min, to.min),
        }),
      );
    },
  };
};
