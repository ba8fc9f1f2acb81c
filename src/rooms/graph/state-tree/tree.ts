import { compareKeys, keyText, levelOf, type StateKey } from '#src/rooms/graph/state-tree/keys.ts';
import {
  childrenOf,
  decodeNode,
  EMPTY,
  type InnerItem,
  isLeaf,
  type LeafItem,
  leafLines,
  lookUp,
  type Node,
  type NodeId,
  storeNode,
  type StoredNode,
} from '#src/rooms/graph/state-tree/nodes.ts';

/**
 * Where the tree gets its nodes' bytes, as many at once as it can use, in the order asked for: a cache, the database, or nodes not yet written laid over
 * both. Throws when a node is missing.
 */
export type NodeSource = (ids: readonly NodeId[]) => Promise<readonly Uint8Array[]> | readonly Uint8Array[];

/** What becomes of a key: an event's number, or `undefined` to take the key out. */
export interface StateChange {
  readonly key: StateKey;
  readonly event: number | undefined;
}

/** A key that two states do not agree on. */
export interface StateDifference {
  readonly key: StateKey;
  readonly before: number | undefined;
  readonly after: number | undefined;
}

/** A tree after changes: its root and the nodes that did not exist before. */
export interface Changed {
  readonly root: NodeId;
  readonly created: readonly StoredNode[];
}

type Item = LeafItem | InnerItem;

/** Index of the child under which `key` lies: the last whose first key is not beyond it. */
const childIndex = (items: readonly InnerItem[], key: StateKey): number => {
  let low = 0;
  let high = items.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (compareKeys((items[middle] as InnerItem).key, key) <= 0) low = middle;
    else high = middle - 1;
  }
  return low;
};

const readAll = async (nodes: NodeSource, ids: readonly NodeId[]): Promise<Node[]> =>
  ids.length === 0 ? [] : (await nodes(ids)).map(decodeNode);

/** The event that holds `key` in the state `root`, or `undefined`. Reads one node a level. */
export const get = async (nodes: NodeSource, root: NodeId, key: StateKey): Promise<number | undefined> => {
  let id = root;
  while (id !== EMPTY) {
    const [data] = await nodes([id]);
    const found = lookUp(data as Uint8Array, key);
    if ('event' in found) return found.event;
    id = found.child;
  }
  return undefined;
};

/** A part of the key space: everything, one type, or one server's members. */
export interface KeyRange {
  readonly type?: number;
  readonly server?: number;
}

const rangeEdges = (range: KeyRange): readonly [StateKey, StateKey] => {
  const most = Number.MAX_SAFE_INTEGER;
  if (range.type === undefined)
    return [
      { type: -1, server: -1, stateKey: -1 },
      { type: most, server: most, stateKey: most },
    ];
  if (range.server === undefined)
    return [
      { type: range.type, server: -1, stateKey: -1 },
      { type: range.type, server: most, stateKey: most },
    ];
  return [
    { type: range.type, server: range.server, stateKey: -1 },
    { type: range.type, server: range.server, stateKey: most },
  ];
};

/** So many nodes of a state are read at once: some thousand keys, or the way to ten thousand. */
const NODES_A_READ = 512;

/** Makes of a line of a state what its reader wants. */
export type MakeLine<Line> = (type: number, server: number, stateKey: number, event: number) => Line;

const leafItem: MakeLine<LeafItem> = (type, server, stateKey, event) => ({ key: { type, server, stateKey }, event });

/** The lines of the state within a range, in key order, some thousand at a time: who walks a large state holds one part and the way to the rest. */
export async function* linesInParts<Line extends {}>(
  nodes: NodeSource,
  root: NodeId,
  make: MakeLine<Line>,
  range: KeyRange = {},
): AsyncGenerator<readonly Line[]> {
  const [first, last] = rangeEdges(range);
  const childrenInRange = ({ items }: { readonly items: readonly InnerItem[] }): NodeId[] =>
    items.slice(childIndex(items, first)).flatMap((item) => (compareKeys(item.key, last) > 0 ? [] : [item.child]));
  const makeInRange: MakeLine<Line | undefined> =
    range.type === undefined
      ? make
      : (type, server, stateKey, event) =>
          type === range.type && (range.server === undefined || server === range.server) ? make(type, server, stateKey, event) : undefined;
  let ahead = root === EMPTY ? [] : [root];
  while (ahead.length > 0) {
    // All leaves lie equally deep, so what is ahead never stands lower than what is before it: of the nodes read, the leaves come first.
    const children: NodeId[] = [];
    const part: Line[] = [];
    for (const data of await nodes(ahead.slice(0, NODES_A_READ))) {
      const lines = leafLines(data, makeInRange);
      if (lines === undefined) children.push(...childrenInRange(decodeNode(data) as Exclude<Node, { level: 0 }>));
      else for (const line of lines) if (line !== undefined) part.push(line);
    }
    ahead = [...children, ...ahead.slice(NODES_A_READ)];
    if (part.length > 0) yield part;
  }
}

/** All lines of the state within a range, in key order. */
export const entries = async (nodes: NodeSource, root: NodeId, range: KeyRange = {}): Promise<LeafItem[]> =>
  (await Array.fromAsync(linesInParts(nodes, root, leafItem, range))).flat();

const beginsNode = (item: Item, level: number): boolean => levelOf(item.key) > level;

/** Cuts lines of one level into nodes, each beginning at a line whose key begins a node there, and answers the lines that lead to them. */
const chunk = (level: number, items: readonly Item[], created: Map<NodeId, Uint8Array>): InnerItem[] => {
  const parents: InnerItem[] = [];
  let start = 0;
  for (let index = 1; index <= items.length; index++) {
    if (index < items.length && !beginsNode(items[index] as Item, level)) continue;
    if (index === start) break;
    const stored = storeNode({ level, items: items.slice(start, index) } as Node);
    created.set(stored.id, stored.data);
    parents.push({ key: (items[start] as Item).key, child: stored.id });
    start = index;
  }
  return parents;
};

const mergeLeaf = (items: readonly LeafItem[], changes: readonly StateChange[]): LeafItem[] => {
  const merged: LeafItem[] = [];
  let index = 0;
  for (const change of changes) {
    while (index < items.length && compareKeys((items[index] as LeafItem).key, change.key) < 0) merged.push(items[index++] as LeafItem);
    if (index < items.length && compareKeys((items[index] as LeafItem).key, change.key) === 0) index++;
    if (change.event !== undefined) merged.push({ key: change.key, event: change.event });
  }
  return [...merged, ...items.slice(index)];
};

/** One put at work: nodes that it made lie over those that were there. */
interface Edit {
  readonly nodes: NodeSource;
  readonly created: Map<NodeId, Uint8Array>;
}

const open = async (work: Edit, ids: readonly NodeId[]): Promise<Node[]> => {
  const there = ids.filter((id) => !work.created.has(id));
  const read = there.length === 0 ? [] : await work.nodes(there);
  const found = new Map(there.map((id, index) => [id, read[index] as Uint8Array]));
  return ids.map((id) => decodeNode((work.created.get(id) ?? found.get(id)) as Uint8Array));
};

/** Joins neighbouring lines of one level; where the right ones no longer begin a node below, the two nodes at the seam become one. */
const join = async (work: Edit, level: number, left: readonly Item[], right: readonly Item[]): Promise<Item[]> => {
  const last = left.at(-1);
  const first = right[0];
  if (level === 0 || last === undefined || first === undefined || beginsNode(first, level - 1)) return [...left, ...right];
  const [before, after] = (await open(work, [(last as InnerItem).child, (first as InnerItem).child])) as [Node, Node];
  const seam = await join(work, level - 1, before.items, after.items);
  return [...left.slice(0, -1), ...chunk(level - 1, seam, work.created), ...right.slice(1)];
};

/** Deals changes, in key order, to the children that they fall to. */
const deal = (children: readonly InnerItem[], changes: readonly StateChange[]): (readonly StateChange[])[] => {
  let next = 0;
  return children.map((_, index) => {
    const until = children[index + 1];
    const first = next;
    while (next < changes.length && (until === undefined || compareKeys((changes[next] as StateChange).key, until.key) < 0)) next++;
    return changes.slice(first, next);
  });
};

/** The lines of a node after the changes below it, not yet cut into nodes: the caller joins them with their neighbours first. */
const edit = async (work: Edit, node: Node, changes: readonly StateChange[]): Promise<Item[]> => {
  if (isLeaf(node)) return mergeLeaf(node.items, changes);
  const shares = deal(node.items, changes);
  const touched = node.items.filter((_, index) => shares[index]?.length !== 0);
  const opened = await open(
    work,
    touched.map((item) => item.child),
  );
  const below = new Map(touched.map((item, index) => [item, opened[index] as Node]));
  let items: Item[] = [];
  for (const [index, item] of node.items.entries()) {
    const child = below.get(item);
    const lines = child === undefined ? [item] : chunk(node.level - 1, await edit(work, child, shares[index] ?? []), work.created);
    items = await join(work, node.level, items, lines);
  }
  return items;
};

/**
 * The state after `changes` (one at most per key). The result depends only on the keys and events that it holds, not on how it was
 * reached; what was not touched is shared with `root`. Costs the nodes on the paths to the changed keys.
 */
export const put = async (nodes: NodeSource, root: NodeId, changes: readonly StateChange[]): Promise<Changed> => {
  if (changes.length === 0) return { root, created: [] };
  const sorted = changes.toSorted((a, b) => compareKeys(a.key, b.key));
  const work: Edit = { nodes, created: new Map() };
  const [old] = root === EMPTY ? [] : await open(work, [root]);
  let level = old?.level ?? 0;
  let top = chunk(level, old === undefined ? mergeLeaf([], sorted) : await edit(work, old, sorted), work.created);
  while (top.length > 1) top = chunk(++level, top, work.created);
  const only = top[0];
  if (only === undefined) return { root: EMPTY, created: [] };
  // A chain of inner nodes with one child each, left by removals, is no level of a canonical tree.
  let rootId = only.child;
  for (;;) {
    const [node] = (await open(work, [rootId])) as [Node];
    if (isLeaf(node) || node.items.length > 1) break;
    rootId = (node.items[0] as InnerItem).child;
  }
  return { root: rootId, created: reachable(rootId, work.created) };
};

const reachable = (root: NodeId, created: ReadonlyMap<NodeId, Uint8Array>): StoredNode[] => {
  const kept = new Map<NodeId, StoredNode>();
  const visit = (id: NodeId): void => {
    const data = created.get(id);
    if (data === undefined || kept.has(id)) return;
    kept.set(id, { id, data });
    for (const child of childrenOf(data)) visit(child);
  };
  visit(root);
  return [...kept.values()];
};

/** The children of those of these nodes that stand on `level`, and the others, which stand lower, themselves. */
const lower = (ids: readonly NodeId[], opened: readonly Node[], level: number): NodeId[] =>
  ids.flatMap((id, index) => {
    const node = opened[index] as Node;
    return isLeaf(node) || node.level < level ? [id] : node.items.map((item) => item.child);
  });

const linesOf = (leaves: readonly Node[]): LeafItem[] => leaves.flatMap((node) => (isLeaf(node) ? node.items : []));

const differences = (before: readonly LeafItem[], after: readonly LeafItem[]): StateDifference[] => {
  const found = new Map<string, StateDifference>();
  for (const item of before) found.set(keyText(item.key), { key: item.key, before: item.event, after: undefined });
  for (const item of after) {
    const name = keyText(item.key);
    found.set(name, { key: item.key, before: found.get(name)?.before, after: item.event });
  }
  return [...found.values()].filter((each) => each.before !== each.after).sort((a, b) => compareKeys(a.key, b.key));
};

/**
 * Where two states differ, in key order. Walks both trees level by level and never opens a subtree that both share, so neighbours
 * of a room of 100,000 members cost the nodes on one path.
 */
export const diff = async (nodes: NodeSource, before: NodeId, after: NodeId): Promise<StateDifference[]> => {
  let left = before === EMPTY || before === after ? [] : [before];
  let right = after === EMPTY || before === after ? [] : [after];
  for (;;) {
    const opened = await readAll(nodes, [...left, ...right]);
    const [inLeft, inRight] = [opened.slice(0, left.length), opened.slice(left.length)];
    const level = opened.reduce((highest, node) => Math.max(highest, node.level), 0);
    if (level === 0) return differences(linesOf(inLeft), linesOf(inRight));
    left = lower(left, inLeft, level);
    right = lower(right, inRight, level);
    const shared = new Set(left).intersection(new Set(right));
    left = left.filter((id) => !shared.has(id));
    right = right.filter((id) => !shared.has(id));
  }
};
