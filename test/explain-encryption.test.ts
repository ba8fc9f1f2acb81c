// Why a device cannot decrypt what another sends: what an administrator is told of each reason, by HTTP and on the command line.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { signJson } from '#src/protocol/signatures.ts';
import { registerAdministrator } from './support/administrator.ts';
import { assertError, ok, type Json, type Person } from './support/client.ts';
import { crossSigning, signedDevice } from './support/cross-signing.ts';
import { onEachEngine } from './support/engines.ts';

interface Report {
  readonly explanation: readonly string[];
  readonly shared_rooms: readonly Json[];
  readonly receiver: Json;
}

const id = encodeURIComponent;

const publish = async (person: Person): Promise<void> => {
  const keys = crossSigning(person.userId);
  const { json } = signedDevice(person.userId, person.deviceId);
  ok(await person.post('/keys/upload', { device_keys: json }));
  ok(await person.post('/keys/device_signing/upload', keys.body));
  const signed = { [person.userId]: { [person.deviceId]: signJson(json, person.userId, keys.selfSigning) } };
  assert.deepEqual(ok(await person.post('/keys/signatures/upload', signed)), { failures: {} });
};

const uploadOne = async ({ userId, deviceId, post }: Person): Promise<void> => {
  const key = { key: 'x', signatures: { [userId]: { [`ed25519:${deviceId}`]: 'x' } } };
  ok(await post('/keys/upload', { one_time_keys: { 'signed_curve25519:A': key } }));
};

const syncAt = async (person: Person, since = ''): Promise<string> =>
  ok(await person.get<{ next_batch: string }>(`/sync?timeout=0${since === '' ? '' : `&since=${id(since)}`}`)).next_batch;

onEachEngine('why a device cannot decrypt what another sends', async (startOnEngine) => {
  await using server = await startOnEngine();
  const [root, alice, bob] = [await registerAdministrator(server), await server.register('alice'), await server.register('bob')];
  const path = (from: Person, to: Person, device = to.deviceId): string =>
    `/_synapse/admin/v1/explain_encryption/${[from.userId, from.deviceId, to.userId, device].map(id).join('/')}`;
  const report = async (): Promise<Report> => ok(await root.get<Report>(path(alice, bob)));
  const reasons = async (): Promise<string> => (await report()).explanation.join('\n');
  assertError(await alice.get(path(alice, bob)), 403, 'M_FORBIDDEN');
  assertError(await root.get(path(alice, { ...bob, userId: '@nobody:test.example' })), 404, 'M_NOT_FOUND');

  assert.match(await reasons(), /share no room[^]*@alice:.* has published no keys[^]*@bob:.* has published no keys/u);
  const { room_id: room } = ok(await alice.post<{ room_id: string }>('/createRoom', { preset: 'public_chat' }));
  ok(await bob.post(`/join/${id(room)}`));
  assert.match(await reasons(), /Of the 1 rooms that they share none is encrypted/u);
  ok(await alice.put(`/rooms/${id(room)}/state/m.room.encryption`, { algorithm: 'm.megolm.v1.aes-sha2' }));
  ok(await alice.post('/keys/upload', { device_keys: signedDevice(alice.userId, alice.deviceId).json }));
  assert.match(await reasons(), /^@alice:.* has no cross-signing keys.*\n@bob:.* has published no keys.*$/u);
  ok(await alice.post('/keys/device_signing/upload', crossSigning(alice.userId).body));
  assert.match(await reasons(), /^@alice:.* is not signed by its user/u);
  for (const person of [alice, bob]) await publish(person);
  assert.match(await reasons(), /^@bob:\S+ device \S+ has no one-time keys left, and its fallback key was used or is missing.*$/u);
  await uploadOne(bob);
  assert.match(await reasons(), /^Nothing on this server stands in the way/u);

  const since = await syncAt(alice);
  await syncAt(alice, since);
  ok(await bob.put(`/devices/${bob.deviceId}`, { display_name: 'another name' }));
  assert.match(await reasons(), /^@alice:\S+ device \S+ has not been told yet that @bob:\S+ devices have changed.*$/u);
  await syncAt(alice, await syncAt(alice, since));
  assert.match(await reasons(), /^Nothing/u);

  const before = Date.now();
  ok(await alice.put('/sendToDevice/m.room.encrypted/1', { messages: { [bob.userId]: { [bob.deviceId]: { x: 1 } } } }));
  assert.match(await reasons(), /^1 messages wait for @bob:\S+ device \S+, the oldest since 20\S+ \S+ UTC: .* It was last seen at 20/u);
  const { receiver, shared_rooms: rooms } = await report();
  assert.ok(Number(receiver['oldest_message_ts']) >= before - 1 && receiver['messages_waiting'] === 1 && receiver['one_time_keys'] === 1);
  assert.deepEqual(rooms, [{ room_id: room, is_encrypted: true }]);
  assert.match(ok(await root.get<Report>(path(alice, bob, 'NONE'))).explanation.join('\n'), /device NONE does not exist/u);

  const words = [
    'explain-encryption',
    '--access-token',
    root.accessToken,
    '--server',
    server.origin,
    'alice',
    alice.deviceId,
    'bob',
    bob.deviceId,
  ];
  const { stdout } = await promisify(execFile)(join(import.meta.dirname, '../bin/myelin'), words);
  assert.equal(stdout.trim(), await reasons());
});
