import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '#src/platform/clock.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import type { RoomInfo } from '#src/rooms/graph/events.ts';
import {
  beginCollection,
  deleteNodes,
  dueCollections,
  endCollection,
  nodeIdsAfter,
  postponeCollection,
  ROOT_PAGES,
} from '#src/rooms/graph/state-collection/store.ts';
import type { WrittenRoots } from '#src/rooms/graph/state-collection/written-roots.ts';
import { childrenOf, EMPTY, type NodeId } from '#src/rooms/graph/state-tree/nodes.ts';
import { nodesOfRoom } from '#src/rooms/graph/store.ts';

/** What may leave garbage is seldom alone, and who still reads an old state has long finished by then. */
export const COLLECTION_WAIT_MS = 10 * 60 * 1000;
/** A room whose nodes cannot be read is left alone for a day. */
const RETRY_MS = 24 * 60 * 60 * 1000;
const ROOTS_A_PAGE = 1000;
const NODES_A_READ = 200;
const NODES_A_SWEEP = 500;
const MAX_ROOMS = 100;

export interface CollectionTools {
  readonly database: Database;
  readonly clock: Clock;
  readonly writtenRoots: WrittenRoots;
  readonly fence: (tx: Transaction) => void;
  readonly rooms: (roomNums: readonly number[]) => Promise<ReadonlyMap<number, RoomInfo>>;
  /** Runs `step` while nothing else writes to the room. */
  readonly alone: <T>(room: RoomInfo, step: () => Promise<T>) => Promise<T>;
}

type Marked = Set<NodeId>;

/** Marks all that these roots reach. Throws where a node is missing, unless the roots may be of a batch that failed. */
const mark = async (
  { database }: CollectionTools,
  roomNum: number,
  marked: Marked,
  roots: readonly NodeId[],
  mayMiss: boolean,
): Promise<void> => {
  const ahead: NodeId[] = [];
  const found = (ids: readonly NodeId[]): void => {
    for (const id of ids) {
      if (id === EMPTY || marked.has(id)) continue;
      marked.add(id);
      ahead.push(id);
    }
  };
  found(roots);
  while (ahead.length > 0) {
    const ids = ahead.splice(-NODES_A_READ);
    const rows = await database.read('state nodes to keep', async (reader) => nodesOfRoom(reader, roomNum, ids));
    if (rows.length < ids.length && !mayMiss)
      throw new Error(`State nodes of room ${String(roomNum)} are missing; nothing of it is collected`);
    for (const row of rows) found(childrenOf(row.data));
    await turn();
  }
};

const markStored = async (tools: CollectionTools, roomNum: number, marked: Marked, signal: AbortSignal): Promise<void> => {
  for (const pageOf of ROOT_PAGES) {
    let after: number | undefined = Number.MIN_SAFE_INTEGER;
    while (after !== undefined) {
      signal.throwIfAborted();
      const from: number = after;
      const page = await tools.database.read('state roots', async (reader) => pageOf(reader, roomNum, from, ROOTS_A_PAGE));
      await mark(tools, roomNum, marked, page.roots, false);
      after = page.next;
    }
  }
};

/** Removes what is not marked, page by page, with the room to itself for a moment each. Answers how many nodes. */
const sweep = async (tools: CollectionTools, room: RoomInfo, marked: Marked, signal: AbortSignal): Promise<number> => {
  let removed = 0;
  let after: NodeId = EMPTY;
  for (;;) {
    signal.throwIfAborted();
    const page = await tools.database.read('state node ids', async (reader) => nodeIdsAfter(reader, room.num, after, NODES_A_SWEEP));
    const last = page.at(-1);
    if (last === undefined) return removed;
    after = last;
    if (page.every((id) => marked.has(id))) continue;
    removed += await tools.alone(room, async () => {
      await mark(tools, room.num, marked, tools.writtenRoots.take(room.num), true);
      const garbage = page.filter((id) => !marked.has(id));
      if (garbage.length === 0) return 0;
      await tools.database.write('collect state nodes', async (tx) => {
        tools.fence(tx);
        await deleteNodes(tx, room.num, garbage);
      });
      return garbage.length;
    });
  }
};

const collectRoom = async (tools: CollectionTools, room: RoomInfo, signal: AbortSignal): Promise<number> => {
  const { database, writtenRoots } = tools;
  try {
    // A batch under way would not tell its roots: from here on every one does.
    await tools.alone(room, async () => {
      writtenRoots.watch(room.num);
      await database.write('begin collecting state', async (tx) => beginCollection(tx, room.num));
    });
    const marked: Marked = new Set();
    await markStored(tools, room.num, marked, signal);
    const removed = await sweep(tools, room, marked, signal);
    await database.write('end collecting state', async (tx) => endCollection(tx, room.num));
    return removed;
  } finally {
    writtenRoots.forget(room.num);
  }
};

/**
 * Removes the state nodes that no root reaches any more from the rooms whose time has come, while they go on; answers how many nodes. What is reached from the
 * roots that are stored, and from those written meanwhile, is marked; what is not, is removed while nothing else writes to the room. A batch builds on roots
 * that are stored or were written since, so what it shares with them is marked too. Memory: the names of a room's nodes, some 80 bytes each.
 */
export const collectDueRooms = async (tools: CollectionTools, signal: AbortSignal): Promise<number> => {
  const { database, clock } = tools;
  const due = await database.read('rooms to collect', async (reader) => dueCollections(reader, clock.now(), MAX_ROOMS));
  const rooms = await tools.rooms(due);
  const failures: unknown[] = [];
  let removed = 0;
  for (const roomNum of due) {
    signal.throwIfAborted();
    const room = rooms.get(roomNum);
    try {
      if (room === undefined) throw new Error(`Room ${String(roomNum)}, whose state is to be collected, is not here`);
      removed += await collectRoom(tools, room, signal);
    } catch (error) {
      signal.throwIfAborted();
      failures.push(error);
      await database.write('postpone collecting state', async (tx) => postponeCollection(tx, roomNum, clock.now() + RETRY_MS));
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, `The state of ${String(failures.length)} rooms was not collected`);
  return removed;
};
