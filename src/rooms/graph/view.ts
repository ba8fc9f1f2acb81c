import { stateKeyText } from '#src/protocol/auth-rules/index.ts';
import type { Events } from '#src/rooms/graph/event-cache.ts';
import type { RoomEvent } from '#src/rooms/graph/events.ts';
import type { NodeId, StoredNode } from '#src/rooms/graph/state-tree/nodes.ts';
import { get, type NodeSource } from '#src/rooms/graph/state-tree/tree.ts';
import type { States } from '#src/rooms/graph/states.ts';

/** More than this many remembered keys are not worth their memory: they come back from the tree's cache. */
const MAX_KNOWN = 5000;

/**
 * A state as a room's writer looks at it: a root, and the events of the keys that were asked for. A view may lie over another and
 * then holds only what changed since; merging it downwards is how a hot room moves on after a commit.
 */
export interface View {
  readonly root: NodeId;
  readonly known: Map<string, RoomEvent | undefined>;
  readonly base: View | undefined;
}

export const newView = (root: NodeId): View => ({ root, known: new Map(), base: undefined });

/** The view after one state event took its key. */
export const withEvent = (base: View, root: NodeId, type: string, stateKey: string, event: RoomEvent): View => ({
  root,
  known: new Map([[stateKeyText(type, stateKey), event]]),
  base,
});

/** One view that knows what `view` and all below it know, with events in the form in which they became durable. */
export const flatten = (view: View, placed: ReadonlyMap<number, RoomEvent>): View => {
  const layers: View[] = [];
  for (let layer: View | undefined = view; layer !== undefined; layer = layer.base) layers.unshift(layer);
  const known = layers[0]?.known ?? new Map<string, RoomEvent | undefined>();
  for (const layer of layers.slice(1)) for (const [name, event] of layer.known) known.set(name, event);
  for (const [name, event] of known) {
    const final = event && placed.get(event.num);
    if (final !== undefined) known.set(name, final);
  }
  if (known.size > MAX_KNOWN) known.clear();
  return { root: view.root, known, base: undefined };
};

/** Nodes and events that a batch has made and not yet committed, laid over what is durable. */
export interface Pending {
  readonly nodes: Map<NodeId, Uint8Array>;
  readonly events: Map<number, RoomEvent>;
  readonly byId: Map<string, RoomEvent>;
  /** What the pending state events cite as auth events. */
  readonly auth: Map<number, readonly number[]>;
  /** Numbers of pending events by the auth events that they lack. */
  readonly lacking: Map<string, number[]>;
  /** Takes back the events that were laid over, last first. */
  readonly undo: (() => void)[];
}

export const newPending = (): Pending => ({
  nodes: new Map(),
  events: new Map(),
  byId: new Map(),
  auth: new Map(),
  lacking: new Map(),
  undo: [],
});

const putBack = <K, V>(map: Map<K, V>, key: K): (() => void) => {
  const before = map.get(key);
  return () => void (before === undefined ? map.delete(key) : map.set(key, before));
};

/** Lays an event over what is durable. */
export const addEvent = (pending: Pending, event: RoomEvent, authNums: readonly number[]): void => {
  pending.undo.push(putBack(pending.events, event.num), putBack(pending.byId, event.eventId), putBack(pending.auth, event.num));
  pending.events.set(event.num, event);
  pending.byId.set(event.eventId, event);
  pending.auth.set(event.num, authNums);
};

/** Forgets the events that were laid over since `pending.undo` had this length. Nodes may stay: they say nothing but what their names say. */
export const forgetEventsSince = (pending: Pending, length: number): void => {
  for (const takeBack of pending.undo.splice(length).toReversed()) takeBack();
};

export const addNodes = (pending: Pending, nodes: readonly StoredNode[]): void => {
  for (const stored of nodes) pending.nodes.set(stored.id, stored.data);
};

/** Reads of a room's states that see what the batch at work has made. */
export interface RoomReads {
  readonly nodes: NodeSource;
  event(num: number): Promise<RoomEvent | undefined>;
  eventById(eventId: string): Promise<RoomEvent | undefined>;
  /** The event that holds (type, stateKey) in the view. */
  state(view: View, type: string, stateKey: string): Promise<RoomEvent | undefined>;
}

/** Of a room that is being made nothing is durable yet. */
export const roomReads = (roomNum: number, pending: Pending, states: States, events: Events, isNew = false): RoomReads => {
  const durable = states.nodesOf(roomNum);
  const nodes: NodeSource = async (ids) => {
    const missing = ids.filter((id) => !pending.nodes.has(id));
    if (missing.length === ids.length) return durable(ids);
    const read = missing.length === 0 ? [] : await durable(missing);
    const found = new Map(missing.map((id, index) => [id, read[index] as Uint8Array]));
    return ids.map((id) => (pending.nodes.get(id) ?? found.get(id)) as Uint8Array);
  };
  const event = async (num: number): Promise<RoomEvent | undefined> => pending.events.get(num) ?? (await events.byNum(num));
  return {
    nodes,
    event,
    eventById: async (eventId) => {
      const found = pending.byId.get(eventId) ?? (isNew ? undefined : await events.byId(eventId));
      return found?.roomNum === roomNum ? found : undefined;
    },
    state: async (view, type, stateKey) => {
      const name = stateKeyText(type, stateKey);
      for (let layer: View | undefined = view; layer !== undefined; layer = layer.base) {
        if (layer.known.has(name)) return layer.known.get(name);
      }
      const key = await states.keyOf(type, stateKey);
      const num = key && (await get(nodes, view.root, key));
      const found = num === undefined ? undefined : await event(num);
      view.known.set(name, found);
      return found;
    },
  };
};
