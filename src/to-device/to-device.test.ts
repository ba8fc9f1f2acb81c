import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createKnownDevices, createKeyMemory, devicePort } from '#src/devices/index.ts';
import type { DevicePort, Requester } from '#src/accounts/index.ts';
import { systemClock } from '#src/platform/clock.ts';
import { createStrings } from '#src/platform/database/strings.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Database } from '#src/platform/database/types.ts';
import { createRateLimiter } from '#src/platform/http/rate-limits.ts';
import { systemRandom } from '#src/platform/random.ts';
import { MatrixError } from '#src/protocol/errors.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { createToDevice, type ToDevice } from '#src/to-device/index.ts';
import { withBothDatabases } from '../../test/support/databases.ts';

const DAY_MS = 86_400_000;

interface World {
  readonly toDevice: ToDevice;
  readonly port: DevicePort;
  /** Runs the janitor. */
  readonly sweep: () => Promise<void>;
  readonly pass: (ms: number) => void;
  readonly userNum: (name: string) => Promise<number>;
  readonly caller: (name: string, deviceId: string) => Promise<Requester>;
  readonly addDevice: (name: string, deviceId: string) => Promise<void>;
  readonly removeDevice: (name: string, deviceId: string) => Promise<void>;
  /** What a sync with this token would give, and the next token. */
  readonly sync: (name: string, deviceId: string, since?: number, limit?: number) => Promise<{ bodies: unknown[]; next: number }>;
  readonly count: (table: 'inbox' | 'transactions' | 'outbox') => Promise<number>;
}

const idOf = (name: string): string => `@${name}:test`;

const openWorld = (database: Database): World => {
  const strings = createStrings(database);
  const knownDevices = createKnownDevices();
  const jobs: (() => Promise<void>)[] = [];
  let offsetMs = 0;
  const clock = { now: () => systemClock.now() + offsetMs, monotonic: () => systemClock.monotonic() + offsetMs };
  const toDevice = createToDevice({
    database,
    strings,
    clock,
    random: systemRandom,
    jobs: {
      every: (_name, _intervalMs, job) => void jobs.push(async () => job(new AbortController().signal)),
      stop: () => Promise.resolve(),
    },
    serverName: 'test',
    knownDevices,
    keyRequests: createRateLimiter({ clock, key: 'rc_key_requests', settings: { per_second: 1, burst_count: 2 } }),
  });
  const port = devicePort({
    clock,
    memory: createKeyMemory(database),
    known: knownDevices,
    onRemoved: toDevice.onDevicesRemoved,
  });
  const userNum = async (name: string): Promise<number> => (await strings.intern([idOf(name)])).get(idOf(name)) as number;
  const tables = {
    inbox: sql`SELECT COUNT(*) AS n FROM to_device_inbox`,
    transactions: sql`SELECT COUNT(*) AS n FROM to_device_transactions`,
    outbox: sql`SELECT COUNT(*) AS n FROM to_device_outbox`,
  };
  return {
    toDevice,
    port,
    sweep: async () => {
      for (const job of jobs) await job();
    },
    pass: (ms) => {
      offsetMs += ms;
    },
    userNum,
    caller: async (name, deviceId) => ({
      userId: idOf(name),
      userNum: await userNum(name),
      deviceId,
      sessionNum: 1,
      isGuest: false,
      isAdmin: false,
    }),
    addDevice: async (name, deviceId) => {
      const num = await userNum(name);
      await database.write('test', (tx) => port.add(tx, { userNum: num, deviceId, displayName: undefined }));
    },
    removeDevice: async (name, deviceId) => {
      const num = await userNum(name);
      await database.write('test', (tx) => port.remove(tx, num, [deviceId]));
    },
    sync: async (name, deviceId, since, limit = 100) => {
      const { position: upTo } = toDevice.source.now();
      const taken = await toDevice.source.take({ userNum: await userNum(name), deviceId }, { after: since, upTo }, limit);
      return { bodies: taken.events.map((text) => (JSON.parse(text) as { content: { n: unknown } }).content.n), next: taken.upTo };
    },
    count: async (table) => (await database.read('test', (reader) => reader.one<{ n: number }>(tables[table])))?.n ?? 0,
  };
};

const to = (name: string, deviceId: string, n: unknown): Record<string, Record<string, JsonObject>> => ({
  [idOf(name)]: { [deviceId]: { n } as JsonObject },
});

withBothDatabases('messages come in order, again for the same token, and go once a token shows that they arrived', async (_t, open) => {
  const world = openWorld(await open());
  for (const device of ['A', 'B']) await world.addDevice('bob', device);
  await world.addDevice('alice', 'PHONE');
  const alice = await world.caller('alice', 'PHONE');
  const start = (await world.sync('bob', 'A')).next;
  await world.toDevice.send(alice, 'x.type', '1', to('bob', '*', 1));
  await world.toDevice.send(alice, 'x.type', '2', { ...to('bob', 'A', 2), ...to('nobody', 'A', 2), 'no user id': { A: { n: 2 } } });
  await world.toDevice.send(alice, 'x.type', '3', { [idOf('bob')]: { '*': { n: 3 }, B: { n: 'three' }, GONE: { n: 3 } } });
  const first = await world.sync('bob', 'A', start);
  assert.deepEqual(first.bodies, [1, 2, 3]);
  assert.deepEqual((await world.sync('bob', 'B', start)).bodies, [1, 'three'], 'a device that is named comes before all');
  assert.deepEqual(await world.sync('bob', 'A', start), first, 'the same token gives the same');
  const { userNum } = await world.caller('bob', 'A');
  const { events } = await world.toDevice.source.take({ userNum, deviceId: 'A' }, { after: start, upTo: first.next }, 1);
  assert.deepEqual(JSON.parse(events[0] ?? ''), { content: { n: 1 }, sender: idOf('alice'), type: 'x.type' });

  const some = await world.sync('bob', 'A', start, 2);
  assert.deepEqual(some.bodies, [1, 2]);
  assert.deepEqual((await world.sync('bob', 'A', some.next, 2)).bodies, [3]);
  assert.deepEqual((await world.sync('bob', 'A', start)).bodies, [3], 'what has arrived is gone');
  assert.equal(await world.count('inbox'), 3);
  assert.deepEqual((await world.sync('bob', 'A', first.next)).bodies, []);
  assert.deepEqual((await world.sync('bob', 'A')).bodies, []);
  assert.equal(await world.count('inbox'), 2);
});

withBothDatabases('who has nothing to be told costs no query', async (_t, open) => {
  const database = await open();
  let reads = 0;
  const counted: Database = {
    ...database,
    positions: database.positions,
    read: async (name, body) => {
      reads += 1;
      return database.read(name, body);
    },
  };
  const world = openWorld(counted);
  await world.addDevice('alice', 'PHONE');
  await world.addDevice('bob', 'A');
  const alice = await world.caller('alice', 'PHONE');
  let { next } = await world.sync('bob', 'A');
  await world.toDevice.send(alice, 'x', '0', to('bob', 'A', 0));
  for (let n = 1; n < 3; n++) next = (await world.sync('bob', 'A', next)).next;
  reads = 0;
  for (let n = 1; n < 20; n++) {
    await world.toDevice.send(alice, 'x', String(n), to('alice', 'PHONE', n));
    next = (await world.sync('bob', 'A', next)).next;
  }
  assert.equal(reads, 0);
});

withBothDatabases('a request that is repeated sends once, whenever it comes', async (_t, open) => {
  const database = await open();
  const world = openWorld(database);
  for (const [name, device] of [
    ['alice', 'PHONE'],
    ['alice', 'LAPTOP'],
    ['bob', 'A'],
  ] as const)
    await world.addDevice(name, device);
  const alice = await world.caller('alice', 'PHONE');
  const laptop = await world.caller('alice', 'LAPTOP');
  await Promise.all(Array.from({ length: 5 }, async () => world.toDevice.send(alice, 'x', 'T', to('bob', 'A', 1))));
  await world.toDevice.send(alice, 'x', 'T', to('bob', 'A', 1));
  const restarted = openWorld(database);
  await restarted.toDevice.send(alice, 'x', 'T', to('bob', 'A', 1));
  assert.deepEqual((await restarted.sync('bob', 'A')).bodies, [1], 'also after a restart');
  await restarted.toDevice.send(laptop, 'x', 'T', to('bob', 'A', 2));
  await restarted.toDevice.send(alice, 'y', 'T', to('bob', 'A', 3));
  assert.deepEqual((await restarted.sync('bob', 'A')).bodies, [1, 2, 3], "others' transaction ids are others");

  await restarted.removeDevice('alice', 'LAPTOP');
  await restarted.addDevice('alice', 'LAPTOP');
  await restarted.toDevice.send(laptop, 'x', 'T', to('bob', 'A', 4));
  assert.deepEqual((await restarted.sync('bob', 'A')).bodies, [1, 2, 3, 4], 'a new device of the same name starts anew');
  restarted.pass(DAY_MS + 1);
  await restarted.sweep();
  assert.equal(await restarted.count('transactions'), 0);
  await restarted.toDevice.send(alice, 'x', 'T', to('bob', 'A', 5));
  assert.deepEqual((await restarted.sync('bob', 'A')).bodies, [1, 2, 3, 4, 5], 'a day later it is another');
});

withBothDatabases('more requests of a device than memory holds are still done once', async (_t, open) => {
  const database = await open();
  const world = openWorld(database);
  await world.addDevice('alice', 'PHONE');
  const alice = await world.caller('alice', 'PHONE');
  const send = async ({ toDevice }: World, n: number): Promise<void> => toDevice.send(alice, 'x', String(n), to('alice', 'PHONE', n));
  await Promise.all(Array.from({ length: 1100 }, async (_, n) => send(world, n)));
  for (const each of [world, openWorld(database)]) for (const n of [0, 50, 99, 100, 1099]) await send(each, n);
  assert.equal(await world.count('inbox'), 1100);
});

withBothDatabases('what belongs to a device goes with it', async (_t, open) => {
  const world = openWorld(await open());
  await world.addDevice('alice', 'PHONE');
  await world.addDevice('bob', 'A');
  const alice = await world.caller('alice', 'PHONE');
  assert.deepEqual((await world.sync('bob', 'A')).bodies, []);
  await world.toDevice.send(alice, 'x', '1', to('bob', 'A', 1));
  await world.removeDevice('bob', 'A');
  assert.equal(await world.count('inbox'), 0);
  // In one group with the removal, before or behind it.
  for (let n = 0; n < 10; n++) {
    await world.addDevice('bob', 'A');
    const [sent] = await Promise.all([
      world.toDevice.send(alice, 'x', `early ${String(n)}`, to('bob', 'A', n)),
      world.removeDevice('bob', 'A'),
    ]);
    assert.equal(sent, undefined);
    await world.toDevice.send(alice, 'x', `late ${String(n)}`, to('bob', '*', n));
    assert.equal(await world.count('inbox'), 0);
  }
  await world.addDevice('bob', 'A');
  assert.deepEqual((await world.sync('bob', 'A')).bodies, [], 'the next of its name has none of it');
  await world.toDevice.send(alice, 'x', 'new', to('bob', 'A', 'new'));
  assert.deepEqual((await world.sync('bob', 'A')).bodies, ['new']);
  await world.removeDevice('alice', 'PHONE');
  await assert.rejects(
    world.toDevice.send(alice, 'x', 'gone', to('bob', 'A', 'gone')),
    (error) => error instanceof MatrixError && error.errcode === 'M_UNKNOWN_TOKEN',
  );
});

withBothDatabases('key requests to others are limited, large contents refused', async (_t, open) => {
  const world = openWorld(await open());
  for (const [name, device] of [
    ['alice', 'PHONE'],
    ['bob', 'A'],
  ] as const)
    await world.addDevice(name, device);
  const alice = await world.caller('alice', 'PHONE');
  for (let n = 1; n <= 4; n++) {
    await world.toDevice.send(alice, 'm.room_key_request', `bob${String(n)}`, to('bob', 'A', n));
    await world.toDevice.send(alice, 'm.room_key_request', `own${String(n)}`, to('alice', 'PHONE', n));
    await world.toDevice.send(alice, 'm.room_key', `key${String(n)}`, to('bob', 'A', `key ${String(n)}`));
  }
  assert.deepEqual((await world.sync('bob', 'A')).bodies, [1, 'key 1', 2, 'key 2', 'key 3', 'key 4']);
  assert.deepEqual((await world.sync('alice', 'PHONE')).bodies, [1, 2, 3, 4], 'those to oneself are not');
  const fits = 'x'.repeat(65_536 - '{"n":""}'.length);
  await world.toDevice.send(alice, 'x', 'fits', to('bob', 'A', fits));
  await assert.rejects(
    world.toDevice.send(alice, 'x', 'large', { ...to('alice', 'PHONE', 5), ...to('bob', 'A', `${fits}x`) }),
    (error) => error instanceof MatrixError && error.status === 413,
  );
  assert.deepEqual((await world.sync('alice', 'PHONE')).bodies, [1, 2, 3, 4], 'then nobody gets anything');
});

withBothDatabases('what users of other servers are sent waits for their servers, for a week', async (_t, open) => {
  const world = openWorld(await open());
  await world.addDevice('alice', 'PHONE');
  const alice = await world.caller('alice', 'PHONE');
  const large = { text: 'x'.repeat(40_000) };
  await world.toDevice.send(alice, 'x', '1', { '@c:far': { '*': { n: 1 }, D: large }, '@d:far': { E: large }, '@e:near': { F: { n: 2 } } });
  const { outbox } = world.toDevice;
  const waiting = await outbox.read('far', 10);
  const contents = waiting.map(
    ({ content }) => JSON.parse(content) as { sender: string; type: string; message_id: string; messages: object },
  );
  assert.deepEqual(
    contents.map(({ messages }) => messages),
    [{ '@c:far': { '*': { n: 1 }, D: large } }, { '@d:far': { E: large } }],
    'in as few as the limit allows',
  );
  assert.deepEqual(
    contents.map(({ sender, type }) => [sender, type]),
    [1, 2].map(() => [idOf('alice'), 'x']),
  );
  assert.equal(new Set(contents.map((content) => content.message_id)).size, 2);
  await outbox.received('far', waiting[0]?.position ?? 0);
  assert.deepEqual(await outbox.read('far', 10), waiting.slice(1));
  world.pass(7 * DAY_MS + 1);
  await world.sweep();
  assert.equal(await world.count('outbox'), 0);
});

/** What clients may do next; numbers choose among what there is. */
type Step =
  | { readonly kind: 'send'; readonly from: number; readonly to: number; readonly all: boolean }
  | { readonly kind: 'repeat' }
  | { readonly kind: 'restart' }
  | { readonly kind: 'sync'; readonly device: number; readonly token: 'last' | 'before' | 'none'; readonly limit: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('send' as const), from: fc.nat(3), to: fc.nat(3), all: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('repeat' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('sync' as const),
        device: fc.nat(3),
        token: fc.constantFrom('last' as const, 'last' as const, 'before' as const, 'none' as const),
        limit: fc.integer({ min: 1, max: 4 }),
      }),
    },
  ),
  { minLength: 30, maxLength: 80 },
);

withBothDatabases('as a model of inboxes, whatever is sent, synced, repeated and restarted', async (_t, open) => {
  const database = await open();
  let round = 0;
  await fc.assert(
    fc.asyncProperty(steps, async (plan) => {
      round += 1;
      const names = ['a', 'a', 'b', 'b'].map((name) => `${name}${String(round)}`);
      const ids = ['P', 'Q', 'P', 'R'];
      let world = openWorld(database);
      for (const [index, name] of names.entries()) await world.addDevice(name, ids[index] as string);
      /** What each device has yet to be given, with where it stands as soon as a token has shown it. */
      const model = names.map(() => ({ pending: [] as unknown[], tokens: [] as { next: number; seen: unknown[] }[] }));
      let sent = 0;
      let again: (() => Promise<void>) | undefined;
      for (const step of plan) {
        if (step.kind === 'restart') world = openWorld(database);
        else if (step.kind === 'repeat') await again?.();
        else if (step.kind === 'send') {
          const n = ++sent;
          const from = await world.caller(names[step.from] as string, ids[step.from] as string);
          const target = names[step.to] as string;
          again = async () => world.toDevice.send(from, 'x', String(n), to(target, step.all ? '*' : (ids[step.to] as string), n));
          await again();
          for (const [index, device] of model.entries()) if (step.all ? names[index] === target : index === step.to) device.pending.push(n);
        } else {
          const device = model[step.device] as (typeof model)[number];
          const token = step.token === 'none' ? undefined : device.tokens.at(step.token === 'last' ? -1 : -2);
          const arrived = new Set(token?.seen);
          device.pending = device.pending.filter((n) => !arrived.has(n));
          const { bodies, next } = await world.sync(names[step.device] as string, ids[step.device] as string, token?.next, step.limit);
          // A token that knows less than another that was used gives what remains: nothing that has arrived comes again.
          assert.deepEqual(bodies, device.pending.slice(0, step.limit));
          device.tokens.push({ next, seen: [...(token?.seen ?? []), ...bodies] });
        }
      }
      for (const [index, device] of model.entries()) {
        const rest = await world.sync(names[index] as string, ids[index] as string, undefined, 1000);
        assert.deepEqual(rest.bodies, device.pending, 'nothing is lost');
      }
    }),
    { numRuns: process.env['MYELIN_LONG'] === '1' ? 500 : 25 },
  );
});
