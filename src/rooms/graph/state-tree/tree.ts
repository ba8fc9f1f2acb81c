import { compareKeys, keyText, levelOf, type StateKey } from '#src/rooms/graph/state-tree/keys.ts';
import {
  EMPTY,
  type InnerItem,
  isLeaf,
  type LeafItem,
  type Node,
  type NodeId,
  storeNode,
  type StoredNode,
} from '#src/rooms/graph/state-tree/nodes.ts';

/** Where the tree gets its nodes: a cache, the database, or nodes not yet written laid over both. Throws when a node is missing. */
export type NodeSource = (id: NodeId) => Promise<Node> | Node;

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

/** The event that holds `key` in the state `root`, or `undefined`. Reads one node a level. */
export const get = async (nodes: NodeSource, root: NodeId, key: StateKey): Promise<number | undefined> => {
  if (root === EMPTY) return undefined;
  let node = await nodes(root);
  while (!isLeaf(node)) {
    const items: readonly InnerItem[] = node.items;
    node = await nodes((items[childIndex(items, key)] as InnerItem).child);
  }
  return node.items.find((item) => compareKeys(item.key, key) === 0)?.event;
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

/** All lines of the state within a range, in key order. */
export const entries = async (nodes: NodeSource, root: NodeId, range: KeyRange = {}): Promise<LeafItem[]> => {
  const [first, last] = rangeEdges(range);
  const found: LeafItem[] = [];
  const visit = async (id: NodeId): Promise<void> => {
    const node = await nodes(id);
    if (isLeaf(node)) {
      for (const item of node.items) if (compareKeys(item.key, first) >= 0 && compareKeys(item.key, last) <= 0) found.push(item);
      return;
    }
    const items = node.items;
    for (let index = childIndex(items, first); index < items.length; index++) {
      const item = items[index] as InnerItem;
      if (compareKeys(item.key, last) > 0) break;
      await visit(item.child);
    }
  };
  if (root !== EMPTY) await visit(root);
  return found;
};

const beginsNode = (item: Item, level: number): boolean => levelOf(item.key) > level;

/** Cuts lines of one level into nodes, each beginning at a line whose key begins a node there, and answers the lines that lead to them. */
const chunk = (level: number, items: readonly Item[], created: Map<NodeId, StoredNode>): InnerItem[] => {
  const parents: InnerItem[] = [];
  let start = 0;
  for (let index = 1; index <= items.length; index++) {
    if (index < items.length && !beginsNode(items[index] as Item, level)) continue;
    if (index === start) break;
    const stored = storeNode({ level, items: items.slice(start, index) } as Node);
    created.set(stored.id, stored);
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
  readonly created: Map<NodeId, StoredNode>;
}

const nodeOf = async (work: Edit, id: NodeId): Promise<Node> => work.created.get(id)?.node ?? (await work.nodes(id));

/** Joins neighbouring lines of one level; where the right ones no longer begin a node below, the two nodes at the seam become one. */
const join = async (work: Edit, level: number, left: readonly Item[], right: readonly Item[]): Promise<Item[]> => {
  const last = left.at(-1);
  const first = right[0];
  if (level === 0 || last === undefined || first === undefined || beginsNode(first, level - 1)) return [...left, ...right];
  const [before, after] = [await nodeOf(work, (last as InnerItem).child), await nodeOf(work, (first as InnerItem).child)];
  const seam = await join(work, level - 1, before.items, after.items);
  return [...left.slice(0, -1), ...chunk(level - 1, seam, work.created), ...right.slice(1)];
};

/** The lines of a node after the changes below it, not yet cut into nodes: the caller joins them with their neighbours first. */
const edit = async (work: Edit, id: NodeId, changes: readonly StateChange[]): Promise<Item[]> => {
  const node = await nodeOf(work, id);
  if (isLeaf(node)) return mergeLeaf(node.items, changes);
  const children = node.items;
  let items: Item[] = [];
  let next = 0;
  for (const [index, child] of children.entries()) {
    const until = children[index + 1];
    const first = next;
    while (next < changes.length && (until === undefined || compareKeys((changes[next] as StateChange).key, until.key) < 0)) next++;
    const below = first === next ? [child] : chunk(node.level - 1, await edit(work, child.child, changes.slice(first, next)), work.created);
    items = await join(work, node.level, items, below);
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
  let level = root === EMPTY ? 0 : (await nodes(root)).level;
  let top = chunk(level, root === EMPTY ? mergeLeaf([], sorted) : await edit(work, root, sorted), work.created);
  while (top.length > 1) top = chunk(++level, top, work.created);
  const only = top[0];
  if (only === undefined) return { root: EMPTY, created: [] };
  // A chain of inner nodes with one child each, left by removals, is no level of a canonical tree.
  let rootId = only.child;
  for (;;) {
    const node = await nodeOf(work, rootId);
    if (isLeaf(node) || node.items.length > 1) break;
    rootId = (node.items[0] as InnerItem).child;
  }
  return { root: rootId, created: reachable(rootId, work.created) };
};

const reachable = (root: NodeId, created: ReadonlyMap<NodeId, StoredNode>): StoredNode[] => {
  const kept = new Map<NodeId, StoredNode>();
  const visit = (id: NodeId): void => {
    const stored = created.get(id);
    if (stored === undefined || kept.has(id)) return;
    kept.set(id, stored);
    if (!isLeaf(stored.node)) for (const item of stored.node.items) visit(item.child);
  };
  visit(root);
  return [...kept.values()];
};

/** Children of an inner node, or the node itself where it stands lower than the level asked for. */
const lower = async (nodes: NodeSource, ids: readonly NodeId[], level: number): Promise<NodeId[]> => {
  const result: NodeId[] = [];
  for (const id of ids) {
    const node = await nodes(id);
    if (node.level === level) for (const item of node.items as readonly InnerItem[]) result.push(item.child);
    else result.push(id);
  }
  return result;
};

/**
 * Where two states differ, in key order. Walks both trees level by level and never opens a subtree that both share, so neighbours
 * of a room of 100,000 members cost the nodes on one path.
 */
export const diff = async (nodes: NodeSource, before: NodeId, after: NodeId): Promise<StateDifference[]> => {
  if (before === after) return [];
  let left = before === EMPTY ? [] : [before];
  let right = after === EMPTY ? [] : [after];
  const levelAt = async (ids: readonly NodeId[]): Promise<number> =>
    Math.max(0, ...(await Promise.all(ids.map(async (id) => (await nodes(id)).level))));
  for (let level = Math.max(await levelAt(left), await levelAt(right)); level > 0; level--) {
    left = await lower(nodes, left, level);
    right = await lower(nodes, right, level);
    const shared = new Set(left).intersection(new Set(right));
    left = left.filter((id) => !shared.has(id));
    right = right.filter((id) => !shared.has(id));
  }
  const lines = async (ids: readonly NodeId[]): Promise<LeafItem[]> =>
    (await Promise.all(ids.map(async (id) => (await nodes(id)).items as readonly LeafItem[]))).flat();
  const differences = new Map<string, StateDifference>();
  for (const item of await lines(left)) differences.set(keyText(item.key), { key: item.key, before: item.event, after: undefined });
  for (const item of await lines(right)) {
    const name = keyText(item.key);
    differences.set(name, { key: item.key, before: differences.get(name)?.before, after: item.event });
  }
  return [...differences.values()].filter((each) => each.before !== each.after).sort((a, b) => compareKeys(a.key, b.key));
};
