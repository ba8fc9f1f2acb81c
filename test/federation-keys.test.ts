// Keys of devices across servers: asked for, kept while they are current, handed out once, and believed only where they are in order.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { JsonObject } from '#src/protocol/json.ts';
import { signJson } from '#src/protocol/signatures.ts';
import { assertError, ok, type Json, type Person } from '#test/support/client.ts';
import { crossSigning, signedDevice } from '#test/support/cross-signing.ts';
import { onEachEngine } from '#test/support/engines.ts';
import { startPeer } from '#test/support/federation.ts';
import { joinAsPeer, sendTransaction } from '#test/support/peer-member.ts';
import { json, startScriptedPeer, type ScriptedPeer } from '#test/support/scripted-peer.ts';

const enc = encodeURIComponent;
const FEDERATION = '/_matrix/federation/v1';

interface Queried {
  readonly device_keys: Readonly<Record<string, Readonly<Record<string, JsonObject>>>>;
  readonly failures: Readonly<Record<string, Json>>;
  readonly master_keys?: Readonly<Record<string, JsonObject>>;
  readonly self_signing_keys?: Readonly<Record<string, JsonObject>>;
  readonly user_signing_keys?: Readonly<Record<string, JsonObject>>;
}

const query = async (asker: Person, userId: string, deviceIds: readonly string[] = []): Promise<Queried> =>
  ok(await asker.post<Queried>('/keys/query', { device_keys: { [userId]: deviceIds } }));

const createRoom = async (creator: Person): Promise<string> =>
  ok(await creator.post<{ room_id: string }>('/createRoom', { preset: 'public_chat' })).room_id;

/** Publishes what a device says of itself, and so many one-time keys. */
const publish = async ({ userId, deviceId, post }: Person, oneTimeKeys: readonly string[] = []): Promise<JsonObject> => {
  const { json: deviceKeys } = signedDevice(userId, deviceId);
  const keyOf = (name: string) => ({ key: name, signatures: { [userId]: { [`ed25519:${deviceId}`]: 'x' } } });
  const keys = Object.fromEntries(oneTimeKeys.map((name) => [`signed_curve25519:${name}`, keyOf(name)]));
  ok(await post('/keys/upload', { device_keys: deviceKeys, one_time_keys: keys }));
  return deviceKeys;
};

onEachEngine('keys of users of another server are asked for, and kept while a room is shared', async (start) => {
  await using one = await startPeer({}, start);
  await using two = await startPeer();
  const alice = await one.register('alice');
  const bob = await two.register('bob');
  const carol = await two.register('carol');
  const device = await publish(bob, ['A', 'B']);
  const stranger = await publish(carol);
  const keys = crossSigning(bob.userId);
  ok(await bob.post('/keys/device_signing/upload', keys.body));
  ok(await bob.put(`/devices/${enc(bob.deviceId)}`, { display_name: "Bob's telephone" }));

  const told = await query(alice, carol.userId);
  assert.deepEqual(told.device_keys[carol.userId]?.[carol.deviceId], { ...stranger, unsigned: {} }, 'also where no room is shared');
  assert.deepEqual(told.failures, {});

  const roomId = await createRoom(alice);
  ok(await bob.post(`/join/${enc(roomId)}?server_name=${enc(one.name)}`));
  const found = await query(alice, bob.userId);
  assert.deepEqual(found.device_keys[bob.userId]?.[bob.deviceId], { ...device, unsigned: {} }, 'names are not told to other servers');
  assert.deepEqual(found.master_keys?.[bob.userId]?.['keys'], keys.masterObject['keys']);
  assert.deepEqual(found.self_signing_keys?.[bob.userId]?.['usage'], ['self_signing']);
  assert.deepEqual(found.user_signing_keys?.[bob.userId], undefined);
  assert.deepEqual((await query(alice, bob.userId, ['NONE'])).device_keys, { [bob.userId]: {} });

  const own = crossSigning(alice.userId);
  ok(await alice.post('/keys/device_signing/upload', own.body));
  const signed = signJson(keys.masterObject, alice.userId, own.userSigning);
  assert.deepEqual(ok(await alice.post('/keys/signatures/upload', { [bob.userId]: { [keys.master.publicKey]: signed } })), {
    failures: {},
  });
  const verified = (await query(alice, bob.userId)).master_keys?.[bob.userId]?.['signatures'] as Json;
  assert.ok(alice.userId in verified, 'whom one has verified is remembered');
  const claim = async () =>
    ok(
      await alice.post<{ one_time_keys: Record<string, Record<string, Json>>; failures: Json }>('/keys/claim', {
        one_time_keys: { [bob.userId]: { [bob.deviceId]: 'signed_curve25519', NONE: 'signed_curve25519' } },
      }),
    );
  const claimed = [await claim(), await claim()].flatMap(({ one_time_keys: all }) => Object.keys(all[bob.userId]?.[bob.deviceId] ?? {}));
  assert.deepEqual(claimed, ['signed_curve25519:A', 'signed_curve25519:B'], 'each once, in order');
  assert.deepEqual((await claim()).one_time_keys, {});

  await two.stop();
  const kept = await query(alice, bob.userId);
  assert.deepEqual([kept.device_keys, kept.failures], [found.device_keys, {}], 'what is current is not asked for');
  await one.stop();
  await one.start();
  assert.deepEqual((await query(alice, bob.userId)).device_keys, found.device_keys, 'and outlives a restart');
  const away = await query(alice, carol.userId);
  assert.deepEqual(away.device_keys, {});
  assert.deepEqual(Object.keys(away.failures), [two.name]);
  assert.equal(away.failures[two.name]?.['status'], 503);
  assert.deepEqual(Object.keys((await claim()).failures), [two.name]);
});

/** A user of a scripted server with these devices, as its server would tell. */
const tellDevices = (peer: ScriptedPeer, userId: string, deviceIds: readonly string[], streamId: number, more: Json = {}): void => {
  const devices = deviceIds.map((deviceId) => ({
    device_id: deviceId,
    keys: signedDevice(userId, deviceId).json,
    device_display_name: `name of ${deviceId}`,
  }));
  peer.on(`${FEDERATION}/user/devices/${enc(userId)}`, json({ user_id: userId, stream_id: streamId, devices, ...more }));
};

onEachEngine('changes that follow what is known are taken in, and after others the list is fetched anew', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  peer.on(`${FEDERATION}/send/`, json({ pdus: {} }));
  const alice = await server.register('alice');
  const bob = await joinAsPeer(peer, server, await createRoom(alice));
  const idsOf = async (): Promise<string[]> => Object.keys((await query(alice, bob.userId)).device_keys[bob.userId] ?? {});
  const fetches = (): number => peer.asked.filter((each) => each.includes('/user/devices/')).length;
  const update = async (deviceId: string, id: number, previous: readonly number[], more: JsonObject = {}): Promise<void> => {
    const content = { user_id: bob.userId, device_id: deviceId, stream_id: id, prev_id: previous, ...more };
    ok(await sendTransaction(peer, server, [], { edus: [{ edu_type: 'm.device_list_update', content }] }));
  };
  tellDevices(peer, bob.userId, ['ONE', 'TWO'], 5);
  const first = await query(alice, bob.userId);
  assert.deepEqual(Object.keys(first.device_keys[bob.userId] ?? {}), ['ONE', 'TWO']);
  assert.deepEqual(first.device_keys[bob.userId]?.['ONE']?.['unsigned'], { device_display_name: 'name of ONE' });
  assert.deepEqual([await idsOf(), fetches()], [['ONE', 'TWO'], 1]);

  await update('THREE', 6, [5], { keys: signedDevice(bob.userId, 'THREE').json });
  await update('ONE', 7, [6], { deleted: true });
  assert.deepEqual([await idsOf(), fetches()], [['THREE', 'TWO'], 1], 'without asking');

  tellDevices(peer, bob.userId, ['FOUR'], 9);
  await update('FOUR', 9, [8], { keys: signedDevice(bob.userId, 'FOUR').json });
  assert.deepEqual([await idsOf(), fetches()], [['FOUR'], 2], 'one was missed');
  await update('FIVE', 10, [9], { keys: { ...signedDevice(bob.userId, 'FIVE').json, user_id: '@other:elsewhere.test' } });
  assert.deepEqual([await idsOf(), fetches()], [['FOUR'], 2], "another's keys are nobody's");

  const content = { user_id: bob.userId, master_key: {} };
  ok(await sendTransaction(peer, server, [], { edus: [{ edu_type: 'm.signing_key_update', content }] }));
  peer.on(`${FEDERATION}/user/devices/${enc(bob.userId)}`, json({ errcode: 'M_UNKNOWN', error: 'out of order' }, 400));
  const stale = await query(alice, bob.userId);
  assert.deepEqual(Object.keys(stale.device_keys[bob.userId] ?? {}), ['FOUR'], 'what was known before is better than nothing');
  assert.deepEqual(stale.failures, { [peer.name]: { status: 400, message: 'out of order' } });
  const { masterObject, body } = crossSigning(bob.userId);
  tellDevices(peer, bob.userId, ['SIX'], 11, { master_key: masterObject, self_signing_key: body.self_signing_key });
  const again = await query(alice, bob.userId);
  assert.deepEqual([Object.keys(again.device_keys[bob.userId] ?? {}), again.failures], [['SIX'], {}]);
  assert.deepEqual(again.master_keys?.[bob.userId], masterObject);

  // While nobody here shares a room with the user, changes are not told: afterwards the list is fetched anew.
  ok(await alice.post(`/rooms/${enc(bob.roomId)}/leave`));
  peer.on(`${FEDERATION}/user/keys/query`, json({ device_keys: { [bob.userId]: { SEVEN: signedDevice(bob.userId, 'SEVEN').json } } }));
  assert.deepEqual(await idsOf(), ['SEVEN'], 'asked for each time');
  tellDevices(peer, bob.userId, ['EIGHT'], 20);
  await joinAsPeer(peer, server, await createRoom(alice));
  assert.deepEqual(await idsOf(), ['EIGHT']);
});

test('what is not in order in answers is left out, and nothing breaks', async () => {
  await using server = await startPeer();
  await using peer = await startScriptedPeer();
  peer.on(`${FEDERATION}/send/`, json({ pdus: {} }));
  const alice = await server.register('alice');
  const bob = await joinAsPeer(peer, server, await createRoom(alice));
  const carol = `@carol:${peer.name}`;
  const list = (devices: unknown, more: Json = {}): Json => ({ user_id: bob.userId, stream_id: 1, devices, ...more });
  const good = { device_id: 'GOOD', keys: signedDevice(bob.userId, 'GOOD').json };
  const path = `${FEDERATION}/user/devices/${enc(bob.userId)}`;
  const broken: readonly unknown[] = [
    'text',
    {},
    list('none'),
    list([good], { user_id: carol }),
    list([good], { stream_id: {} }),
    list(Array.from({ length: 1001 }, () => good)),
  ];
  for (const answer of broken) {
    peer.on(path, json(answer));
    const { device_keys: devices, failures } = await query(alice, bob.userId);
    assert.deepEqual([devices, Object.keys(failures)], [{ [bob.userId]: {} }, [peer.name]], JSON.stringify(answer).slice(0, 200));
  }
  const { body } = crossSigning(carol);
  peer.on(
    path,
    json(
      list(
        [
          good,
          { ...good, device_id: 'OTHER' },
          { device_id: 'CAROLS', keys: signedDevice(carol, 'CAROLS').json },
          { device_id: 'NONE' },
          'text',
          { device_id: 1 },
        ],
        { master_key: body.master_key, self_signing_key: 'text' },
      ),
    ),
  );
  const found = await query(alice, bob.userId);
  assert.deepEqual(found.device_keys, { [bob.userId]: { GOOD: { ...good.keys, unsigned: {} } } });
  assert.deepEqual([found.master_keys, found.self_signing_keys], [{}, {}]);

  peer.on(
    `${FEDERATION}/user/keys/query`,
    json({ device_keys: { [carol]: { X: good.keys }, [alice.userId]: { X: good.keys } }, master_keys: { [bob.userId]: body.master_key } }),
  );
  const stranger = await query(alice, carol);
  assert.deepEqual([stranger.device_keys, stranger.master_keys], [{ [carol]: {} }, {}]);
  peer.on(
    `${FEDERATION}/user/keys/claim`,
    json({
      one_time_keys: {
        [bob.userId]: { GOOD: { 'other:A': {}, 'signed_curve25519:A': { key: 'x', signatures: {} } }, MORE: { 'signed_curve25519:B': {} } },
      },
    }),
  );
  const wanted = { [bob.userId]: { GOOD: 'signed_curve25519' }, [carol]: { X: 'signed_curve25519' } };
  const { one_time_keys: keys } = ok(await alice.post<{ one_time_keys: Json }>('/keys/claim', { one_time_keys: wanted }));
  assert.deepEqual(keys, { [bob.userId]: { GOOD: { 'signed_curve25519:A': { key: 'x', signatures: {} } } } });
});

onEachEngine('what could not be kept of another server is left out, and neither it nor clients get an error for it', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  peer.on(`${FEDERATION}/send/`, json({ pdus: {} }));
  const alice = await server.register('alice');
  const bob = await joinAsPeer(peer, server, await createRoom(alice));
  const noise = Array.from({ length: 600 }, (_, index) => createHash('sha256').update(String(index)).digest('hex')).join('');
  const unkept = ['nul\0', noise];
  const { body } = crossSigning(bob.userId);
  const masterKey = { ...(body.master_key as Json), keys: { 'ed25519:nul\0': 'x' } };
  tellDevices(peer, bob.userId, ['GOOD', ...unkept], 1, { master_key: masterKey });
  const first = await query(alice, bob.userId);
  assert.deepEqual([Object.keys(first.device_keys[bob.userId] ?? {}), first.failures, first.master_keys], [['GOOD'], {}, {}]);

  let last = 1;
  const tell = async (changes: JsonObject): Promise<void> => {
    const content = { user_id: bob.userId, stream_id: last + 1, prev_id: [last], ...changes };
    last += 1;
    ok(await sendTransaction(peer, server, [], { edus: [{ edu_type: 'm.device_list_update', content }] }));
  };
  for (const deviceId of unkept) await tell({ device_id: deviceId, keys: signedDevice(bob.userId, deviceId).json });
  await tell({ device_id: 'nul\0', deleted: true });
  const large = { ...signedDevice(bob.userId, 'LARGE').json, more: noise.repeat(2) };
  await tell({ device_id: 'LARGE', keys: large });
  await tell({ device_id: 'LATER', keys: signedDevice(bob.userId, 'LATER').json });
  const then = await query(alice, bob.userId);
  assert.deepEqual(Object.keys(then.device_keys[bob.userId] ?? {}), ['GOOD', 'LATER'], 'the others count as changes all the same');
  assert.equal(peer.asked.filter((each) => each.includes('/user/devices/')).length, 1, 'without asking');
  await tell({ device_id: 'X', stream_id: 'nul\0' });
  assert.deepEqual((await query(alice, bob.userId)).failures, {});
  tellDevices(peer, bob.userId, ['GOOD'], 9, { stream_id: 'nul\0' });
  ok(await sendTransaction(peer, server, [], { edus: [{ edu_type: 'm.signing_key_update', content: { user_id: bob.userId } }] }));
  assert.equal((await query(alice, bob.userId)).failures[peer.name]?.['status'], 503);
});

test('other servers are told of own users alone, with names where that is allowed', async () => {
  await using server = await startPeer({ settings: { allow_device_name_lookup_over_federation: true } });
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const device = await publish(alice, ['A']);
  ok(await alice.put(`/devices/${enc(alice.deviceId)}`, { display_name: 'A name' }));
  const foreign = `@bob:${peer.name}`;
  const ask = async (method: 'GET' | 'POST', path: string, content?: JsonObject) =>
    peer.ask(server, method, `${FEDERATION}/user/${path}`, content === undefined ? {} : { content });
  assertError(await ask('POST', 'keys/query', { device_keys: { [foreign]: [] } }), 400, 'M_UNKNOWN');
  assertError(await ask('POST', 'keys/claim', { one_time_keys: { [foreign]: { X: 'y' } } }), 400, 'M_UNKNOWN');
  assertError(await ask('GET', `devices/${enc(foreign)}`), 400, 'M_UNKNOWN');
  const nobody = `@nobody:${server.name}`;
  assert.deepEqual(ok(await ask('GET', `devices/${enc(nobody)}`)), { user_id: nobody, stream_id: 0, devices: [] });
  const list = ok(await ask('GET', `devices/${enc(alice.userId)}`));
  const shown = { ...device, unsigned: { device_display_name: 'A name' } };
  assert.deepEqual(list['devices'], [{ device_id: alice.deviceId, keys: shown, device_display_name: 'A name' }]);
  assert.ok(Number(list['stream_id']) > 0);
  const { device_keys: all } = ok(await ask('POST', 'keys/query', { device_keys: { [alice.userId]: [], [nobody]: [] } }));
  assert.deepEqual(all, { [alice.userId]: { [alice.deviceId]: shown }, [nobody]: {} });
  const claim = { one_time_keys: { [alice.userId]: { [alice.deviceId]: 'signed_curve25519' } } };
  const claimed = ok(await ask('POST', 'keys/claim', claim))['one_time_keys'] as Json;
  assert.deepEqual(Object.keys((claimed[alice.userId] as Json)[alice.deviceId] as Json), ['signed_curve25519:A']);
  assert.deepEqual(ok(await ask('POST', 'keys/claim', claim))['one_time_keys'], {});
});
