import { entryCache } from '#src/platform/cache/index.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { NodeId, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import { firstMembers, memberCounts } from '#src/sync/engine/views.ts';

/** What lets a client that knows few members name a room (client-server API, `RoomSummary`). */
export interface RoomSummary {
  readonly joined: number;
  readonly invited: number;
  /** At most five others by number; undefined for a room that has a name or an alias. */
  readonly heroes: readonly number[] | undefined;
}

export interface Summaries {
  /** The rooms' summaries for a user, by room number. `roots` are the rooms' current states. */
  of(rooms: readonly RoomInfo[], roots: ReadonlyMap<number, NodeId>, userNum: number): Promise<ReadonlyMap<number, RoomSummary>>;
  /** The ids of users by number. */
  userIds(userNums: readonly number[]): Promise<ReadonlyMap<number, string>>;
}

const MAX_HEROES = 5;
const MAX_ROOMS = 20_000;

/** What is the same for all of a room's members; true of one state, and so of its root. */
interface Shared {
  readonly joined: number;
  readonly invited: number;
  /** One more than are shown, for one may be the reader. */
  readonly members: { readonly present: readonly number[]; readonly gone: readonly number[] } | undefined;
}

export interface SummaryTools {
  readonly database: Database;
  readonly strings: Strings;
  readonly graph: Pick<RoomGraph, 'events' | 'states'>;
}

export const createSummaries = ({ database, strings, graph }: SummaryTools): Summaries => {
  const cache = entryCache<string, Shared>(MAX_ROOMS);
  const nameOf = (roomNum: number, root: NodeId): string => `${String(roomNum)}/${root}`;

  const hasText = async (room: RoomInfo, root: NodeId, type: string, key: string): Promise<boolean> => {
    const num = await graph.states.get(room.num, root, type, '');
    const value = num === undefined ? undefined : (await graph.events.byNum(num))?.pdu.content[key];
    return typeof value === 'string' && value !== '';
  };

  const load = async (rooms: readonly RoomInfo[], roots: ReadonlyMap<number, NodeId>): Promise<void> => {
    const nameless = new Set<number>();
    for (const room of rooms) {
      const root = roots.get(room.num) ?? '';
      const hasName = (await hasText(room, root, 'm.room.name', 'name')) || (await hasText(room, root, 'm.room.canonical_alias', 'alias'));
      if (!hasName) nameless.add(room.num);
    }
    await database.read('room summaries', async (reader) => {
      const counts = await memberCounts(
        reader,
        rooms.map((room) => room.num),
      );
      for (const { num } of rooms) {
        const members = nameless.has(num) ? await firstMembers(reader, num, MAX_HEROES + 1) : undefined;
        cache.set(nameOf(num, roots.get(num) ?? ''), { joined: 0, invited: 0, ...counts.get(num), members });
      }
    });
  };

  return {
    of: async (rooms, roots, userNum) => {
      const missing = rooms.filter((room) => !cache.has(nameOf(room.num, roots.get(room.num) ?? '')));
      if (missing.length > 0) await load(missing, roots);
      const summaries = new Map<number, RoomSummary>();
      for (const { num } of rooms) {
        const shared = cache.get(nameOf(num, roots.get(num) ?? ''));
        if (shared === undefined) continue;
        const others = (nums: readonly number[]): number[] => nums.filter((each) => each !== userNum).slice(0, MAX_HEROES);
        const present = shared.members && others(shared.members.present);
        const heroes = present?.length === 0 ? others(shared.members?.gone ?? []) : present;
        summaries.set(num, { joined: shared.joined, invited: shared.invited, heroes });
      }
      return summaries;
    },
    userIds: async (userNums) => strings.textOf(userNums),
  };
};
