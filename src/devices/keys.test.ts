import assert from 'node:assert/strict';
import { createDeviceKeys, createKeyMemory, devicePort, keyRoutes } from '#src/devices/index.ts';
import { readListChanges } from '#src/devices/list-log.ts';
import { systemClock } from '#src/platform/clock.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import { createTestAccounts, onBothDatabases, OPEN, register } from '../../test/support/accounts.ts';
import type { Reply, TestAccounts } from '../../test/support/accounts.ts';

const errorOf = ({ status, body }: Reply): string => `${String(status)} ${String(body['errcode'])}`;

interface World extends TestAccounts {
  /** What a sync of the device would say. */
  readonly remaining: (userId: string, deviceId: string) => Promise<unknown>;
}

const create = (database: Database, strings: Strings): World => {
  const memory = createKeyMemory(database);
  const accounts = createTestAccounts(database, strings, OPEN, {
    devices: devicePort({ clock: systemClock, memory }),
    routes: ({ access }) => keyRoutes({ access, keys: createDeviceKeys({ database, strings, serverName: 'test', memory }) }),
  });
  return { ...accounts, remaining: async (userId, deviceId) => memory.remaining.of((await strings.numOf(userId)) ?? 0, deviceId) };
};

const deviceKeys = (userId: string, deviceId: string, more: object = {}): object => ({
  user_id: userId,
  device_id: deviceId,
  algorithms: ['m.megolm.v1.aes-sha2'],
  keys: { [`ed25519:${deviceId}`]: 'key' },
  signatures: { [userId]: { [`ed25519:${deviceId}`]: 'signature' } },
  ...more,
});

const signed = (key: string, more: object = {}): object => ({ key, signatures: { '@alice:test': { 'ed25519:PHONE': 'sig' } }, ...more });

const loginAs = async (world: World, name: string): Promise<(path: string, body: object) => Promise<Reply>> => {
  const device = { device_id: 'PHONE', initial_device_display_name: `${name}'s phone` };
  const { access_token: token } = (await register(world, name, device)).body;
  return (path, body) => world.call('POST', `/keys/${path}`, body, token);
};

onBothDatabases('keys of devices are found by others', async (database, strings) => {
  const world = create(database, strings);
  const [alice, bob] = [await loginAs(world, 'alice'), await loginAs(world, 'bob')];
  const before = database.positions.current('device_lists').min;
  const keys = deviceKeys('@alice:test', 'PHONE', { unsigned: { device_display_name: 'not so' } });
  assert.deepEqual((await alice('upload', { device_keys: keys })).body, { one_time_key_counts: { signed_curve25519: 0 } });
  assert.equal(database.positions.current('device_lists').min, before + 1);
  await alice('upload', { device_keys: keys });
  assert.equal(database.positions.current('device_lists').min, before + 1, 'the same again changes nothing');

  const all = { '@alice:test': [], '@bob:test': [], '@nobody:test': [], '@carl:elsewhere': [] };
  const { body } = await bob('query', { device_keys: all });
  const expected = { ...deviceKeys('@alice:test', 'PHONE'), unsigned: { device_display_name: "alice's phone" } };
  assert.deepEqual(body['device_keys'], { '@alice:test': { PHONE: expected }, '@bob:test': {}, '@nobody:test': {} });
  assert.deepEqual(Object.keys(body['failures'] as object), ['elsewhere']);
  const other = await bob('query', { device_keys: { '@alice:test': ['LAPTOP'] } });
  assert.deepEqual(other.body['device_keys'], { '@alice:test': {} });
});

onBothDatabases('what is wrong with keys is said', async (database, strings) => {
  const world = create(database, strings);
  const alice = await loginAs(world, 'alice');
  const codeOf = async (body: object): Promise<string> => errorOf(await alice('upload', body));
  assert.equal(await codeOf({ device_keys: deviceKeys('@bob:test', 'PHONE') }), '400 M_BAD_JSON');
  assert.equal(await codeOf({ device_keys: deviceKeys('@alice:test', 'LAPTOP') }), '400 M_BAD_JSON');
  assert.equal(await codeOf({ device_keys: { user_id: '@alice:test' } }), '400 M_BAD_JSON');
  for (const name of ['nocolon', 'a:b:c', ':x', 'a:', 'a:\0', 'a:\ud800']) {
    assert.equal(await codeOf({ one_time_keys: { [name]: 'x' } }), '400 M_BAD_JSON', JSON.stringify(name));
  }
  assert.equal(await codeOf({ one_time_keys: { 'a:b': { key: 1 } } }), '400 M_BAD_JSON');
  const tooMany = Object.fromEntries(Array.from({ length: 501 }, (_, index) => [`curve25519:${String(index)}`, 'x']));
  assert.equal(await codeOf({ one_time_keys: tooMany }), '400 M_TOO_LARGE');
  assert.equal(await codeOf({ one_time_keys: { 'a:b': { key: 'not signed' } } }), '400 M_BAD_JSON');
  assert.equal(await codeOf({ device_keys: null }), '400 M_BAD_JSON');
  assert.deepEqual((await alice('query', { device_keys: { nonsense: [] } })).body['device_keys'], {});
  assert.equal(errorOf(await alice('claim', { one_time_keys: { nonsense: {} } })), '400 M_INVALID_PARAM');
  assert.equal(errorOf(await alice('query', {})), '400 M_MISSING_PARAM');
  const hostile = await alice('claim', { one_time_keys: { '@alice:test': { '\0': 'curve25519', PHONE: '\0' } } });
  assert.deepEqual(hostile.body['one_time_keys'], {});
});

onBothDatabases('a one-time key is claimed once, the oldest first, then the fallback key', async (database, strings) => {
  const world = create(database, strings);
  const [alice, bob] = [await loginAs(world, 'alice'), await loginAs(world, 'bob')];
  const first = { 'signed_curve25519:AAAB': signed('second'), 'curve25519:X': 'plain' };
  assert.deepEqual((await alice('upload', { one_time_keys: first })).body['one_time_key_counts'], { signed_curve25519: 1, curve25519: 1 });
  world.pass(1000);
  const fallback = { 'signed_curve25519:FALL': signed('fallback', { fallback: true }) };
  await alice('upload', { one_time_keys: { ...first, 'signed_curve25519:AAAA': signed('first') }, fallback_keys: fallback });
  assert.equal(errorOf(await alice('upload', { one_time_keys: { 'curve25519:X': 'other' } })), '400 M_UNKNOWN');
  const again = { key: 'second', signatures: { '@alice:test': { 'ed25519:PHONE': 'another signature' } } };
  assert.equal((await alice('upload', { one_time_keys: { 'signed_curve25519:AAAB': again } })).status, 200, 'the same key, signed again');
  const whole = { oneTimeKeys: { signed_curve25519: 2, curve25519: 1 }, unusedFallbackTypes: ['signed_curve25519'] };
  assert.deepEqual(await world.remaining('@alice:test', 'PHONE'), whole);

  const claim = async (): Promise<unknown> =>
    (await bob('claim', { one_time_keys: { '@alice:test': { PHONE: 'signed_curve25519', NONE: 'signed_curve25519' } } })).body[
      'one_time_keys'
    ];
  const of = (keys: object): object => ({ '@alice:test': { PHONE: keys } });
  assert.deepEqual(await claim(), of({ 'signed_curve25519:AAAB': signed('second') }));
  assert.deepEqual(await claim(), of({ 'signed_curve25519:AAAA': signed('first') }));
  assert.deepEqual(await claim(), of(fallback));
  assert.deepEqual(await claim(), of(fallback), 'which is good for many');
  const rest = { oneTimeKeys: { signed_curve25519: 0, curve25519: 1 }, unusedFallbackTypes: [] };
  assert.deepEqual(await world.remaining('@alice:test', 'PHONE'), rest);

  await alice('upload', { fallback_keys: fallback });
  assert.deepEqual(await world.remaining('@alice:test', 'PHONE'), rest, 'the same fallback key is still a used one');
  await alice('upload', { fallback_keys: { 'signed_curve25519:NEW': signed('new', { fallback: true }) } });
  assert.deepEqual(await world.remaining('@alice:test', 'PHONE'), { ...rest, unusedFallbackTypes: ['signed_curve25519'] });
});

onBothDatabases('claims side by side never get the same key', async (database, strings) => {
  const world = create(database, strings);
  const alice = await loginAs(world, 'alice');
  const keys = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`curve25519:${String(index)}`, `key ${String(index)}`]));
  await alice('upload', { one_time_keys: keys });
  const claims = await Promise.all(
    Array.from({ length: 25 }, () => alice('claim', { one_time_keys: { '@alice:test': { PHONE: 'curve25519' } } })),
  );
  const claimed = claims.flatMap(({ body }) => {
    const found = body['one_time_keys'] as Record<string, Record<string, object>>;
    return Object.keys(found['@alice:test']?.['PHONE'] ?? {});
  });
  assert.deepEqual(claimed.toSorted(), Object.keys(keys).toSorted());
});

onBothDatabases('a device that was deleted meanwhile gets no keys', async (database, strings) => {
  const world = create(database, strings);
  const alice = await loginAs(world, 'alice');
  const userNum = (await strings.numOf('@alice:test')) ?? 0;
  // As if the device went while the request was on its way.
  await database.write('test', (tx) => tx.run(sql`DELETE FROM devices WHERE user_num = ${userNum}`));
  assert.equal(errorOf(await alice('upload', { one_time_keys: { 'curve25519:X': 'plain' } })), '401 M_UNKNOWN_TOKEN');
});

onBothDatabases('keys go with their device, and do not come back with its name', async (database, strings) => {
  const world = create(database, strings);
  const { access_token: token } = (await register(world, 'alice', { device_id: 'PHONE' })).body;
  await world.call('POST', '/keys/upload', { one_time_keys: { 'curve25519:X': 'plain' } }, token);
  assert.deepEqual(await world.remaining('@alice:test', 'PHONE'), {
    oneTimeKeys: { signed_curve25519: 0, curve25519: 1 },
    unusedFallbackTypes: [],
  });
  await world.call('POST', '/logout', {}, token);
  const login = { type: 'm.login.password', identifier: { type: 'm.id.user', user: 'alice' }, password: 'password of alice' };
  const again = (await world.call('POST', '/login', { ...login, device_id: 'PHONE' })).body.access_token;
  assert.deepEqual((await world.call('POST', '/keys/upload', {}, again)).body['one_time_key_counts'], { signed_curve25519: 0 });
});

onBothDatabases('keys of one upload are claimed in its order, and many devices at once', async (database, strings) => {
  const world = create(database, strings);
  const names = Array.from({ length: 5 }, (_, index) => `user${String(index)}`);
  const people = await Promise.all(names.map((name) => loginAs(world, name)));
  // Neither in the order of the names, nor all at the same time.
  for (const batch of [['Z', 'A', 'M'], ['B']]) {
    const keys = Object.fromEntries(batch.map((id) => [`curve25519:${id}`, `key ${id}`]));
    for (const person of people) await person('upload', { one_time_keys: keys });
  }
  const wanted = Object.fromEntries(names.map((name) => [`@${name}:test`, { PHONE: 'curve25519', OTHER: 'curve25519' }]));
  const claimed: string[] = [];
  for (let round = 0; round < 5; round += 1) {
    const found = (await people[0]!('claim', { one_time_keys: wanted })).body['one_time_keys'] as Record<string, Record<string, object>>;
    const ids = new Set(Object.values(found).flatMap((devices) => Object.values(devices).flatMap(Object.keys)));
    assert.ok(ids.size <= 1 && (ids.size === 0 || Object.keys(found).length === names.length), JSON.stringify(found));
    claimed.push(...ids);
  }
  assert.deepEqual(claimed, ['curve25519:Z', 'curve25519:A', 'curve25519:M', 'curve25519:B']);
  const many = Object.fromEntries(Array.from({ length: 11 }, (_, index) => [`D${String(index)}`, `algorithm${String(index)}`]));
  assert.equal(errorOf(await people[0]!('claim', { one_time_keys: { '@user0:test': many } })), '400 M_INVALID_PARAM');
});

onBothDatabases('a changed list can be followed without a gap, or the gap is seen', async (database, strings) => {
  const world = create(database, strings);
  const alice = await loginAs(world, 'alice');
  const userNum = (await strings.numOf('@alice:test')) ?? 0;
  const changesAfter = (position: number) => database.read('test', (reader) => readListChanges(reader, userNum, position));
  const start = database.positions.current('device_lists').min;
  assert.deepEqual(await changesAfter(start), { isComplete: true, changes: [] });
  for (let index = 0; index < 150; index += 1) {
    await alice('upload', { device_keys: deviceKeys('@alice:test', 'PHONE', { algorithms: [String(index)] }) });
  }
  const recent = await changesAfter(start + 60);
  assert.deepEqual([recent.isComplete, recent.changes.length], [true, 90]);
  for (const [index, change] of recent.changes.entries()) {
    assert.deepEqual(change, { position: start + 61 + index, deviceId: 'PHONE', previous: start + 60 + index });
  }
  const old = await changesAfter(start);
  assert.deepEqual([old.isComplete, old.changes.length], [false, 100], 'no more are kept, and that is told');
});

onBothDatabases('a key that was claimed does not come back when its upload is repeated', async (database, strings) => {
  const world = create(database, strings);
  const [alice, bob] = [await loginAs(world, 'alice'), await loginAs(world, 'bob')];
  const claim = async (): Promise<unknown> => {
    const { body } = await bob('claim', { one_time_keys: { '@alice:test': { PHONE: 'signed_curve25519' } } });
    return Object.keys((body['one_time_keys'] as Record<string, Record<string, object>>)['@alice:test']?.['PHONE'] ?? {})[0];
  };
  const upload = async (...names: string[]): Promise<unknown> => {
    const keys = Object.fromEntries(names.map((name) => [`signed_curve25519:${name}`, signed(name)]));
    return (await alice('upload', { one_time_keys: keys })).body['one_time_key_counts'];
  };
  assert.deepEqual(await upload('A', 'B'), { signed_curve25519: 2 });
  assert.equal(await claim(), 'signed_curve25519:A');
  assert.deepEqual(await upload('A', 'B'), { signed_curve25519: 1 }, 'the answer was lost');
  assert.deepEqual(await upload('A', 'B', 'C'), { signed_curve25519: 2 }, 'and again, with one more');
  assert.deepEqual([await claim(), await claim(), await claim()], ['signed_curve25519:B', 'signed_curve25519:C', undefined]);
  const other = { 'signed_curve25519:A': signed('of another client under the same name') };
  assert.deepEqual((await alice('upload', { one_time_keys: other })).body['one_time_key_counts'], { signed_curve25519: 1 });
  const kept = await database.read('test', (reader) =>
    reader.all<{ key_id: string }>(sql`SELECT key_id FROM claimed_keys ORDER BY key_id`),
  );
  assert.deepEqual(
    kept.map((row) => row.key_id),
    ['A'],
    'no more is remembered than what can be repeated',
  );
});
