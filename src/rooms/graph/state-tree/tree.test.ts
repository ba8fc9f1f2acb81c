import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { compareKeys, keyText, type StateKey } from '#src/rooms/graph/state-tree/keys.ts';
import { decodeNode, EMPTY, encodeNode, type LeafItem, lookUp, type NodeId, storeNode } from '#src/rooms/graph/state-tree/nodes.ts';
import { diff, entries, get, linesInParts, type MakeLine, put, type StateChange } from '#src/rooms/graph/state-tree/tree.ts';

/** A store of nodes in memory that counts what is read. */
const memory = (): {
  source: (ids: readonly NodeId[]) => Uint8Array[];
  add: (id: NodeId, data: Uint8Array) => void;
  apply: (root: NodeId, changes: StateChange[]) => Promise<NodeId>;
  reads: number;
  size: number;
} => {
  const nodes = new Map<NodeId, Uint8Array>();
  const store = {
    reads: 0,
    get size() {
      return nodes.size;
    },
    source: (ids: readonly NodeId[]): Uint8Array[] =>
      ids.map((id) => {
        store.reads++;
        const data = nodes.get(id);
        if (data === undefined) throw new Error(`no node ${id}`);
        return data;
      }),
    add: (id: NodeId, data: Uint8Array): void => void nodes.set(id, data),
    apply: async (root: NodeId, changes: StateChange[]): Promise<NodeId> => {
      const changed = await put(store.source, root, changes);
      for (const stored of changed.created) nodes.set(stored.id, stored.data);
      return changed.root;
    },
  };
  return store;
};

const arbitraryKey = fc.record(
  { type: fc.integer({ min: 1, max: 4 }), server: fc.integer({ min: 0, max: 3 }), stateKey: fc.integer({ min: 1, max: 2 ** 40 }) },
  { noNullPrototype: true },
);
const fewKeys = fc.record({
  type: fc.integer({ min: 1, max: 3 }),
  server: fc.integer({ min: 0, max: 2 }),
  stateKey: fc.integer({ min: 1, max: 60 }),
});
const arbitraryChange = fc.record({ key: fewKeys, event: fc.option(fc.integer({ min: 1, max: 1000 }), { nil: undefined, freq: 4 }) });

const lastPerKey = (changes: readonly StateChange[]): StateChange[] => [
  ...new Map(changes.map((change) => [keyText(change.key), change])).values(),
];

test('a tree equals a plain map under random batches of changes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(arbitraryChange, { maxLength: 40 }), { maxLength: 12 }), async (batches) => {
      const store = memory();
      const model = new Map<string, number>();
      let root = EMPTY;
      for (const batch of batches) {
        const changes = lastPerKey(batch);
        for (const { key, event } of changes) {
          if (event === undefined) model.delete(keyText(key));
          else model.set(keyText(key), event);
        }
        root = await store.apply(root, changes);
        assert.deepEqual(new Map((await entries(store.source, root)).map((item) => [keyText(item.key), item.event])), model);
      }
      for (const { key } of batches.flat()) assert.equal(await get(store.source, root, key), model.get(keyText(key)));
    }),
  );
});

test('equal states have equal roots however they were reached', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(arbitraryChange, { maxLength: 150 }), fc.integer({ min: 1, max: 20 }), async (changes, batchSize) => {
      const store = memory();
      let slowly = EMPTY;
      for (let index = 0; index < changes.length; index += batchSize)
        slowly = await store.apply(slowly, lastPerKey(changes.slice(index, index + batchSize)));
      const held = lastPerKey(changes).filter((change) => change.event !== undefined);
      assert.equal(slowly, await store.apply(EMPTY, held));
      assert.equal(slowly, await store.apply(EMPTY, held.toReversed()));
    }),
  );
});

test('taking keys out of a tall tree leaves the same tree as never having put them in', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3000 }),
      fc.integer({ min: 0, max: 2 ** 30 }),
      fc.integer({ min: 2, max: 40 }),
      async (count, seed, keep) => {
        const store = memory();
        const key = (index: number): StateKey => ({ type: 1 + (index % 3), server: 0, stateKey: seed + index });
        const all = Array.from({ length: count }, (_, index) => ({ key: key(index), event: index + 1 }));
        const full = await store.apply(EMPTY, all);
        const kept = all.filter((change) => (change.key.stateKey * 2_654_435_761) % keep === 0);
        const removed = all.filter((change) => !kept.includes(change)).map((change) => ({ key: change.key, event: undefined }));
        const half = removed.length >> 1;
        const rest = await store.apply(await store.apply(full, removed.slice(half)), removed.slice(0, half));
        assert.equal(rest, await store.apply(EMPTY, kept));
      },
    ),
    { numRuns: 40 },
  );
});

test('diff finds exactly the keys that differ', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(arbitraryChange, { maxLength: 120 }), fc.array(arbitraryChange, { maxLength: 20 }), async (base, edits) => {
      const store = memory();
      const before = await store.apply(
        EMPTY,
        lastPerKey(base).filter((change) => change.event !== undefined),
      );
      const after = await store.apply(before, lastPerKey(edits));
      const expected = [];
      for (const { key } of lastPerKey([...base, ...edits])) {
        const [was, is] = [await get(store.source, before, key), await get(store.source, after, key)];
        if (was !== is) expected.push([keyText(key), was, is]);
      }
      const found = (await diff(store.source, before, after)).map((each) => [keyText(each.key), each.before, each.after]);
      assert.deepEqual(found.toSorted(), expected.toSorted());
    }),
  );
});

test('a range is a type, or one server of a type', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(arbitraryChange, { maxLength: 150 }),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 0, max: 2 }),
      async (changes, type, server) => {
        const store = memory();
        const root = await store.apply(EMPTY, lastPerKey(changes));
        const all = await entries(store.source, root);
        assert.deepEqual(
          await entries(store.source, root, { type }),
          all.filter((item) => item.key.type === type),
        );
        assert.deepEqual(
          await entries(store.source, root, { type, server }),
          all.filter((item) => item.key.type === type && item.key.server === server),
        );
      },
    ),
  );
});

test('nodes survive their bytes', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ key: arbitraryKey, event: fc.integer({ min: 0, max: 2 ** 45 }) }, { noNullPrototype: true })),
      (items) => {
        const sorted = items.toSorted((a, b) => a.key.type - b.key.type);
        assert.deepEqual(decodeNode(encodeNode({ level: 0, items: sorted })), { level: 0, items: sorted });
      },
    ),
  );
  assert.throws(
    () => decodeNode(encodeNode({ level: 0, items: [{ key: { type: 1, server: 2, stateKey: 3 }, event: 4 }] }).subarray(0, 4)),
    /cut short/u,
  );
});

test('a node is looked into without reading it whole', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fewKeys, { minLength: 1, maxLength: 60, selector: keyText }), fewKeys, (keys, wanted) => {
      const sorted = keys.toSorted(compareKeys);
      const leaf = encodeNode({ level: 0, items: sorted.map((key, index) => ({ key, event: index + 1 })) });
      const at = sorted.findIndex((key) => compareKeys(key, wanted) === 0);
      assert.deepEqual(lookUp(leaf, wanted), { event: at === -1 ? undefined : at + 1 });
      const child = (index: number): NodeId => index.toString(16).padStart(32, '0');
      const inner = encodeNode({ level: 1, items: sorted.map((key, index) => ({ key, child: child(index) })) });
      const last = sorted.findLastIndex((key) => compareKeys(key, wanted) <= 0);
      assert.deepEqual(lookUp(inner, wanted), { child: child(Math.max(0, last)) });
    }),
  );
});

/** A tree whose nodes begin where no rule would have them begin, as another width of nodes would have left them. */
const cutOtherwise = (
  store: ReturnType<typeof memory>,
  changes: readonly StateChange[],
  sizes: readonly [leaf: number, inner: number],
): NodeId => {
  const add = (node: Parameters<typeof storeNode>[0]): NodeId => {
    const stored = storeNode(node);
    store.add(stored.id, stored.data);
    return stored.id;
  };
  const pieces = <T>(items: readonly T[], size: number): T[][] =>
    Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size));
  const items = changes.map(({ key, event }) => ({ key, event: event as number })).toSorted((a, b) => compareKeys(a.key, b.key));
  let level = 0;
  let lines = pieces(items, sizes[0]).map((piece) => ({
    key: (piece[0] as (typeof piece)[0]).key,
    child: add({ level: 0, items: piece }),
  }));
  while (lines.length > 1) {
    const above = ++level;
    lines = pieces(lines, sizes[1]).map((piece) => ({
      key: (piece[0] as (typeof piece)[0]).key,
      child: add({ level: above, items: piece }),
    }));
  }
  return lines[0]?.child ?? EMPTY;
};

test('states whose nodes were cut elsewhere are read, changed and compared all the same', async () => {
  const held = fc.uniqueArray(fc.record({ key: fewKeys, event: fc.integer({ min: 1, max: 1000 }) }), {
    maxLength: 150,
    selector: ({ key }) => keyText(key),
  });
  await fc.assert(
    fc.asyncProperty(
      held,
      fc.array(arbitraryChange, { maxLength: 20 }),
      fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 2, max: 10 })),
      async (base, edits, sizes) => {
        const store = memory();
        const [here, elsewhere] = [await store.apply(EMPTY, base), cutOtherwise(store, base, sizes)];
        const all = await entries(store.source, here);
        assert.deepEqual(await entries(store.source, elsewhere), all);
        assert.deepEqual(await diff(store.source, here, elsewhere), []);
        for (const { key, event } of all) assert.equal(await get(store.source, elsewhere, key), event);
        const [changedHere, changedElsewhere] = [
          await store.apply(here, lastPerKey(edits)),
          await store.apply(elsewhere, lastPerKey(edits)),
        ];
        assert.deepEqual(await entries(store.source, changedElsewhere), await entries(store.source, changedHere));
        assert.deepEqual(await diff(store.source, changedElsewhere, here), await diff(store.source, changedHere, here));
      },
    ),
  );
});

const line: MakeLine<LeafItem> = (type, server, stateKey, event) => ({ key: { type, server, stateKey }, event });

test('a large state is walked in parts, in order, none of them large', async () => {
  const store = memory();
  const all = Array.from({ length: 20_000 }, (_, index) => ({
    key: { type: 1 + (index % 3), server: 0, stateKey: index + 1 },
    event: index + 1,
  }));
  const root = await store.apply(EMPTY, all);
  const parts = await Array.fromAsync(linesInParts(store.source, root, line));
  assert.deepEqual(
    parts.flat(),
    all.toSorted((a, b) => compareKeys(a.key, b.key)),
  );
  assert.ok(Math.max(...parts.map((part) => part.length)) < 6000);
  assert.deepEqual(
    (await Array.fromAsync(linesInParts(store.source, root, line, { type: 2 }))).flat(),
    all.filter(({ key }) => key.type === 2),
  );
});

test('one change in a large state reads and writes one path', async () => {
  const store = memory();
  const member = (index: number): StateKey => ({ type: 5, server: index % 50, stateKey: index });
  const root = await store.apply(
    EMPTY,
    Array.from({ length: 20_000 }, (_, index) => ({ key: member(index + 1), event: index + 1 })),
  );
  const size = store.size;
  const next = await store.apply(root, [{ key: member(777), event: 99_999 }]);
  // 20,000 keys at one in 8, then one in 4, stand six or seven levels high; a level more where the root's level is thin.
  assert.ok(store.size - size <= 9, `wrote ${String(store.size - size)} nodes`);
  store.reads = 0;
  assert.deepEqual(await diff(store.source, root, next), [{ key: member(777), before: 777, after: 99_999 }]);
  assert.ok(store.reads < 30, `read ${String(store.reads)} nodes`);
});
