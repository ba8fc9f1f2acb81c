import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createNotifier, waitFor } from '#src/platform/streams/wait.ts';
import { withBothDatabases } from '../../../test/support/databases.ts';

void test('only those who wait for a key are woken by it, and nothing is left behind', async () => {
  const notifier = createNotifier();
  const options = { timeoutMs: 60_000 };
  const one = notifier.register(['@a:test', '!room:test', '@a:test']).wait(options);
  const two = notifier.register(['@b:test', '!room:test']).wait(options);
  const controller = new AbortController();
  const three = notifier.register(['@c:test']).wait({ timeoutMs: 60_000, signal: controller.signal });
  assert.equal(notifier.size(), 3);
  notifier.wake(['@a:test', '@nobody:test']);
  assert.equal(await one, 'woken');
  assert.equal(notifier.size(), 2);
  notifier.wake(['!room:test']);
  assert.equal(await two, 'woken');
  controller.abort();
  assert.equal(await three, 'aborted');
  assert.equal(await notifier.register(['@d:test']).wait({ timeoutMs: 1 }), 'timeout');
  assert.equal(await notifier.register(['@d:test']).wait({ timeoutMs: 60_000, signal: controller.signal }), 'aborted');
  notifier.register(['@d:test']).cancel();
  assert.equal(notifier.size(), 0);
});

void test('a wake between registering and waiting is not lost', async () => {
  const notifier = createNotifier();
  const waiter = notifier.register(['@a:test']);
  notifier.wake(['@a:test']);
  assert.equal(await waiter.wait({ timeoutMs: 60_000 }), 'woken');
});

withBothDatabases('positions can be waited for', async (_t, open) => {
  const database = await open();
  const { positions } = database;
  const wait = (n: number, timeoutMs: number) =>
    waitFor({ positions, streams: ['things'], until: () => positions.current('things').min >= n, timeoutMs });
  const waiting = wait(2, 60_000);
  const take = (stream: string) => database.write('take', (tx) => tx.nextPositions(stream));
  await take('others');
  await take('things');
  assert.equal(await Promise.race([waiting, Promise.resolve('still waiting')]), 'still waiting');
  await take('things');
  assert.equal(await waiting, 'woken');
  assert.equal(await wait(1, 1), 'woken');
  assert.equal(await wait(9, 1), 'timeout');
});
