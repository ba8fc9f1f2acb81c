import assert from 'node:assert/strict';
import {
  createDeviceKeys,
  createKeyMemory,
  createKeySignatures,
  createSigningKeys,
  crossSigningRoutes,
  devicePort,
  keyRoutes,
  readSignedUsers,
} from '#src/devices/index.ts';
import { readChangedLists } from '#src/devices/list-log.ts';
import { systemClock } from '#src/platform/clock.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { signJson } from '#src/protocol/signatures.ts';
import { confirmed, createTestAccounts, onBothDatabases, OPEN, register } from '../../../test/support/accounts.ts';
import type { Reply, TestAccounts } from '../../../test/support/accounts.ts';
import { crossSigning, keyFor, signedDevice } from '../../../test/support/cross-signing.ts';

const errorOf = ({ status, body }: Reply): string => `${String(status)} ${String(body['errcode'])}`;

interface World extends TestAccounts {
  readonly allow: (userId: string) => Promise<number>;
}

const create = (database: Database, strings: Strings): World => {
  const memory = createKeyMemory(database);
  let allow: World['allow'] = () => Promise.reject(new Error('not yet'));
  const accounts = createTestAccounts(database, strings, OPEN, {
    devices: devicePort({ clock: systemClock, memory }),
    routes: ({ access, confirm }, clock) => {
      const signingKeys = createSigningKeys({ database, clock, memory });
      allow = async (userId) => signingKeys.allowReplacement((await strings.numOf(userId)) ?? 0);
      return [
        ...keyRoutes({ access, keys: createDeviceKeys({ database, strings, serverName: 'test', memory }) }),
        ...crossSigningRoutes({ access, confirm, signingKeys, signatures: createKeySignatures({ database, strings, memory }) }),
      ];
    },
  });
  return { ...accounts, allow: (userId) => allow(userId) };
};

/** Somebody with a device that has published its keys. */
const join = async (world: World, name: string, deviceId = 'PHONE') => {
  const userId = `@${name}:test`;
  const { access_token: token } = (await register(world, name, { device_id: deviceId })).body;
  const post = (path: string, body: object): Promise<Reply> => world.call('POST', `/keys/${path}`, body, token);
  const device = signedDevice(userId, deviceId);
  assert.equal((await post('upload', { device_keys: device.json })).status, 200);
  return { userId, name, token, post, device, deviceId };
};

type Person = Awaited<ReturnType<typeof join>>;

const query = async (person: Person, ...userIds: string[]): Promise<Record<string, Record<string, JsonObject>>> =>
  (await person.post('query', { device_keys: Object.fromEntries(userIds.map((id) => [id, []])) })).body as never;

const signaturesIn = (object: unknown): Record<string, Record<string, string>> => (object as { signatures?: never })?.signatures ?? {};

onBothDatabases('the first cross-signing keys are taken as they come, others must be confirmed', async (database, strings) => {
  const world = create(database, strings);
  const alice = await join(world, 'alice');
  const [first, second] = [crossSigning(alice.userId), crossSigning(alice.userId, 'second')];
  assert.equal(
    errorOf(await alice.post('device_signing/upload', { self_signing_key: first.body.self_signing_key })),
    '400 M_MISSING_PARAM',
  );
  assert.deepEqual((await alice.post('device_signing/upload', {})).body, {}, 'nothing is nothing new');
  assert.deepEqual((await alice.post('device_signing/upload', first.body)).body, {});
  const before = database.positions.current('device_lists').min;
  assert.equal((await alice.post('device_signing/upload', first.body)).status, 200, 'the same again');
  assert.equal(database.positions.current('device_lists').min, before);

  const refused = await alice.post('device_signing/upload', second.body);
  assert.equal(refused.status, 401);
  assert.deepEqual(refused.body['flows'], [{ stages: ['m.login.password'] }]);
  const mine = await query(alice, alice.userId);
  assert.deepEqual(mine['master_keys'], { [alice.userId]: first.body.master_key });
  assert.deepEqual(mine['self_signing_keys'], { [alice.userId]: first.body.self_signing_key });
  assert.deepEqual(mine['user_signing_keys'], { [alice.userId]: first.body.user_signing_key });
  const bob = await join(world, 'bob');
  const seen = await query(bob, alice.userId);
  assert.deepEqual([seen['master_keys'], seen['user_signing_keys']], [mine['master_keys'], {}], 'the last is nobody else’s affair');

  const reset = await confirmed(world, 'POST', '/keys/device_signing/upload', second.body, { token: alice.token, user: 'alice' });
  assert.deepEqual([reset.status, reset.body], [200, {}]);
  assert.deepEqual((await query(bob, alice.userId))['master_keys'], { [alice.userId]: second.body.master_key });
});

onBothDatabases('an administrator may let the keys be replaced for ten minutes', async (database, strings) => {
  const world = create(database, strings);
  const alice = await join(world, 'alice');
  await assert.rejects(world.allow(alice.userId), { errcode: 'M_NOT_FOUND' });
  await alice.post('device_signing/upload', crossSigning(alice.userId).body);
  const untilTs = await world.allow(alice.userId);
  assert.ok(Math.abs(untilTs - Date.now() - 600_000) < 60_000, String(untilTs));
  assert.equal((await alice.post('device_signing/upload', crossSigning(alice.userId, 'second').body)).status, 200);
  assert.equal((await alice.post('device_signing/upload', crossSigning(alice.userId, 'third').body)).status, 401, 'once');
  await world.allow(alice.userId);
  world.pass(600_001);
  assert.equal((await alice.post('device_signing/upload', crossSigning(alice.userId, 'third').body)).status, 401, 'not for longer');
});

onBothDatabases('cross-signing keys that are wrong are refused', async (database, strings) => {
  const world = create(database, strings);
  const alice = await join(world, 'alice');
  const { body, masterObject } = crossSigning(alice.userId);
  const codeOf = async (keys: object): Promise<string> => errorOf(await alice.post('device_signing/upload', keys));
  const wrong: [object, string][] = [
    [{ master_key: 5 }, '400 M_BAD_JSON'],
    [{ master_key: { ...masterObject, user_id: '@bob:test' } }, '400 M_INVALID_PARAM'],
    [{ master_key: { ...masterObject, usage: ['self_signing'] } }, '400 M_INVALID_PARAM'],
    [{ master_key: { ...masterObject, usage: 'master' } }, '400 M_INVALID_PARAM'],
    [{ master_key: { ...masterObject, keys: {} } }, '400 M_INVALID_PARAM'],
    [{ master_key: { ...masterObject, keys: { 'ed25519:a': 'short' } } }, '400 M_INVALID_PARAM'],
    [{ master_key: { ...masterObject, keys: { 'ed25519:\0': keyFor('x').publicKey } } }, '400 M_INVALID_PARAM'],
    [{ master_key: { ...masterObject, keys: { 'ed25519:PHONE': keyFor('x').publicKey } } }, '400 M_INVALID_PARAM'],
    [{ ...body, self_signing_key: { ...body.self_signing_key, signatures: {} } }, '400 M_INVALID_SIGNATURE'],
    [{ ...body, user_signing_key: { ...body.user_signing_key, extra: 1 } }, '400 M_INVALID_SIGNATURE'],
    [{ ...body, self_signing_key: crossSigning(alice.userId, 'second').body.self_signing_key }, '400 M_INVALID_SIGNATURE'],
  ];
  for (const [keys, code] of wrong) assert.equal(await codeOf(keys), code, JSON.stringify(keys));
  assert.deepEqual((await query(alice, alice.userId))['master_keys'], {}, 'none of them was stored');
});

onBothDatabases('devices and master keys are signed, and each sees what is meant for all or for it', async (database, strings) => {
  const world = create(database, strings);
  const [alice, bob, carl] = [await join(world, 'alice'), await join(world, 'bob'), await join(world, 'carl')];
  const [alices, bobs] = [crossSigning(alice.userId), crossSigning(bob.userId)];
  await alice.post('device_signing/upload', alices.body);
  await bob.post('device_signing/upload', bobs.body);
  const before = database.positions.current('device_lists').min;
  const upload = async (person: Person, signed: object): Promise<unknown> =>
    (await person.post('signatures/upload', signed)).body['failures'];

  const signedPhone = signJson(alice.device.json, alice.userId, alices.selfSigning);
  const signedMaster = signJson(alices.masterObject, alice.userId, alice.device.key);
  assert.deepEqual(await upload(alice, { [alice.userId]: { PHONE: signedPhone, [alices.master.publicKey]: signedMaster } }), {});
  const signedBob = signJson(bobs.masterObject, alice.userId, alices.userSigning);
  assert.deepEqual(await upload(alice, { [bob.userId]: { [bobs.master.publicKey]: signedBob } }), {});

  const nums = await strings.numsOf([alice.userId, bob.userId]);
  const now = database.positions.current('device_lists').min;
  const changed = await database.read('test', async (reader) => [
    await readChangedLists(reader, before, now),
    await readSignedUsers(reader, nums.get(alice.userId) ?? 0, before, now),
    await readSignedUsers(reader, nums.get(bob.userId) ?? 0, before, now),
  ]);
  assert.deepEqual(changed, [[nums.get(alice.userId)], [nums.get(bob.userId)], []], 'all are told of alice, and alice of bob');

  const keyIds = (object: unknown, userId: string): string[] => Object.keys(signaturesIn(object)[userId] ?? {}).toSorted();
  for (const person of [alice, bob, carl]) {
    const found = await query(person, alice.userId, bob.userId);
    const phone = (found['device_keys']?.[alice.userId] as Record<string, unknown>)?.['PHONE'];
    assert.deepEqual(keyIds(phone, alice.userId), ['ed25519:PHONE', alices.selfSigning.keyId].toSorted(), person.name);
    assert.deepEqual(keyIds(found['master_keys']?.[alice.userId], alice.userId), person === alice ? ['ed25519:PHONE'] : [], person.name);
    assert.deepEqual(keyIds(found['master_keys']?.[bob.userId], alice.userId), person === alice ? [alices.userSigning.keyId] : []);
  }
  assert.deepEqual(
    await upload(alice, { [alice.userId]: { PHONE: signedPhone }, [bob.userId]: { [bobs.master.publicKey]: signedBob } }),
    {},
  );
  assert.equal(database.positions.current('device_lists').min, now, 'the same again changes nothing');

  // What was signed means nothing any more when its key is another, or the key that signed.
  const other = signedDevice(alice.userId, 'PHONE', 'second').json;
  await alice.post('upload', { device_keys: other });
  const after = await query(bob, alice.userId);
  assert.deepEqual((after['device_keys']?.[alice.userId] as Record<string, JsonObject> | undefined)?.['PHONE'], { ...other, unsigned: {} });
  await confirmed(world, 'POST', '/keys/device_signing/upload', crossSigning(alice.userId, 'second').body, {
    token: alice.token,
    user: 'alice',
  });
  assert.deepEqual(keyIds((await query(alice, bob.userId))['master_keys']?.[bob.userId], alice.userId), []);
  const rows = await database.read('test', (reader) => reader.all(sql`SELECT * FROM key_signatures`));
  assert.deepEqual(rows, []);
});

onBothDatabases('of signatures that are wrong the reason is told, and the others count', async (database, strings) => {
  const world = create(database, strings);
  const [alice, bob] = [await join(world, 'alice'), await join(world, 'bob')];
  const [alices, bobs] = [crossSigning(alice.userId), crossSigning(bob.userId)];
  const failuresOf = async (signed: object): Promise<Record<string, Record<string, string>>> => {
    const { failures } = (await alice.post('signatures/upload', signed)).body as never as {
      failures: Record<string, Record<string, { status: number; errcode: string }>>;
    };
    const short = (byName: Record<string, { status: number; errcode: string }>) =>
      Object.fromEntries(Object.entries(byName).map(([name, { status, errcode }]) => [name, `${String(status)} ${errcode}`]));
    return Object.fromEntries(Object.entries(failures).map(([userId, byName]) => [userId, short(byName)]));
  };
  const signedPhone = signJson(alice.device.json, alice.userId, alices.selfSigning);
  assert.deepEqual(await failuresOf({ [alice.userId]: { PHONE: signedPhone } }), { [alice.userId]: { PHONE: '404 M_NOT_FOUND' } });
  assert.deepEqual(await failuresOf({ [bob.userId]: { x: {} } }), { [bob.userId]: { x: '404 M_NOT_FOUND' } });
  await alice.post('device_signing/upload', alices.body);
  assert.deepEqual(await failuresOf({ [bob.userId]: { x: {} } }), { [bob.userId]: { x: '404 M_NOT_FOUND' } });
  await bob.post('device_signing/upload', bobs.body);

  const withSignature = (object: JsonObject, keyId: string, signature: string): JsonObject => ({
    ...object,
    signatures: { [alice.userId]: { [keyId]: signature } },
  });
  const badSignature = 'A'.repeat(86);
  assert.deepEqual(
    await failuresOf({
      [alice.userId]: {
        PHONE: signedPhone,
        GONE: signedPhone,
        NONE: alice.device.json,
        [alices.master.publicKey]: withSignature(alices.masterObject, 'ed25519:GONE', badSignature),
      },
      [bob.userId]: {
        [bobs.master.publicKey]: withSignature(bobs.masterObject, alices.userSigning.keyId, badSignature),
        PHONE: signJson(bob.device.json, alice.userId, alices.userSigning),
      },
      '@nobody:test': { x: {} },
    }),
    {
      [alice.userId]: { GONE: '404 M_NOT_FOUND', NONE: '400 M_INVALID_SIGNATURE', [alices.master.publicKey]: '400 M_INVALID_SIGNATURE' },
      [bob.userId]: { [bobs.master.publicKey]: '400 M_INVALID_SIGNATURE', PHONE: '404 M_NOT_FOUND' },
      '@nobody:test': { x: '404 M_NOT_FOUND' },
    },
  );
  const phone = ((await query(bob, alice.userId))['device_keys']?.[alice.userId] as Record<string, unknown> | undefined)?.['PHONE'];
  assert.ok(signaturesIn(phone)[alice.userId]?.[alices.selfSigning.keyId], 'what was right is there');
  const changedMaster = signJson({ ...bobs.masterObject, more: 1 }, alice.userId, alices.userSigning);
  const mismatch = { [bob.userId]: { [bobs.master.publicKey]: '400 M_UNKNOWN' } };
  assert.deepEqual(await failuresOf({ [bob.userId]: { [bobs.master.publicKey]: changedMaster } }), mismatch);
  for (const body of [{ nonsense: {} }, { [alice.userId]: 5 }, { [alice.userId]: { PHONE: 5 } }]) {
    assert.equal(errorOf(await alice.post('signatures/upload', body)), '400 M_INVALID_PARAM', JSON.stringify(body));
  }
});
