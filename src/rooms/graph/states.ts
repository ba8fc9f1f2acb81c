import { byteCache } from '#src/platform/cache/index.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import type { Database, Reader } from '#src/platform/database/types.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { StateKey } from '#src/rooms/graph/state-tree/keys.ts';
import { decodeNode, isLeaf, type Node, type NodeId, type StoredNode } from '#src/rooms/graph/state-tree/nodes.ts';
import type { RoomEvent } from '#src/rooms/graph/events.ts';
import { diff, entries, get, type KeyRange, type NodeSource, type StateDifference } from '#src/rooms/graph/state-tree/tree.ts';
import { nodeData, nodesOfRoom, rootNodesOf } from '#src/rooms/graph/store.ts';

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
  /** All of a state, or one type of it. */
  entries(roomNum: number, root: NodeId, type?: string): Promise<StateEntry[]>;
  /** Where two states of a room differ. Costs the difference. */
  diff(roomNum: number, before: NodeId, after: NodeId): Promise<readonly StateDifference[]>;
  /** The tree's key for a type and state key; undefined when one of them was never seen, so no state holds it. */
  keyOf(type: string, stateKey: string): Promise<StateKey | undefined>;
  /** The same, numbering what is new. */
  makeKey(type: string, stateKey: string): Promise<StateKey>;
  nodesOf(roomNum: number): NodeSource;
  /** Reads the states after these events into memory, all at once: for who is about to look into many rooms. Of larger states it reads the roots alone. */
  preload(events: readonly RoomEvent[]): Promise<void>;
  /** Takes in nodes that have just become durable. */
  remember(roomNum: number, nodes: readonly StoredNode[]): void;
}

const MAX_CACHE_BYTES = 64 * 1024 * 1024;
/** A state whose root has at most so many children is small: some hundred keys. */
const FEW_CHILDREN = 8;
const MEMBER = 'm.room.member';

/** What a decoded node costs in memory, roughly. */
const bytesOf = (node: Node): number => 120 + node.items.length * 120;

/** The server part of a member event's key; other types have none. */
const serverPart = (type: string, stateKey: string): string | undefined => (type === MEMBER ? domainOf(stateKey) : undefined);

export const createStates = (database: Pick<Database, 'read'>, strings: Pick<Strings, 'peekNum' | 'numOf' | 'intern'>): States => {
  const cache = byteCache<string, Node>(MAX_CACHE_BYTES, bytesOf);

  const nameOf = (roomNum: number, id: NodeId): string => `${String(roomNum)}/${id}`;

  const nodesOf =
    (roomNum: number): NodeSource =>
    (id) => {
      const name = nameOf(roomNum, id);
      const known = cache.get(name);
      if (known !== undefined) return known;
      return database.read('state node', async (reader) => {
        const data = await nodeData(reader, roomNum, id);
        if (data === undefined) throw new Error(`State node ${id} of room ${String(roomNum)} is missing`);
        const node = decodeNode(data);
        cache.set(name, node);
        return node;
      });
    };

  const loadStates = async (reader: Reader, eventNums: readonly number[]): Promise<void> => {
    const below = new Map<number, Set<NodeId>>();
    for (const row of await rootNodesOf(reader, eventNums)) {
      const node = decodeNode(row.data);
      cache.set(nameOf(row.room_num, row.node_id), node);
      if (isLeaf(node) || node.items.length > FEW_CHILDREN) continue;
      const ids = below.get(row.room_num) ?? new Set();
      for (const { child } of node.items) if (!cache.has(nameOf(row.room_num, child))) ids.add(child);
      below.set(row.room_num, ids);
    }
    for (const [roomNum, ids] of below)
      for (const row of await nodesOfRoom(reader, roomNum, [...ids])) cache.set(nameOf(roomNum, row.node_id), decodeNode(row.data));
  };

  const keyOf = async (type: string, stateKey: string): Promise<StateKey | undefined> => {
    const server = serverPart(type, stateKey);
    const nums = [type, stateKey, ...(server === undefined ? [] : [server])].map((text) => strings.peekNum(text));
    const [typeNum, stateKeyNum, serverNum] = nums.includes(undefined)
      ? await Promise.all([strings.numOf(type), strings.numOf(stateKey), server === undefined ? 0 : strings.numOf(server)])
      : [nums[0], nums[1], nums[2] ?? 0];
    if (typeNum === undefined || stateKeyNum === undefined || serverNum === undefined) return undefined;
    return { type: typeNum, server: serverNum, stateKey: stateKeyNum };
  };

  return {
    get: async (roomNum, root, type, stateKey) => {
      const key = await keyOf(type, stateKey);
      return key && get(nodesOf(roomNum), root, key);
    },
    entries: async (roomNum, root, type) => {
      const typeNum = type === undefined ? undefined : await strings.numOf(type);
      if (type !== undefined && typeNum === undefined) return [];
      const range: KeyRange = typeNum === undefined ? {} : { type: typeNum };
      const items = await entries(nodesOf(roomNum), root, range);
      return items.map((item) => ({ typeNum: item.key.type, stateKeyNum: item.key.stateKey, eventNum: item.event }));
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
      const missing = new Map<string, number>();
      for (const { roomNum, stateRoot, num } of events)
        if (stateRoot !== undefined && !cache.has(nameOf(roomNum, stateRoot))) missing.set(nameOf(roomNum, stateRoot), num);
      if (missing.size > 0) await database.read('states after events', async (reader) => loadStates(reader, [...missing.values()]));
    },
    remember: (roomNum, nodes) => {
      for (const stored of nodes) cache.set(nameOf(roomNum, stored.id), stored.node);
    },
  };
};
