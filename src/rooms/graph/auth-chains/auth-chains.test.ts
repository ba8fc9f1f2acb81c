import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createBackgroundUpdates } from '#src/platform/database/background-updates.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Database } from '#src/platform/database/types.ts';
import { systemClock } from '#src/platform/clock.ts';
import { authDifference, type AuthGraph, eventsBetween } from '#src/rooms/graph/auth-chains/difference.ts';
import { computeGenerations } from '#src/rooms/graph/auth-chains/generations.ts';
import { AUTH_GENERATIONS_UPDATE, rebuildAuthChains, updateAuthGenerations, verifyAuthChains } from '#src/rooms/graph/index.ts';
import { ALICE, BOB, letIn, openElsewhere, openGraph, OURS, state } from '#src/rooms/graph/testing/world.ts';
import { silent, withBothDatabases } from '#test/support/databases.ts';

/** A graph in memory, and how many events were looked at. */
const graphOf = (auth: readonly (readonly number[])[]): AuthGraph & { looked: () => number } => {
  const looked = new Set<number>();
  const note = (num: number): number => {
    looked.add(num);
    return num;
  };
  const authOf = async (nums: readonly number[]): Promise<Map<number, readonly number[]>> =>
    Promise.resolve(new Map(nums.map((num) => [note(num), auth[num] ?? []])));
  let generations: Promise<ReadonlyMap<number, number>> | undefined;
  const known = async (): Promise<ReadonlyMap<number, number>> => Promise.resolve(new Map());
  const all = async (nums: readonly number[]): Promise<ReadonlyMap<number, readonly number[]>> =>
    Promise.resolve(new Map(nums.map((num) => [num, auth[num] ?? []])));
  return {
    auth: authOf,
    generations: async () => (generations ??= computeGenerations({ known, auth: all }, [...auth.keys()])),
    async *citing(num) {
      await Promise.resolve();
      const by = auth.flatMap((cited, each) => (cited.includes(num) ? [each] : [])).toReversed();
      for (let first = 0; first < by.length; first += 2) yield by.slice(first, first + 2).map(note);
    },
    looked: () => looked.size,
  };
};

const chainOf = (auth: readonly (readonly number[])[], nums: Iterable<number>): Set<number> => {
  const chain = new Set([...nums].flatMap((num) => auth[num] ?? []));
  for (const num of chain) for (const authNum of auth[num] ?? []) chain.add(authNum);
  return chain;
};

/** Event 0 is the beginning; each of the others cites some that were before. */
const authGraph = fc
  .array(fc.array(fc.nat(), { minLength: 1, maxLength: 3 }), { minLength: 5, maxLength: 30 })
  .map((lists) => [[], ...lists.map((list, index) => [...new Set(list.map((num) => num % (index + 1)))])] as number[][]);

void test('the auth difference is what whole chains differ in, for whatever graph and states', async () => {
  const property = fc.asyncProperty(
    authGraph,
    fc.array(fc.nat(3), { minLength: 31, maxLength: 31 }),
    fc.integer({ min: 2, max: 3 }),
    async (auth, places, count) => {
      // Each event is in no state, in all of them, or in one.
      const common = auth.flatMap((_, num) => (places[num] === 1 ? [num] : []));
      const sides = Array.from({ length: count }, (_, side) =>
        auth.flatMap((__, num) => ((places[num] ?? 0) > 1 && num % count === side ? [num] : [])),
      );
      const chains = sides.map((nums) => chainOf(auth, [...nums, ...common]));
      const expected = auth.flatMap((_, num) =>
        chains.some((chain) => chain.has(num)) && !chains.every((chain) => chain.has(num)) ? [num] : [],
      );
      const found = await authDifference(graphOf(auth), { sides, isCommon: async (num) => Promise.resolve(common.includes(num)) });
      assert.deepEqual(
        [...found].sort((a, b) => a - b),
        expected,
      );
    },
  );
  await fc.assert(property, { numRuns: 500 });
});

void test('what lies between events is on a path from one to another', async () => {
  const property = fc.asyncProperty(authGraph, fc.uniqueArray(fc.nat(5), { minLength: 1, maxLength: 4 }), async (auth, places) => {
    const ends = [...new Set(places.map((place) => (place * 7) % auth.length))];
    const below = chainOf(auth, ends);
    const expected = auth.flatMap((_, num) =>
      ends.includes(num) || (below.has(num) && ends.some((end) => chainOf(auth, [num]).has(end))) ? [num] : [],
    );
    assert.deepEqual(
      [...(await eventsBetween(graphOf(auth), ends))].sort((a, b) => a - b),
      expected,
    );
  });
  await fc.assert(property, { numRuns: 500 });
});

void test('a long history that all share is not walked', async () => {
  // A line of power levels (each cites the one before), a member that cites the newest, and a fork of two upon it.
  const line = Array.from({ length: 5000 }, (_, num) => (num === 0 ? [] : [num - 1]));
  const auth = [...line, [4999], [4999, 5000], [4999, 5000]];
  const graph = graphOf(auth);
  assert.deepEqual(
    [...(await authDifference(graph, { sides: [[5001], [5002]], isCommon: async (num) => Promise.resolve(num === 5000) }))],
    [],
  );
  assert.ok(graph.looked() <= 5, String(graph.looked()));
  assert.deepEqual([...(await eventsBetween(graph, [5001, 5002]))], [5001, 5002]);
  assert.ok(graph.looked() <= 5, String(graph.looked()));
});

const CONFIG = { background_update_duration_ms: 100, sleep_enabled: false, sleep_duration_ms: 0, min_batch_size: 3, default_batch_size: 3 };

const indexOf = async (database: Database): Promise<{ event_num: number; generation: number }[]> =>
  database.read('index', async (reader) => reader.all(sql`SELECT event_num, generation FROM auth_generations ORDER BY event_num`));

withBothDatabases(
  'the index of auth chains grows with the room, is verified, rebuilt, and made for rooms that were there before it',
  async (_t, open) => {
    const elsewhere = await openElsewhere();
    const database = await open();
    const graph = await openGraph(database, OURS);
    const started = await elsewhere.room('11');
    const room = await letIn(graph, started);
    const left = await elsewhere.add(
      started.room,
      [started.join],
      state(ALICE, 'm.room.power_levels', '', { users: { [ALICE]: 100, [BOB]: 75 } }),
    );
    const right = await elsewhere.add(started.room, [started.join], state(BOB, 'm.room.topic', '', { topic: 'here' }));
    const both = await elsewhere.add(started.room, [left, right], state(ALICE, 'm.room.name', '', { name: 'both' }));
    for (const event of [left, right, both]) assert.equal((await graph.receive(room, event.json))?.facts, 0);
    const index = await indexOf(database);
    const nums = index.map((row) => row.event_num);
    assert.equal(index[0]?.generation, 0);
    assert.equal(Math.max(...index.map((row) => row.generation)), 5, "create, Alice's join, levels, join rules, Bob's join, topic");
    const verify = async (): Promise<number[]> => database.read('verify', async (reader) => verifyAuthChains(reader, nums));
    assert.deepEqual(await verify(), []);
    await database.write('damage', async (tx) =>
      tx.run(sql`UPDATE auth_generations SET generation = 7 WHERE event_num = ${nums.at(-1) as number}`),
    );
    assert.deepEqual(await verify(), [nums.at(-1)]);
    await rebuildAuthChains(database, room.num);
    assert.deepEqual(await indexOf(database), index);
    await database.write('before the index', async (tx) => tx.run(sql`DELETE FROM auth_generations`));
    // Chains are compared before the index is there, too.
    const late = await elsewhere.add(started.room, [left], state(BOB, 'm.room.topic', '', { topic: 'there' }));
    const young = await openGraph(database, OURS);
    assert.equal((await young.receive(room, late.json))?.facts, 0);
    const updates = createBackgroundUpdates({ database, config: CONFIG, clock: systemClock, logger: silent });
    updates.register(AUTH_GENERATIONS_UPDATE, updateAuthGenerations);
    await updates.schedule(AUTH_GENERATIONS_UPDATE);
    await updates.idle();
    assert.deepEqual((await indexOf(database)).slice(0, index.length), index);
    assert.deepEqual(await verify(), []);
    assert.deepEqual(await updates.status(), []);
    await updates.stop();
    await elsewhere.close();
  },
);
