import type { IncomingRequest, RawJson, Route } from '#src/platform/http/route.ts';
import { MatrixError } from '#src/protocol/errors.ts';
import { signingKeyFromSeed } from '#src/protocol/signatures.ts';
import { systemClock } from '#src/platform/clock.ts';
import { testConfig } from '#src/platform/config/index.ts';
import { createStrings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import { systemRandom } from '#src/platform/random.ts';
import type { Requester } from '#src/accounts/index.ts';
import { createFilters, parseEventFilter } from '#src/filters/index.ts';
import {
  createRoomGraph,
  type NewEvent,
  type RoomEvent,
  type RoomGraph,
  type RoomGraphTools,
  type RoomInfo,
} from '#src/rooms/graph/index.ts';
import { createHistory } from '#src/rooms/history/index.ts';
import { createSync, type SyncPorts } from '#src/sync/index.ts';
import { member, state } from '#test/support/new-events.ts';

export { member, message, state } from '#test/support/new-events.ts';

export const SERVER = 'one.example';

/** Rooms with their reading and `/sync`, on a real database, without sockets and accounts. */
export interface RoomsWorld {
  readonly graph: RoomGraph;
  /** A public room that the user has made and is in. */
  makeRoom(creator: string, ...more: NewEvent[]): Promise<RoomInfo>;
  append(room: RoomInfo, event: NewEvent): Promise<RoomEvent>;
  /** Appends and answers whether the rules allowed it. */
  tryAppend(room: RoomInfo, event: NewEvent): Promise<boolean>;
  /** Calls a GET endpoint of the client-server API in a user's name; the path has no version. */
  get<Body>(userId: string, path: string, signal?: AbortSignal): Promise<Body>;
  close(): void;
}

const pathMatch = (template: string, path: string): Record<string, string> | undefined => {
  const wanted = template.split('/');
  const given = path.split('/');
  if (wanted.length !== given.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    if (part.startsWith(':')) params[part.slice(1)] = decodeURIComponent(given[index] ?? '');
    else if (part !== given[index]) return undefined;
  }
  return params;
};

const converted = (value: string): unknown =>
  value === 'true' || value === 'false' ? value === 'true' : /^\d+$/.test(value) ? Number(value) : value;

/** `portsOf` makes what the slices above the rooms give to sync. */
export const openRoomsWorld = async (
  database: Database,
  portsOf: (graph: RoomGraph) => Partial<SyncPorts> = () => ({}),
  more: Partial<RoomGraphTools> = {},
): Promise<RoomsWorld> => {
  const strings = createStrings(database);
  const clock = systemClock;
  const signingKey = signingKeyFromSeed('ed25519:a_test', Buffer.alloc(32, 1));
  const usual = { database, strings, clock, random: systemRandom, serverName: SERVER, signingKey, soleWriter: true };
  const graph = await createRoomGraph({ ...usual, ...more });
  const filters = createFilters({ database, config: { filter_timeline_limit: -1 } });
  const nobody = { identify: () => Promise.reject(new Error('nobody is asked here')) };
  const access = { guest: nobody, user: nobody };
  const ignoredUsers = async (): Promise<ReadonlySet<number>> => new Set();
  const history = createHistory({
    database,
    graph,
    clock,
    access,
    transactionIdOf: () => undefined,
    ignoredUsers,
    erasedUsers: { has: () => false },
    parseFilter: parseEventFilter,
  });
  const sync = await createSync({
    database,
    strings,
    clock,
    graph,
    history,
    access,
    filters,
    ignoredUsers,
    config: testConfig({ caches: { sync_response_cache_duration: 0 } }),
    ports: { sources: [], ...portsOf(graph) },
    published: async () => new Set(),
  });
  const routes: readonly Route[] = [...history.routes, ...sync.routes];

  const append: RoomsWorld['append'] = async (room, event) => graph.write(room, async (draft) => draft.append(event));
  return {
    graph,
    append,
    tryAppend: async (room, event) => {
      try {
        await append(room, event);
        return true;
      } catch (error) {
        if (error instanceof MatrixError) return false;
        throw error;
      }
    },
    makeRoom: async (creator, ...more) => {
      const { room } = await graph.createRoom('11', state(creator, 'm.room.create', '', { room_version: '11' }), async (draft) => {
        await draft.append(member(creator, creator, 'join'));
        await draft.append(state(creator, 'm.room.power_levels', '', { users: { [creator]: 100 } }));
        await draft.append(state(creator, 'm.room.join_rules', '', { join_rule: 'public' }));
        for (const event of more) await draft.append(event);
      });
      return room;
    },
    get: async <Body>(userId: string, path: string, signal = new AbortController().signal) => {
      const [pathname = '', search = ''] = path.split('?');
      const userNum = (await strings.intern([userId])).get(userId) as number;
      const caller: Requester = { userId, userNum, deviceId: 'DEVICE', sessionNum: 1, isGuest: false, isAdmin: false };
      for (const route of routes) {
        const params = route.method === 'GET' ? pathMatch(route.servlet, pathname) : undefined;
        if (params === undefined) continue;
        const query = Object.fromEntries(
          [...new URLSearchParams(search)].map(([key, value]) => [
            key,
            key === 'limit' || key === 'timeout' || /state/.test(key) ? converted(value) : value,
          ]),
        );
        const request = { signal } as IncomingRequest;
        const answer = await route.handle({ caller, params, query, body: undefined, request });
        return (typeof (answer as RawJson).text === 'string' ? JSON.parse((answer as RawJson).text as string) : answer) as Body;
      }
      throw new Error(`There is no GET ${pathname}`);
    },
    close: sync.close,
  };
};
