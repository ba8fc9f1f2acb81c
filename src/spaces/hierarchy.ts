import { entryCache } from '#src/platform/cache/index.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Random } from '#src/platform/random.ts';
import { forbidden, invalidParam, notFound } from '#src/protocol/errors.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import type { RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { Entries, SpaceChild } from '#src/spaces/entries.ts';
import type { RemoteSpaces } from '#src/spaces/ports.ts';

/** Who walks a hierarchy. */
export interface Walker {
  readonly userId: string;
  readonly userNum: number;
}

export interface Walk {
  readonly suggestedOnly: boolean;
  /** How far from the root rooms may be; undefined for any. */
  readonly maxDepth: number | undefined;
  readonly limit: number | undefined;
  /** The token of the page before. */
  readonly from: string | undefined;
  /** Servers that may know the root. */
  readonly via: readonly string[];
}

export interface Page {
  readonly rooms: readonly JsonObject[];
  readonly next_batch?: string;
}

/** Spaces and what is in them (client-server API, Spaces; server-server API, Querying the space hierarchy). */
export interface Hierarchy {
  /** A page of the rooms under a space, each before its own children. Throws `forbidden` where the root is not for the walker, `invalidParam` for a token of another walk. */
  walk(walker: Walker, roomId: string, walk: Walk): Promise<Page>;
  /** A space and its children for another server. Throws `notFound` where it is not for it. */
  forServer(serverName: string, roomId: string, suggestedOnly: boolean): Promise<JsonObject>;
  /** What a room is, for who may know; `walker` is undefined for nobody in particular. Throws `notFound` and, where nobody is named to be asked, `invalidParam`. */
  summary(walker: Walker | undefined, roomId: string, via: readonly string[]): Promise<JsonObject>;
}

export interface HierarchyTools {
  readonly graph: Pick<RoomGraph, 'room' | 'memberships'>;
  readonly entries: Entries;
  readonly remote: RemoteSpaces;
  readonly clock: Clock;
  readonly random: Random;
}

const MAX_ROOMS = 50;
const MAX_CHILDREN_FOR_SERVERS = 50;
/** So long a page may ask other servers; what is left is on the next. */
const BUDGET_MS = 20_000;
const SESSION_MS = 5 * 60_000;
const MAX_SESSIONS = 1000;
/** What waits to be visited in one walk. */
const MAX_WAITING = 10_000;

/** A room that has yet to be visited. */
interface Visit {
  readonly roomId: string;
  readonly via: readonly string[];
  readonly depth: number;
  /** What another server said of it as of a child. */
  readonly known: JsonObject | undefined;
}

interface Session {
  readonly key: string;
  readonly waiting: readonly Visit[];
  readonly visited: ReadonlySet<string>;
  readonly untilMs: number;
}

interface Found {
  readonly room: JsonObject;
  readonly children: readonly SpaceChild[];
  readonly known: ReadonlyMap<string, JsonObject>;
  readonly inaccessible: ReadonlySet<string>;
}

const NONE = { children: [], known: new Map<string, JsonObject>(), inaccessible: new Set<string>() } as const;

export const createHierarchy = ({ graph, entries, remote, clock, random }: HierarchyTools): Hierarchy => {
  const sessions = entryCache<string, Session>(MAX_SESSIONS);

  /** A room that this server is in. */
  const hereOf = async (roomId: string): Promise<RoomInfo | undefined> => {
    const room = await graph.room(roomId);
    return room !== undefined && (await graph.memberships.isHere(room.num)) ? room : undefined;
  };

  const isForWalker = async (walker: Walker | undefined, roomId: string, room: JsonObject): Promise<boolean> => {
    if (['public', 'knock', 'knock_restricted'].includes((room.join_rule ?? 'public') as string) || room.world_readable === true)
      return true;
    if (walker === undefined) return false;
    const { allowed_room_ids: allowed } = room;
    const ids = Array.isArray(allowed) ? (allowed as readonly unknown[]).filter((id) => typeof id === 'string') : [];
    if (await entries.isInOneOf(walker.userNum, ids)) return true;
    const known = await graph.room(roomId);
    return known !== undefined && (await graph.memberships.in(known.num, walker.userNum))?.membership === 'invite';
  };

  const visit = async (
    walker: Walker,
    { roomId, via, depth, known }: Visit,
    { suggestedOnly, maxDepth }: Walk,
  ): Promise<Found | undefined> => {
    const here = await hereOf(roomId);
    if (here !== undefined) {
      const room = await entries.of(here, walker);
      if (room === undefined) return undefined;
      return { ...NONE, room, children: room.room_type === 'm.space' ? await entries.childrenOf(here, suggestedOnly) : [] };
    }
    const isLeaf = known !== undefined && (known.room_type !== 'm.space' || (maxDepth !== undefined && depth >= maxDepth));
    const found = isLeaf ? { ...NONE, room: known } : await remote.ask(roomId, via, suggestedOnly);
    return found !== undefined && (await isForWalker(walker, roomId, found.room)) ? found : undefined;
  };

  const sessionFor = (token: string, key: string): Session => {
    const session = sessions.get(token);
    if (session === undefined || session.key !== key || session.untilMs < clock.monotonic()) throw invalidParam('Unknown pagination token');
    return session;
  };

  return {
    walk: async (walker, roomId, walk) => {
      const refused = forbidden(`User ${walker.userId} not in room ${roomId}, and room previews are disabled`);
      const root: Visit = { roomId, via: walk.via, depth: 0, known: undefined };
      const key = JSON.stringify([walker.userId, roomId, walk.suggestedOnly, walk.maxDepth]);
      const session = walk.from === undefined ? undefined : sessionFor(walk.from, key);
      const waiting = [...(session?.waiting ?? [root])];
      const visited = new Set(session?.visited);
      const rooms: JsonObject[] = [];
      const limit = Math.min(walk.limit ?? MAX_ROOMS, MAX_ROOMS);
      const deadline = clock.monotonic() + BUDGET_MS;
      while (rooms.length < limit && clock.monotonic() < deadline) {
        const next = waiting.pop();
        if (next === undefined) break;
        if (visited.has(next.roomId)) continue;
        visited.add(next.roomId);
        const found = await visit(walker, next, walk);
        if (found === undefined) {
          if (next.depth === 0) throw refused;
          continue;
        }
        rooms.push({ ...found.room, children_state: found.children });
        if (walk.maxDepth !== undefined && next.depth >= walk.maxDepth) continue;
        for (const { state_key: childId, content } of found.children.toReversed()) {
          if (found.inaccessible.has(childId) || waiting.length >= MAX_WAITING) continue;
          waiting.push({ roomId: childId, via: content.via as readonly string[], depth: next.depth + 1, known: found.known.get(childId) });
        }
      }
      if (waiting.length === 0) return { rooms };
      const token = random.string(24);
      sessions.set(token, { key, waiting, visited, untilMs: clock.monotonic() + SESSION_MS });
      return { rooms, next_batch: token };
    },
    forServer: async (serverName, roomId, suggestedOnly) => {
      const here = await hereOf(roomId);
      const room = here && (await entries.of(here, { serverName }));
      if (here === undefined || room === undefined) throw notFound(`Unknown room: ${roomId}`);
      const childEvents = room.room_type === 'm.space' ? await entries.childrenOf(here, suggestedOnly) : [];
      const children: JsonObject[] = [];
      const inaccessible: string[] = [];
      for (const { state_key: childId } of childEvents.slice(0, MAX_CHILDREN_FOR_SERVERS)) {
        const child = await hereOf(childId);
        if (child === undefined) continue;
        const entry = await entries.of(child, { serverName });
        if (entry === undefined) inaccessible.push(childId);
        else children.push(entry);
      }
      return { room: { ...room, children_state: childEvents }, children, inaccessible_children: inaccessible };
    },
    summary: async (walker, roomId, via) => {
      const unknown = notFound('Room not found or is not accessible');
      const here = await hereOf(roomId);
      if (here === undefined && via.length === 0) throw invalidParam('Missing via to query remote room');
      const room = here === undefined ? (await remote.ask(roomId, via, true))?.room : await entries.of(here, walker);
      if (room === undefined || (here === undefined && !(await isForWalker(walker, roomId, room)))) throw unknown;
      if (walker === undefined) return room;
      const known = await graph.room(roomId);
      const row = known && (await graph.memberships.in(known.num, walker.userNum));
      return { ...room, membership: row?.membership ?? 'leave' };
    },
  };
};
