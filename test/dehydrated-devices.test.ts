// Dehydrated devices over HTTP: keys, messages that stay, and all of it going with the device, also over a kill.

import assert from 'node:assert/strict';
import { assertError, type Json, ok, type Person } from './support/client.ts';
import { onEachEngine } from './support/engines.ts';

const DEVICE = '/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device';

interface Events {
  readonly events: readonly { readonly content: Json }[];
  readonly next_batch?: string;
}

const dehydration = ({ userId }: Person, deviceId: string): Json => ({
  device_id: deviceId,
  device_data: { algorithm: 'm.dehydration.v2', device_pickle: 'secret', nonce: 'n' },
  initial_device_display_name: 'Asleep',
  device_keys: {
    user_id: userId,
    device_id: deviceId,
    algorithms: ['m.megolm.v1.aes-sha2'],
    keys: { [`ed25519:${deviceId}`]: 'key' },
    signatures: { [userId]: { [`ed25519:${deviceId}`]: 'signature' } },
    dehydrated: true,
  },
  one_time_keys: { 'signed_curve25519:A': { key: 'one', signatures: { [userId]: { [`ed25519:${deviceId}`]: 'signature' } } } },
  fallback_keys: {
    'signed_curve25519:F': { key: 'fallback', fallback: true, signatures: { [userId]: { [`ed25519:${deviceId}`]: 'signature' } } },
  },
});

const claimed = async (person: Person, owner: Person, deviceId: string): Promise<string[]> => {
  const wanted = { one_time_keys: { [owner.userId]: { [deviceId]: 'signed_curve25519' } } };
  const found = ok(await person.post<{ one_time_keys: Record<string, Record<string, Json>> }>('/keys/claim', wanted));
  return Object.keys(found.one_time_keys[owner.userId]?.[deviceId] ?? {});
};

onEachEngine('a dehydrated device takes in messages until it is replaced or deleted', async (startOnEngine) => {
  await using server = await startOnEngine({ settings: { experimental_features: { msc3814_enabled: true } } });
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  assertError(await alice.put(DEVICE, dehydration(alice, alice.deviceId)), 400, 'M_INVALID_PARAM');
  assertError(await alice.put(DEVICE, { ...dehydration(alice, 'D'), device_id: 'E' }), 400, 'M_BAD_JSON');
  assertError(await alice.get(DEVICE), 404, 'M_NOT_FOUND');
  ok(await alice.put(DEVICE, dehydration(alice, 'D')));
  assert.deepEqual(await claimed(bob, alice, 'D'), ['signed_curve25519:A']);
  assert.deepEqual(await claimed(bob, alice, 'D'), ['signed_curve25519:F']);
  const COUNT = 230;
  for (let n = 0; n < COUNT; n++) ok(await bob.put(`/sendToDevice/x/${String(n)}`, { messages: { [alice.userId]: { '*': { n } } } }));
  await server.kill();
  await server.start();
  const found: unknown[] = [];
  for (let from = ''; ;) {
    const page: Events = ok(await alice.get<Events>(`${DEVICE}/D/events?from=${from}`));
    found.push(...page.events.map(({ content }) => content['n']));
    if (page.next_batch === undefined) break;
    from = page.next_batch;
  }
  const expected = Array.from({ length: COUNT }, (_, n) => n);
  assert.deepEqual(found, expected);
  const again: unknown[] = [];
  for (let next: string | undefined; ;) {
    const page: Events = ok(await alice.post<Events>(`${DEVICE}/D/events`, next === undefined ? {} : { next_batch: next }));
    if (page.events.length === 0) break;
    again.push(...page.events.map(({ content }) => content['n']));
    next = page.next_batch;
  }
  assert.deepEqual(again, expected, 'they stay until the device goes');
  assertError(await bob.get(`${DEVICE}/D/events`), 403, 'M_FORBIDDEN');

  ok(await alice.put(DEVICE, dehydration(alice, 'D')));
  assert.deepEqual(ok(await alice.get<Events>(`${DEVICE}/D/events`)).events, [], 'also where the next has the same id');
  assert.deepEqual(await claimed(bob, alice, 'D'), ['signed_curve25519:A'], 'with keys of its own');
  ok(await alice.put(DEVICE, dehydration(alice, 'E')));
  assertError(await alice.get(`${DEVICE}/D/events`), 403, 'M_FORBIDDEN');
  assertError(await alice.get('/devices/D'), 404, 'M_NOT_FOUND');
  assert.deepEqual(await claimed(bob, alice, 'D'), []);
  assert.equal(ok(await alice.get<{ device_id: string }>(DEVICE)).device_id, 'E');
  assert.deepEqual(ok(await alice.delete(DEVICE)), { device_id: 'E' });
  assertError(await alice.get('/devices/E'), 404, 'M_NOT_FOUND');
});

onEachEngine('deleting the device in the list of devices deletes what is kept of it', async (startOnEngine) => {
  await using server = await startOnEngine({
    settings: { experimental_features: { msc3814_enabled: true }, ui_auth: { session_timeout: '1h' } },
  });
  const alice = await server.register('alice');
  ok(await alice.put(DEVICE, dehydration(alice, 'D')));
  ok(await alice.delete('/devices/D', {}));
  assertError(await alice.get(DEVICE), 404, 'M_NOT_FOUND');
});
