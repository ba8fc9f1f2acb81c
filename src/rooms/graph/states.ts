import { byteCache } from '#src/platform/cache/index.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import type { Database, Reader } from '#src/platform/database/types.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { StateKey } from '#src/rooms/graph/state-tree/keys.ts';
import { childrenOf, type NodeId, type StoredNode } from '#src/rooms/graph/state-tree/nodes.ts';
import type { RoomEvent } from '#src/rooms/graph/events.ts';
import {
  diff,
  get,
  type KeyRange,
  linesInParts,
  type MakeLine,
  type NodeSource,
  type StateDifference,
} from '#src/rooms/graph/state-tree/tree.ts';
import { nodesOfRoom, rootNodesOf } from '#src/rooms/graph/store.ts';

/** A line of room state in strings' numbers: which event holds which key. */
export interface StateEntry {
  readonly typeNum: number;
  readonly stateKeyNum: number;
  readonly eventNum: number;
}

/** Rooms' states, read by root. A root names a state for ever, so nothing here goes stale. */
export interface States {
  /** The event that holds (type, stateKey) in a state. */
  get(roomNum: number, root: NodeId, type: string, stateKey: string): Promise<number | undefined>;
  /** All of a state, or one type of it, or of the members those of one server. */
  entries(roomNum: number, root: NodeId, type?: string, server?: string): Promise<StateEntry[]>;
  /** Where two states of a room differ. Costs the difference. */
  diff(roomNum: number, before: NodeId, after: NodeId): Promise<readonly StateDifference[]>;
  /** The tree's key for a type and state key; undefined when one of them was never seen, so no state holds it. */
  keyOf(type: string, stateKey: string): Promise<StateKey | undefined>;
  /** The same, numbering what is new. */
  makeKey(type: string, stateKey: string): Promise<StateKey>;
  nodesOf(roomNum: number): NodeSource;
  /** Reads the states after these events into memory, all at once: for who is about to look into many rooms. Of larger states it reads the upper levels alone. */
  preload(events: readonly RoomEvent[]): Promise<void>;
  /** Takes in nodes that have just become durable. */
  remember(nodes: readonly StoredNode[]): void;
}

const stateEntry: MakeLine<StateEntry> = (typeNum, _server, stateKeyNum, eventNum) => ({ typeNum, stateKeyNum, eventNum });

const MAX_CACHE_BYTES = 32 * 1024 * 1024;
/** What a kept node takes beside its bytes, measured: its name, its place in the cache, the array and the buffer under it. */
const ENTRY_BYTES = 400;
/** Of a room's states so many nodes are read ahead at most: the whole of a state of some hundred keys, or the upper levels of a larger one. */
const MAX_PRELOADED_NODES = 64;
const MEMBER = 'm.room.member';

/** The server part of a member event's key; other types have none. */
const serverPart = (type: string, stateKey: string): string | undefined => (type === MEMBER ? domainOf(stateKey) : undefined);

/** Reads rooms' states, keeping the nodes last read or made, at most `maxCacheBytes` of them. */
export const createStates = (
  database: Pick<Database, 'read'>,
  strings: Pick<Strings, 'peekNum' | 'numOf' | 'intern'>,
  maxCacheBytes: number = MAX_CACHE_BYTES,
): States => {
  // By name alone: where two rooms have nodes of one name, these are the same bytes.
  const cache = byteCache<NodeId, Uint8Array>(maxCacheBytes, (data) => ENTRY_BYTES + data.byteLength);

  const readNodes = async (
    roomNum: number,
    ids: readonly NodeId[],
    known: readonly (Uint8Array | undefined)[],
  ): Promise<readonly Uint8Array[]> => {
    const missing = ids.filter((_, index) => known[index] === undefined);
    const rows = await database.read('state nodes', async (reader) => nodesOfRoom(reader, roomNum, missing));
    for (const { node_id: id, data } of rows) cache.set(id, data);
    const read = new Map(rows.map((row) => [row.node_id, row.data]));
    return ids.map((id, index) => {
      const data = known[index] ?? read.get(id);
      if (data === undefined) throw new Error(`State node ${id} of room ${String(roomNum)} is missing`);
      return data;
    });
  };

  const nodesOf =
    (roomNum: number): NodeSource =>
    (ids) => {
      const known = ids.map((id) => cache.get(id));
      return known.includes(undefined) ? readNodes(roomNum, ids, known) : (known as Uint8Array[]);
    };

  const loadStates = async (reader: Reader, eventNums: readonly number[]): Promise<void> => {
    const below = new Map<number, Set<NodeId>>();
    const take = ({ node_id: id, data }: { node_id: NodeId; data: Uint8Array }): NodeId[] => {
      cache.set(id, data);
      return childrenOf(data).filter((child) => !cache.has(child));
    };
    for (const row of await rootNodesOf(reader, eventNums))
      below.set(row.room_num, (below.get(row.room_num) ?? new Set()).union(new Set(take(row))));
    for (const [roomNum, first] of below) {
      let ids = [...first];
      for (let read = ids.length; ids.length > 0 && read <= MAX_PRELOADED_NODES; read += ids.length)
        ids = [...new Set((await nodesOfRoom(reader, roomNum, ids)).flatMap(take))];
    }
  };

  const keyOf = async (type: string, stateKey: string): Promise<StateKey | undefined> => {
    const server = serverPart(type, stateKey);
    // What memory knows is not waited for.
    const typeNum = strings.peekNum(type) ?? (await strings.numOf(type));
    const stateKeyNum = strings.peekNum(stateKey) ?? (await strings.numOf(stateKey));
    const serverNum = server === undefined ? 0 : (strings.peekNum(server) ?? (await strings.numOf(server)));
    if (typeNum === undefined || stateKeyNum === undefined || serverNum === undefined) return undefined;
    return { type: typeNum, server: serverNum, stateKey: stateKeyNum };
  };

  return {
    get: async (roomNum, root, type, stateKey) => {
      const key = await keyOf(type, stateKey);
      return key && get(nodesOf(roomNum), root, key);
    },
    entries: async (roomNum, root, type, server) => {
      const typeNum = type === undefined ? undefined : await strings.numOf(type);
      const serverNum = server === undefined ? undefined : await strings.numOf(server);
      if ((type !== undefined && typeNum === undefined) || (server !== undefined && serverNum === undefined)) return [];
      const range: KeyRange = { ...(typeNum !== undefined && { type: typeNum }), ...(serverNum !== undefined && { server: serverNum }) };
      return (await Array.fromAsync(linesInParts(nodesOf(roomNum), root, stateEntry, range))).flat();
    },
    diff: async (roomNum, before, after) => diff(nodesOf(roomNum), before, after),
    keyOf,
    makeKey: async (type, stateKey) => {
      const known = await keyOf(type, stateKey);
      if (known !== undefined) return known;
      const server = serverPart(type, stateKey);
      const nums = await strings.intern([type, stateKey, ...(server === undefined ? [] : [server])]);
      const num = (text: string): number => nums.get(text) as number;
      return { type: num(type), server: server === undefined ? 0 : num(server), stateKey: num(stateKey) };
    },
    nodesOf,
    preload: async (events) => {
      const missing = new Map<NodeId, number>();
      for (const { stateRoot, num } of events) if (stateRoot !== undefined && !cache.has(stateRoot)) missing.set(stateRoot, num);
      if (missing.size > 0) await database.read('states after events', async (reader) => loadStates(reader, [...missing.values()]));
    },
    remember: (nodes) => {
      for (const stored of nodes) cache.set(stored.id, stored.data);
    },
  };
};
