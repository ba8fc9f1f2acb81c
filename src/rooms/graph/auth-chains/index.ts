import { authEventIds } from '#src/protocol/events.ts';
import { entryCache } from '#src/platform/cache/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { AuthGraph } from '#src/rooms/graph/auth-chains/difference.ts';
import { computeGenerations } from '#src/rooms/graph/auth-chains/generations.ts';
import { authNumsOf, citingNums, generationsOf } from '#src/rooms/graph/auth-chains/store.ts';
import type { Events } from '#src/rooms/graph/event-cache.ts';
import type { RoomEvent } from '#src/rooms/graph/events.ts';
import type { Pending } from '#src/rooms/graph/view.ts';

/** The rooms' auth events as graphs, with the index that tells how far events are from the beginning. */
export interface AuthChains {
  /** The graph as the batch at work has it. */
  graph(pending: Pending): AuthGraph;
  /** Takes in generations that have just become durable. */
  remember(generations: ReadonlyMap<number, number>): void;
}

const MAX_GENERATIONS = 200_000;
const PAGE = 100;

export const createAuthChains = (database: Pick<Database, 'read'>): AuthChains => {
  const cache = entryCache<number, number>(MAX_GENERATIONS);

  const stored = async (nums: readonly number[]): Promise<Map<number, number>> => {
    const known = new Map<number, number>();
    const missing: number[] = [];
    for (const num of nums) {
      const generation = cache.get(num);
      if (generation === undefined) missing.push(num);
      else known.set(num, generation);
    }
    if (missing.length === 0) return known;
    for (const [num, generation] of await database.read('auth generations', async (reader) => generationsOf(reader, missing))) {
      known.set(num, generation);
      cache.set(num, generation);
    }
    return known;
  };

  const graph = (pending: Pending): AuthGraph => {
    const auth: AuthGraph['auth'] = async (nums) => {
      const durable = nums.filter((num) => !pending.auth.has(num));
      const found = durable.length === 0 ? new Map() : await database.read('auth events', async (reader) => authNumsOf(reader, durable));
      for (const num of nums) if (pending.auth.has(num)) found.set(num, pending.auth.get(num));
      return found;
    };
    const known: AuthGraph['generations'] = async (nums) => stored(nums.filter((num) => !pending.auth.has(num)));
    async function* citing(num: number): AsyncIterable<readonly number[]> {
      yield [...pending.auth].filter(([, cited]) => cited.includes(num)).map(([each]) => each);
      for (let below = Number.MAX_SAFE_INTEGER; ;) {
        const limit = below;
        const page = await database.read('citing events', async (reader) => citingNums(reader, num, limit, PAGE));
        yield page;
        if (page.length < PAGE) return;
        below = page.at(-1) as number;
      }
    }
    return { auth, citing, generations: async (nums) => computeGenerations({ known, auth }, nums) };
  };

  return {
    graph,
    remember: (generations) => {
      for (const [num, generation] of generations) cache.set(num, generation);
    },
  };
};

/** Events of a chain are read so many at a time. */
const SLICE = 500;

/** The auth events of events, of those, and so on, without the events themselves unless others of them cite them; those that are not here are left out. */
export const readAuthChain = async (
  database: Pick<Database, 'read'>,
  events: Pick<Events, 'byIds' | 'list'>,
  of: readonly RoomEvent[],
): Promise<readonly RoomEvent[]> => {
  const first = await events.byIds([...new Set(of.flatMap((event) => authEventIds(event.pdu)))]);
  const found = new Set([...first.values()].map((event) => event.num));
  for (let ahead = [...found]; ahead.length > 0;) {
    const slice = ahead.splice(0, SLICE);
    const cited = await database.read('auth chain', async (reader) => authNumsOf(reader, slice));
    for (const num of [...cited.values()].flat()) {
      if (found.has(num)) continue;
      found.add(num);
      ahead.push(num);
    }
  }
  return events.list([...found]);
};
