import assert from 'node:assert/strict';
import { systemClock } from '#src/platform/clock.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Database, Table } from '#src/platform/database/types.ts';
import { createFollowers } from '#src/platform/streams/followers.ts';
import type { Followers, Stretch } from '#src/platform/streams/followers.ts';
import { silent, withBothDatabases } from '../../../test/support/databases.ts';

const derived = { name: 'test_derived', columns: { num: 'bigint' }, key: ['num'] } as const satisfies Table<Record<string, 'bigint'>>;

const advance = async (database: Database, count: number): Promise<void> => {
  await database.write('advance', (tx) => tx.nextPositions('things', count));
};
const followersOn = (database: Database): Followers => createFollowers({ database, clock: systemClock, logger: silent, firstRetryMs: 5 });

withBothDatabases('a follower handles each stretch in bounded steps and goes on after a restart', async (_t, open) => {
  const database = await open();
  await advance(database, 25);
  const stretches: string[] = [];
  const handle = async ({ from, to }: Stretch): Promise<void> => void stretches.push(`${String(from.min)}-${String(to.min)}`);
  const followers = followersOn(database);
  const follower = await followers.follow({ name: 'test', stream: 'things', start: 'beginning', batch: 10, handle });
  await follower.idle();
  assert.deepEqual(stretches, ['0-10', '10-20', '20-25']);
  await advance(database, 1);
  await follower.idle();
  await followers.stop();
  await advance(database, 3);
  assert.deepEqual(stretches.slice(3), ['25-26'], 'a stopped follower handles nothing');
  const again = await followersOn(database).follow({ name: 'test', stream: 'things', start: 'now', batch: 10, handle });
  await again.idle();
  assert.deepEqual(stretches.slice(4), ['26-29']);
  await again.stop();
});

withBothDatabases('a new follower may begin now, and "now" stays when it was', async (_t, open) => {
  const database = await open();
  await advance(database, 5);
  const first = await followersOn(database).follow({
    name: 'test',
    stream: 'things',
    start: 'now',
    batch: 10,
    handle: () => Promise.reject(new Error('never')),
  });
  assert.equal(first.position().min, 5);
  await first.stop();
  await advance(database, 5);
  const second = await followersOn(database).follow({
    name: 'test',
    stream: 'things',
    start: 'now',
    batch: 10,
    handle: () => Promise.resolve(),
  });
  await second.idle();
  assert.equal(second.position().min, 10);
  await second.stop();
});

withBothDatabases('what is derived in a transaction is derived once, whatever fails', async (_t, open) => {
  const database = await open();
  await database.write('create', (tx) => tx.run(sql`CREATE TABLE test_derived (num BIGINT PRIMARY KEY)`));
  await advance(database, 30);
  let failures = 3;
  const follower = await followersOn(database).follow({
    name: 'test',
    stream: 'things',
    start: 'beginning',
    batch: 7,
    handleInTransaction: async (tx, { from, to }) => {
      for (let num = from.min + 1; num <= to.min; num += 1) tx.insert(derived, { num });
      if (from.min === 7 && failures > 0) {
        failures -= 1;
        throw new Error('not yet');
      }
    },
  });
  await follower.idle();
  assert.equal(failures, 0);
  const rows = await database.read('derived', (reader) =>
    reader.one<{ n: number; top: number }>(sql`SELECT count(*) AS n, max(num) AS top FROM test_derived`),
  );
  assert.deepEqual({ ...rows }, { n: 30, top: 30 });
  await follower.stop();
});

withBothDatabases('a follower that fails holds up nobody and can be stopped', async (_t, open) => {
  const database = await open();
  const followers = createFollowers({ database, clock: systemClock, logger: silent, firstRetryMs: 3_600_000 });
  const bad = await followers.follow({
    name: 'bad',
    stream: 'things',
    start: 'now',
    batch: 1,
    handle: () => Promise.reject(new Error('no')),
  });
  let handled = 0;
  const good = await followers.follow({ name: 'good', stream: 'things', start: 'now', batch: 1, handle: async () => void (handled += 1) });
  await assert.rejects(
    followers.follow({ name: 'good', stream: 'things', start: 'now', batch: 1, handle: () => Promise.resolve() }),
    /already/,
  );
  await advance(database, 3);
  await good.idle();
  assert.equal(handled, 3);
  assert.equal(bad.position().min, 0);
  await followers.stop();
});

withBothDatabases('a follower lets its stream gather until somebody waits for it', async (_t, open) => {
  const database = await open();
  const stretches: string[] = [];
  const handle = async ({ from, to }: Stretch): Promise<void> => void stretches.push(`${String(from.min)}-${String(to.min)}`);
  const follower = await followersOn(database).follow({
    name: 'test',
    stream: 'things',
    start: 'beginning',
    batch: 10,
    gatherMs: 3_600_000,
    handle,
  });
  await advance(database, 2);
  await advance(database, 2);
  await follower.caughtUp(1);
  const met = follower.caughtUp(60_000);
  await advance(database, 1);
  await met;
  await follower.caughtUp(60_000);
  assert.equal(follower.position().min, 5);
  assert.equal(stretches[0]?.startsWith('0-'), true);
  assert.ok(!stretches.includes('0-2'), 'both were gathered');
  await advance(database, 10);
  await advance(database, 1);
  await follower.idle();
  assert.equal(follower.position().min, 16);
  await advance(database, 1);
  await follower.stop();
  assert.equal(follower.position().min, 16, 'who is stopped does not wait for the gathering to end');
});
