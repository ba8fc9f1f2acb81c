import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '#src/platform/clock.ts';
import { openDatabase } from '#src/platform/database/index.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Database, Table } from '#src/platform/database/types.ts';
import { silent } from '#test/support/databases.ts';
import { NO_POSTGRES, postgresPrograms, startDurableCluster } from '#test/support/postgres.ts';

const rows = { name: 'test_rows', columns: { num: 'bigint' }, key: ['num'] } as const satisfies Table<Record<string, 'bigint'>>;
const ROUNDS = 3;
const WRITERS = 8;

const rowsOf = async (database: Database): Promise<number[]> =>
  (await database.read('rows', (reader) => reader.all<{ num: number }>(sql`SELECT num FROM test_rows ORDER BY num`))).map(({ num }) => num);

void test('when PostgreSQL loses its power, nothing is lost that was answered, even where it confirms commits too early by default', async (t) => {
  if (postgresPrograms() === undefined) {
    t.skip(NO_POSTGRES);
    return;
  }
  // Without the writer's own word this server would keep commits to itself for half a minute.
  const cluster = await startDurableCluster(['synchronous_commit=off', 'wal_writer_delay=10s', 'wal_writer_flush_after=1GB']);
  t.after(cluster.stop);
  const openHere = (): Promise<Database> => openDatabase({ config: cluster.config, writer: 'master', clock: systemClock, logger: silent });
  let database = await openHere();
  await database.write('create', (tx) => tx.run(sql`CREATE TABLE test_rows (num BIGINT PRIMARY KEY)`));
  const answered: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const target = answered.length + 100;
    let stopping = false;
    const write = async (): Promise<void> => {
      while (!stopping) {
        const num = await database.write('add', async (tx) => {
          const next = await tx.nextPositions('rows');
          tx.insert(rows, { num: next });
          return next;
        });
        answered.push(num);
      }
    };
    const writers = Promise.allSettled(Array.from({ length: WRITERS }, write));
    while (answered.length < target) await sleep(1);
    await cluster.cutPower();
    const before = answered.toSorted((a, b) => a - b);
    await cluster.restart();
    const found = new Set(await rowsOf(database));
    assert.deepEqual(
      before.filter((num) => !found.has(num)),
      [],
    );
    // Those whose commit was under way have been told by now what became of it, and go on.
    stopping = true;
    for (const { status } of await writers) assert.equal(status, 'fulfilled');
    await database.close();
    database = await openHere();
    assert.deepEqual(
      await rowsOf(database),
      answered.toSorted((a, b) => a - b),
      'each answered row is there, once, and no other',
    );
  }
  await database.close();
});
