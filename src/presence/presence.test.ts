import assert from 'node:assert/strict';
import { withBothDatabases } from '#test/support/databases.ts';
import { member, openRoomsWorld } from '#test/support/rooms-world.ts';
import { systemClock } from '#src/platform/clock.ts';
import { testConfig } from '#src/platform/config/index.ts';
import { createRateLimiters } from '#src/platform/http/rate-limits.ts';
import { createStrings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import { createMetrics } from '#src/platform/metrics/index.ts';
import type { RoomGraph } from '#src/rooms/graph/index.ts';
import { createPresence, openPresence, type Presence } from '#src/presence/index.ts';
import { silent } from '#test/support/databases.ts';

const [ALICE, BOB, ROBOT] = ['@alice:one.example', '@bob:one.example', '@robot:two.example'];
const MINUTE_MS = 60_000;

interface Synced {
  readonly next_batch: string;
  readonly presence?: { readonly events: readonly { readonly sender: string; readonly content: { readonly presence: string } }[] };
}

const told = ({ presence }: Synced): string[] =>
  (presence?.events ?? []).map(({ sender, content }) => `${sender.slice(1, sender.indexOf(':'))} ${content.presence}`).toSorted();

/** Presence in a world whose clock is turned by hand, and whose jobs are called by name. */
const openWorld = async (database: Database, settings: { enabled?: boolean; excluded?: string[] } = {}) => {
  const time = { nowMs: Date.now() };
  const clock = { ...systemClock, now: () => time.nowMs };
  const strings = createStrings(database);
  const config = {
    ...testConfig({ server_name: 'one.example', presence: { enabled: settings.enabled ?? true } }),
    exclude_rooms_from_presence: settings.excluded ?? [],
  };
  const limiters = createRateLimiters({ clock: systemClock, config });
  const { book, metrics } = await openPresence({ database, strings, clock, config, limiters, metrics: createMetrics() });
  const jobs = new Map<string, (signal: AbortSignal) => Promise<void>>();
  const slices: { presence?: Presence } = {};
  const world = await openRoomsWorld(database, (graph: RoomGraph) => {
    slices.presence = createPresence({
      book,
      metrics,
      database,
      strings,
      clock,
      graph,
      config,
      limiter: { check: () => undefined },
      jobs: { every: (name, _ms, job) => void jobs.set(name, job), stop: async () => undefined },
      log: silent,
    });
    return { sources: [slices.presence.source] };
  });
  const presence = slices.presence as Presence;
  const run = async (name: string): Promise<void> => jobs.get(name)?.(new AbortController().signal);
  const sync = async (userId: string, since?: string): Promise<Synced> =>
    world.get(userId, `/sync?${since === undefined ? '' : `since=${since}`}`);
  const numOf = async (userId: string): Promise<number> => (await strings.intern([userId])).get(userId) as number;
  const requester = async (userId: string) => ({
    userId,
    userNum: await numOf(userId),
    deviceId: 'D',
    sessionNum: 1,
    isGuest: false,
    isAdmin: false,
  });
  const close = async (): Promise<void> => {
    world.close();
    await presence.close();
  };
  return { world, presence, book, time, run, sync, requester, close };
};

withBothDatabases('another server is believed for half an hour, of its own users', async (_t, open) => {
  const database = await open();
  const { world, presence, time, run, sync, requester, close } = await openWorld(database);
  const room = await world.makeRoom(ALICE);
  await world.append(room, member(ROBOT, ROBOT, 'join'));
  let { next_batch: since } = await sync(ALICE);
  const push = (...all: object[]) => ({ push: all }) as unknown as Parameters<Presence['receive']>[1];
  const strange = [null, 5, {}, { user_id: ROBOT }, { user_id: ROBOT, presence: 'asleep' }, { user_id: ALICE, presence: 'online' }];
  await presence.receive('two.example', push(...(strange as object[])));
  await presence.receive('two.example', { push: 'nonsense' });
  await presence.receive('three.example', push({ user_id: ROBOT, presence: 'online' }));
  await presence.receive('two.example', push({ user_id: '@stranger:two.example', presence: 'online' }));
  await presence.receive('two.example', push({ user_id: ROBOT, presence: 'busy' }));
  assert.deepEqual(told(await sync(ALICE, since)), []);

  const content = { user_id: ROBOT, presence: 'online', last_active_ago: 5000, status_msg: 'beep', currently_active: true };
  await presence.receive('two.example', push(content));
  const first = await sync(ALICE, since);
  assert.deepEqual(first.presence?.events, [
    {
      type: 'm.presence',
      sender: ROBOT,
      content: { presence: 'online', last_active_ago: 5000, status_msg: 'beep', currently_active: true },
    },
  ]);
  since = first.next_batch;
  time.nowMs += 25 * MINUTE_MS;
  await presence.receive('two.example', push({ ...content, last_active_ago: -1, status_msg: 'x'.repeat(5000) }));
  const again = await sync(ALICE, since);
  assert.deepEqual(again.presence?.events[0]?.content, {
    presence: 'online',
    last_active_ago: 5000 + 25 * MINUTE_MS,
    currently_active: true,
  });
  since = again.next_batch;
  time.nowMs += 29 * MINUTE_MS;
  await run('presence grows old');
  assert.deepEqual(told(await sync(ALICE, since)), []);
  time.nowMs += MINUTE_MS + 1000;
  await run('presence grows old');
  assert.deepEqual(told(await sync(ALICE, since)), ['robot offline']);
  assert.equal((await presence.of(await requester(ALICE), ROBOT))['presence'], 'offline');
  await close();
});

withBothDatabases('who comes from before memory reaches back is told who went meanwhile', async (_t, open) => {
  const database = await open();
  const first = await openWorld(database);
  const room = await first.world.makeRoom(ALICE);
  await first.world.append(room, member(BOB, BOB, 'join'));
  const bob = await first.requester(BOB);
  await first.presence.set(bob, BOB, 'online', undefined);
  const { next_batch: since } = await first.sync(ALICE);
  await first.presence.set(bob, BOB, 'offline', 'later');
  await first.run('write presence');
  // As after a power cut: nothing more is written.
  first.world.close();
  const second = await openWorld(database);
  second.time.nowMs += 60 * MINUTE_MS;
  assert.deepEqual(told(await second.sync(ALICE, since)), ['bob offline']);
  assert.deepEqual(told(await second.sync(ALICE)), []);
  await second.presence.set(bob, BOB, 'unavailable', undefined);
  const third = await second.sync(ALICE, since);
  assert.deepEqual(told(third), ['bob unavailable']);
  await second.close();

  const off = await openWorld(database, { enabled: false });
  assert.deepEqual(told(await off.sync(ALICE, third.next_batch)), ['bob offline'], 'where presence is off now nobody stays online');
  await off.close();
});

withBothDatabases('other servers are told of changes, of who comes, and again before they forget', async (_t, open) => {
  const database = await open();
  const { world, presence, time, run, requester, close } = await openWorld(database);
  const told: string[] = [];
  const wait = async (count: number): Promise<string[]> => {
    for (const end = performance.now() + 10_000; told.length < count && performance.now() < end;)
      await new Promise((resolve) => setTimeout(resolve, 10));
    return told.splice(0).toSorted();
  };
  presence.onOwn((news) => {
    for (const { userId, content, roomNums, servers } of news)
      told.push(
        `${userId} ${JSON.stringify(content['presence'])} ${String(content['user_id'] === userId)} ${String(roomNums.length)} ${servers.join()}`,
      );
  });
  const room = await world.makeRoom(ALICE);
  await world.makeRoom(ALICE);
  await world.append(room, member(BOB, BOB, 'join'));
  const [alice, bob] = [await requester(ALICE), await requester(BOB)];
  await presence.set(alice, ALICE, 'online', undefined);
  await world.append(room, member(ROBOT, ROBOT, 'join'));
  assert.deepEqual(await wait(1), [`${ALICE} "online" true 1 two.example`]);
  await presence.set(bob, BOB, 'online', undefined);
  await presence.set(bob, BOB, 'unavailable', undefined);
  assert.deepEqual(await wait(1), [`${BOB} "unavailable" true 1 `], 'the last word alone, and nothing in rooms where nobody else is');
  const other = await world.makeRoom(ALICE);
  await world.append(other, member(ROBOT, ROBOT, 'join'));
  assert.deepEqual(await wait(1), [`${ALICE} "online" true 1 two.example`]);
  await world.append(other, member(BOB, BOB, 'join'));
  assert.deepEqual(await wait(1), [`${BOB} "unavailable" true 1 `]);

  const { seen } = presence;
  await seen({ ...alice, deviceId: 'D' }, 'unavailable');
  await seen({ ...bob, deviceId: 'D' }, 'unavailable');
  assert.deepEqual(await wait(1), [`${ALICE} "unavailable" true 2 `]);
  time.nowMs += 24 * MINUTE_MS;
  await run('presence grows old');
  time.nowMs += MINUTE_MS + 1000;
  await run('presence grows old');
  assert.deepEqual(await wait(2), [`${ALICE} "unavailable" true 2 `, `${BOB} "unavailable" true 2 `]);
  await presence.receive('two.example', { push: [{ user_id: ROBOT, presence: 'online' }] });
  await presence.set(alice, ALICE, 'offline', undefined);
  assert.deepEqual(await wait(1), [`${ALICE} "offline" true 2 `], 'of its own users each server tells itself');
  await close();
});

withBothDatabases('offline users are let go of, and known again', async (_t, open) => {
  const database = await open();
  const { world, presence, book, time, run, requester, close } = await openWorld(database);
  await world.makeRoom(ALICE);
  const alice = await requester(ALICE);
  await presence.set(alice, ALICE, 'online', 'hello');
  time.nowMs += MINUTE_MS;
  await run('presence grows old');
  await run('write presence');
  assert.equal(book.of(alice.userNum)?.presence, 'offline');
  for (let n = 0; n < 700; n += 1) {
    time.nowMs += 1000;
    await presence.set(alice, ALICE, n % 2 === 0 ? 'online' : 'unavailable', 'hello');
  }
  await presence.set(alice, ALICE, 'offline', 'hello');
  const bob = await requester(BOB);
  for (let n = 0; n < 700; n += 1) {
    time.nowMs += 1000;
    await presence.set(bob, BOB, n % 2 === 0 ? 'online' : 'unavailable', undefined);
  }
  await run('presence grows old');
  await run('write presence');
  assert.equal(book.of(alice.userNum), undefined);
  assert.equal((await presence.of(alice, ALICE))['status_msg'], 'hello');
  await close();
});

withBothDatabases('rooms may be no reason to see each other', async (_t, open) => {
  const database = await open();
  const excluded: string[] = [];
  const { world, presence, sync, requester, close } = await openWorld(database, { excluded });
  const room = await world.makeRoom(ALICE);
  excluded.push(room.roomId);
  await world.append(room, member(BOB, BOB, 'join'));
  const { next_batch: since } = await sync(ALICE);
  await presence.set(await requester(BOB), BOB, 'online', undefined);
  assert.deepEqual(told(await sync(ALICE, since)), []);
  assert.deepEqual(told(await sync(ALICE)), []);
  await assert.rejects(presence.of(await requester(ALICE), BOB), { status: 403 });
  const other = await world.makeRoom(ALICE);
  await world.append(other, member(BOB, BOB, 'join'));
  assert.deepEqual(told(await sync(ALICE)), ['bob online']);
  assert.equal((await presence.of(await requester(ALICE), BOB))['presence'], 'online');
  await close();
});
