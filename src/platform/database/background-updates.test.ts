import assert from 'node:assert/strict';
import { systemClock } from '#src/platform/clock.ts';
import { createBackgroundUpdates } from '#src/platform/database/background-updates.ts';
import type { BackgroundUpdate, BackgroundUpdates } from '#src/platform/database/background-updates.ts';
import type { Database } from '#src/platform/database/types.ts';
import { silent, withBothDatabases } from '../../../test/support/databases.ts';

const config = {
  background_update_duration_ms: 100,
  sleep_enabled: false,
  sleep_duration_ms: 1000,
  min_batch_size: 1,
  default_batch_size: 4,
};

const updatesOn = (database: Database): BackgroundUpdates =>
  createBackgroundUpdates({ database, config, clock: systemClock, logger: silent });

/** An update over the numbers up to `end`, which notes what it was asked to do. */
const counting =
  (end: number, seen: string[], label: string): BackgroundUpdate =>
  async (_tx, progress, batchSize) => {
    const from = Number(progress['next'] ?? 0);
    const next = Math.min(end, from + Math.min(batchSize, 4));
    seen.push(`${label} ${String(from)}-${String(next)}`);
    return { done: next === end, progress: { next }, processed: next - from };
  };

withBothDatabases('updates run in order, in slices, after what they depend on', async (_t, open) => {
  const database = await open();
  const updates = updatesOn(database);
  const seen: string[] = [];
  updates.setEnabled(false);
  for (const name of ['second', 'first']) updates.register(name, counting(10, seen, name));
  await updates.schedule('second', { dependsOn: 'first', ordering: 1 });
  await updates.schedule('first', { ordering: 2 });
  await updates.schedule('of another version', { ordering: 0 });
  await updates.schedule('first', { ordering: 9 });
  assert.deepEqual(
    (await updates.status()).map(({ name, dependsOn, running }) => ({ name, dependsOn, running })),
    [
      { name: 'of another version', dependsOn: null, running: false },
      { name: 'second', dependsOn: 'first', running: false },
      { name: 'first', dependsOn: null, running: false },
    ],
  );
  updates.setEnabled(true);
  await updates.idle();
  assert.equal(seen[0], 'first 0-4');
  assert.ok(seen.indexOf('second 0-4') > seen.findIndex((line) => line.startsWith('first') && line.endsWith('-10')));
  assert.ok(seen.at(-1)?.endsWith('-10'));
  assert.deepEqual(
    (await updates.status()).map(({ name }) => name),
    ['of another version'],
  );
  await updates.stop();
});

withBothDatabases('an update resumes where it was stopped', async (_t, open) => {
  const database = await open();
  const first = updatesOn(database);
  const seen: string[] = [];
  const slice = counting(12, seen, 'x');
  first.register('x', async (...given) => {
    first.setEnabled(false);
    return slice(...given);
  });
  await first.schedule('x', { progress: { next: 2 } });
  await first.idle();
  const [status] = await first.status();
  assert.deepEqual(status?.progress, { next: 6 });
  assert.equal(status?.processed, 4);
  await first.stop();
  const second = updatesOn(database);
  second.register('x', slice);
  second.start();
  await second.idle();
  assert.equal(seen[0], 'x 2-6');
  assert.ok(seen[1]?.startsWith('x 6-'));
  assert.deepEqual(await second.status(), []);
  await second.stop();
});
