import { isRoomId } from '#src/protocol/identifiers.ts';
import { entryCache } from '#src/platform/cache/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Head, RoomDraft } from '#src/rooms/graph/draft.ts';
import type { Events } from '#src/rooms/graph/event-cache.ts';
import type { RoomInfo } from '#src/rooms/graph/events.ts';
import type { Workshop } from '#src/rooms/graph/receive/bench.ts';
import { EMPTY } from '#src/rooms/graph/state-tree/nodes.ts';
import { headOf, roomById, roomsByNum } from '#src/rooms/graph/store.ts';
import { newView } from '#src/rooms/graph/view.ts';

/** A command that waits for its room. */
export interface Command {
  readonly run: (draft: RoomDraft & Workshop) => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: unknown) => void;
  /** Shares its batch with no other. */
  readonly isAlone: boolean;
}

/** A room in use: where it stands, and who waits to change it. Its head is swapped after a commit, never changed. */
export interface HotRoom {
  readonly room: RoomInfo;
  /** True until its first commit. */
  isNew: boolean;
  head: Head;
  /** True when the database may have moved past `head`: it is read again before the next batch. */
  isInDoubt: boolean;
  readonly queue: Command[];
  busy: boolean;
}

export interface HotRooms {
  /** The room with this id, if this server knows it. */
  byId(roomId: string): Promise<RoomInfo | undefined>;
  byNums(nums: readonly number[]): Promise<ReadonlyMap<number, RoomInfo>>;
  /** The room in memory, loaded when it is cold. */
  warm(room: RoomInfo): Promise<HotRoom>;
  /** Whether this is still the room in memory: one that was not busy may have made place for others. */
  holds(room: HotRoom): boolean;
  /** Where a room stands in the database, when memory may be wrong about it. */
  headOf(room: RoomInfo): Promise<Head>;
  /** Takes in a room that has just been made. */
  adopt(hot: HotRoom): void;
  /** Takes in that a room is of another version; it must not be at work. */
  revise(room: RoomInfo): void;
}

const MAX_INFOS = 100_000;
const MAX_HOT_ROOMS = 2000;

export const createHotRooms = (database: Database, events: Events): HotRooms => {
  const infos = entryCache<string, RoomInfo>(MAX_INFOS);
  const infosByNum = entryCache<number, RoomInfo>(MAX_INFOS);
  const hot = new Map<number, HotRoom>();
  const loading = new Map<number, Promise<HotRoom>>();

  const rememberInfo = (room: RoomInfo): void => {
    infos.set(room.roomId, room);
    infosByNum.set(room.num, room);
  };

  const evict = (): void => {
    for (const [num, room] of hot) {
      if (hot.size <= MAX_HOT_ROOMS) return;
      if (!room.busy && room.queue.length === 0) hot.delete(num);
    }
  };

  const readHead = async (room: RoomInfo): Promise<Head> => {
    const stored = await database.read('room head', async (reader) => headOf(reader, room.num));
    return { extremities: await events.list(stored?.extremities ?? []), view: newView(stored?.root ?? EMPTY) };
  };

  const load = async (room: RoomInfo): Promise<HotRoom> => {
    const loaded: HotRoom = { room, isNew: false, head: await readHead(room), isInDoubt: false, queue: [], busy: false };
    hot.set(room.num, loaded);
    evict();
    return loaded;
  };

  return {
    byId: async (roomId) => {
      const known = infos.get(roomId);
      if (known !== undefined || !isRoomId(roomId)) return known;
      const found = await database.read('room by id', async (reader) => roomById(reader, roomId));
      if (found !== undefined) rememberInfo(found);
      return found;
    },
    byNums: async (nums) => {
      const found = new Map<number, RoomInfo>();
      const missing = nums.filter((num) => !infosByNum.has(num));
      if (missing.length > 0)
        for (const room of await database.read('rooms', async (reader) => roomsByNum(reader, missing))) rememberInfo(room);
      for (const num of nums) {
        const room = infosByNum.get(num);
        if (room !== undefined) found.set(num, room);
      }
      return found;
    },
    warm: async (room) => {
      const known = hot.get(room.num);
      if (known !== undefined) {
        // Least recently used first: eviction takes from the front.
        hot.delete(room.num);
        hot.set(room.num, known);
        return known;
      }
      const already = loading.get(room.num);
      if (already !== undefined) return already;
      const promise = load(room).finally(() => loading.delete(room.num));
      loading.set(room.num, promise);
      return promise;
    },
    holds: (room) => hot.get(room.room.num) === room,
    headOf: readHead,
    revise: (room) => {
      rememberInfo(room);
      hot.delete(room.num);
    },
    adopt: (made) => {
      rememberInfo(made.room);
      hot.set(made.room.num, made);
      evict();
    },
  };
};
