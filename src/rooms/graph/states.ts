import { byteCache } from '#src/platform/cache/index.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { StateKey } from '#src/rooms/graph/state-tree/keys.ts';
import { decodeNode, type Node, type NodeId, type StoredNode } from '#src/rooms/graph/state-tree/nodes.ts';
import { diff, entries, get, type KeyRange, type NodeSource, type StateDifference } from '#src/rooms/graph/state-tree/tree.ts';
import { nodeData } from '#src/rooms/graph/store.ts';

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
  /** Takes in nodes that have just become durable. */
  remember(roomNum: number, nodes: readonly StoredNode[]): void;
}

const MAX_CACHE_BYTES = 64 * 1024 * 1024;
const MEMBER = 'm.room.member';

/** What a decoded node costs in memory, roughly. */
const bytesOf = (node: Node): number => 120 + node.items.length * 120;

/** The server part of a member event's key; other types have none. */
const serverPart = (type: string, stateKey: string): string | undefined => (type === MEMBER ? domainOf(stateKey) : undefined);

export const createStates = (database: Database, strings: Strings): States => {
  const cache = byteCache<string, Node>(MAX_CACHE_BYTES, bytesOf);

  const nodesOf =
    (roomNum: number): NodeSource =>
    (id) => {
      const name = `${String(roomNum)}/${id}`;
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
    remember: (roomNum, nodes) => {
      for (const stored of nodes) cache.set(`${String(roomNum)}/${stored.id}`, stored.node);
    },
  };
};
