import assert from 'node:assert/strict';
import { LeaseLost, TransactionEnded, TransactionStalled, isUniqueViolation } from '#src/platform/database/errors.ts';
import { assertLease } from '#src/platform/database/leases.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Database, Table, Transaction } from '#src/platform/database/types.ts';
import { withBothDatabases } from '#test/support/databases.ts';

const notes = {
  name: 'test_notes',
  columns: { num: 'bigint', body: 'text?', weight: 'double?' },
  key: ['num'],
} as const satisfies Table<Record<string, 'bigint' | 'text?' | 'double?'>>;

const note = (num: number, body: string | null = null): { num: number; body: string | null; weight: null } => ({ num, body, weight: null });

const createNotes = (database: Database): Promise<number> =>
  database.write('create', (tx) => tx.run(sql`CREATE TABLE test_notes (num BIGINT PRIMARY KEY, body TEXT, weight DOUBLE PRECISION)`));

const numbers = async (database: Database): Promise<number[]> =>
  (await database.read('numbers', (reader) => reader.all<{ num: number }>(sql`SELECT num FROM test_notes ORDER BY num`))).map(
    ({ num }) => num,
  );

const add = (database: Database, num: number): Promise<void> => database.write('add', async (tx) => tx.insert(notes, note(num)));

withBothDatabases('a job that fails takes nothing of its group with it', async (_t, open) => {
  const database = await open();
  await createNotes(database);
  await add(database, 5);
  const results = await Promise.allSettled([
    add(database, 1),
    database.write('throws', async (tx) => {
      await tx.run(sql`INSERT INTO test_notes (num) VALUES (2)`);
      throw new Error('my own fault');
    }),
    add(database, 5),
    database.write('bad statement', (tx) => tx.run(sql`INSERT INTO nowhere (num) VALUES (3)`)),
    database.write('catches', async (tx) => {
      tx.insert(notes, note(7));
      await tx.run(sql`INSERT INTO test_notes (num) VALUES (5)`).catch(() => undefined);
    }),
    database.write('adds late', async (tx) => {
      const before = await tx.all<{ num: number }>(sql`SELECT num FROM test_notes ORDER BY num`);
      tx.insert(notes, note(4));
      return before.map(({ num }) => num);
    }),
  ]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'rejected', 'rejected', 'rejected', 'fulfilled'],
  );
  assert.match(String((results[1] as PromiseRejectedResult).reason), /my own fault/);
  assert.ok(isUniqueViolation((results[2] as PromiseRejectedResult).reason));
  assert.ok(isUniqueViolation((results[4] as PromiseRejectedResult).reason));
  assert.deepEqual((results[5] as PromiseFulfilledResult<number[]>).value, [1, 5], 'a job sees the jobs before it');
  assert.deepEqual(await numbers(database), [1, 4, 5]);
});

withBothDatabases('callbacks run before positions are published, and those before anybody is answered', async (_t, open) => {
  const database = await open();
  await createNotes(database);
  const seen: string[] = [];
  database.positions.subscribe((streams) =>
    seen.push(`published ${[...streams].join()} ${String(database.positions.current('notes').min)}`),
  );
  const job = async (name: string): Promise<void> => {
    await database.write(name, async (tx) => {
      tx.insert(notes, note(await tx.nextPositions('notes')));
      tx.onCommit(() => seen.push(`callback ${name}`));
    });
    seen.push(`answered ${name}`);
  };
  await Promise.all([job('a'), job('b')]);
  assert.deepEqual(seen, ['callback a', 'callback b', 'published notes 2', 'answered a', 'answered b']);
});

withBothDatabases('a failed job gives its positions up, and a restart goes on behind the last', async (_t, open) => {
  const database = await open();
  await createNotes(database);
  const take = (fail: boolean) =>
    database.write('take', async (tx) => {
      const first = await tx.nextPositions('notes', 3);
      tx.insert(notes, note(first));
      if (fail) throw new Error('no');
      return first;
    });
  const [one, two, three] = await Promise.allSettled([take(false), take(true), take(false)]);
  assert.equal(two.status, 'rejected');
  const taken = [one, three].map((result) => (result as PromiseFulfilledResult<number>).value);
  assert.ok((taken[1] ?? 0) >= (taken[0] ?? 0) + 3, 'numbers are never given twice');
  const end = (taken[1] ?? 0) + 2;
  assert.deepEqual(database.positions.current('notes'), { min: end, ahead: new Map() });
  await database.close();
  const again = await open();
  assert.equal(again.positions.current('notes').min, end);
  assert.equal(await again.write('take', (tx) => tx.nextPositions('notes')), end + 1);
});

withBothDatabases('a body that awaits anything else is refused by name and rolled back', async (_t, open) => {
  const database = await open();
  await createNotes(database);
  const stuck = (wait: () => Promise<unknown>) =>
    database.write('stuck one', async (tx) => {
      await tx.run(sql`INSERT INTO test_notes (num) VALUES (1)`);
      await wait();
    });
  const refused = (error: unknown): boolean => error instanceof TransactionStalled && error.message.includes('stuck one');
  await assert.rejects(
    stuck(() => new Promise((resolve) => setTimeout(resolve, 100))),
    refused,
  );
  await assert.rejects(
    stuck(() => add(database, 9)),
    refused,
    'a nested write',
  );
  await assert.rejects(
    database.read('stuck one', () => new Promise(() => undefined)),
    refused,
  );
  await add(database, 2);
  assert.deepEqual(
    (await numbers(database)).filter((num) => num !== 9),
    [2],
  );
});

withBothDatabases('a transaction cannot be used after its end', async (_t, open) => {
  const database = await open();
  await createNotes(database);
  let kept: Transaction | undefined;
  await database.write('keeps', async (tx) => {
    kept = tx;
  });
  await assert.rejects(async () => kept?.run(sql`INSERT INTO test_notes (num) VALUES (1)`), TransactionEnded);
  assert.throws(() => kept?.insert(notes, note(1)), TransactionEnded);
});

withBothDatabases('rows are written in order, the last put of a key wins, statements see rows added before', async (_t, open) => {
  const database = await open();
  await createNotes(database);
  const counts = await database.write('mixed', async (tx) => {
    tx.insert(notes, note(1, 'inserted'));
    tx.put(notes, { num: 1, body: 'put once', weight: 0.5 });
    tx.put(notes, { num: 1, body: `put 'twice' {"a": "\\"}`, weight: 1.5 });
    tx.put(notes, note(2, ''));
    const { n } = (await tx.one<{ n: number }>(sql`SELECT count(*) AS n FROM test_notes`)) ?? { n: -1 };
    tx.insert(notes, note(3, 'NULL'));
    const changed = await tx.run(sql`UPDATE test_notes SET weight = 2 WHERE num ${sql.in([2, 3, 99])}`);
    return { n, changed };
  });
  assert.deepEqual(counts, { n: 2, changed: 2 });
  const rows = await database.read('all', (reader) => reader.all(sql`SELECT num, body, weight FROM test_notes ORDER BY num`));
  const long = await database.readLong('all', sql`SELECT num, body, weight FROM test_notes ORDER BY num`);
  const expected = [
    { num: 1, body: `put 'twice' {"a": "\\"}`, weight: 1.5 },
    { num: 2, body: '', weight: 2 },
    { num: 3, body: 'NULL', weight: 2 },
  ];
  for (const got of [rows, long]) {
    assert.deepEqual(
      got.map((row) => ({ ...row })),
      expected,
    );
  }
});

withBothDatabases('both engines answer with the same types', async (_t, open) => {
  const database = await open();
  await createNotes(database);
  await database.write('add', async (tx) => {
    for (const num of [2 ** 53 - 1, 3]) tx.insert(notes, note(num, 'ü\u{1F600}'));
  });
  const row = await database.read('types', (reader) =>
    reader.one(
      sql`SELECT max(num) AS big, sum(num - num + 1) AS total, count(*) > 1 AS several, max(body) AS body, max(weight) AS none FROM test_notes`,
    ),
  );
  assert.deepEqual({ ...row }, { big: 2 ** 53 - 1, total: 2, several: 1, body: 'ü\u{1F600}', none: null });
  await database.write('grow', (tx) => tx.run(sql`INSERT INTO test_notes (num) VALUES (9007199254740993)`));
  await assert.rejects(database.read('too large', (reader) => reader.all(sql`SELECT num FROM test_notes`)));
});

withBothDatabases('texts are rows to join with, none of them included', async (_t, open) => {
  const database = await open();
  await createNotes(database);
  await database.write('add', async (tx) => {
    for (const [num, body] of [
      [1, 'a'],
      [2, "b'"],
      [3, 'c'],
      [4, null],
    ] as const)
      tx.insert(notes, note(num, body));
  });
  const found = async (bodies: readonly string[]): Promise<number[]> =>
    (
      await database.read('found', async (reader) =>
        reader.all<{ num: number }>(
          sql`SELECT n.num FROM ${sql.texts(bodies)} AS wanted CROSS JOIN test_notes n WHERE n.num < ${4} AND n.body = wanted.value ORDER BY n.num`,
        ),
      )
    ).map(({ num }) => num);
  assert.deepEqual(await found(["b'", 'x', 'a']), [1, 2]);
  assert.deepEqual(await found([]), []);
});

withBothDatabases('a read sees one state of the database throughout', async (_t, open) => {
  const database = await open();
  await createNotes(database);
  const count = sql`SELECT count(*) AS n FROM test_notes`;
  const [counts] = await Promise.all([
    database.read('counts', async (reader) =>
      [await reader.one<{ n: number }>(count), await reader.one<{ n: number }>(count)].map((row) => row?.n),
    ),
    ...Array.from({ length: 20 }, (_, num) => add(database, num)),
  ]);
  assert.equal(counts[0], counts[1]);
  assert.equal((await numbers(database)).length, 20, 'own writes are visible as soon as they are answered');
});

withBothDatabases('a lease is held once, and commits are fenced by its epoch', async (_t, open) => {
  const database = await open();
  await createNotes(database);
  const first = await database.leases.acquire('rooms/0', 60_000);
  assert.deepEqual(first, { name: 'rooms/0', epoch: 1 });
  const second = await database.leases.acquire('rooms/0', 60_000);
  assert.deepEqual(second, { name: 'rooms/0', epoch: 2 }, 'the holder may take it anew');
  assert.equal(await database.leases.renew({ name: 'rooms/0', epoch: 1 }, 60_000), false);
  const write = (epoch: number, num: number) =>
    database.write('fenced', async (tx) => {
      tx.insert(notes, note(num));
      assertLease(tx, { name: 'rooms/0', epoch });
    });
  const results = await Promise.allSettled([write(2, 1), write(1, 2), write(2, 3)]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.ok((results[1] as PromiseRejectedResult).reason instanceof LeaseLost);
  assert.deepEqual(await numbers(database), [1, 3]);
});

withBothDatabases('closing waits for the writes under way and refuses new ones', async (_t, open) => {
  const database = await open();
  await createNotes(database);
  const writes = [1, 2, 3].map((num) => add(database, num));
  await database.close();
  await Promise.all(writes);
  await assert.rejects(add(database, 4), /closed/);
  assert.deepEqual(await numbers(await open()), [1, 2, 3]);
});
