// An older copy of the database is put back: what may have been handed out since is not handed out again, and clients find their way by themselves.

import assert from 'node:assert/strict';
import { ok, type Json, type Person } from './support/client.ts';
import { signedDevice } from './support/cross-signing.ts';
import { onEachEngine } from './support/engines.ts';
import type { Server } from './support/server.ts';

interface Sync {
  readonly next_batch: string;
  readonly device_lists?: { readonly changed: readonly string[]; readonly left: readonly string[] };
  readonly device_one_time_keys_count: Json;
  readonly device_unused_fallback_key_types: readonly string[];
  readonly to_device?: { readonly events: readonly { readonly content: { readonly n: number } }[] };
  readonly rooms?: {
    readonly join?: Readonly<Record<string, { readonly timeline: { readonly events: readonly { readonly content: Json }[] } }>>;
  };
}

const id = encodeURIComponent;

const sync = async (person: Person, since?: string): Promise<Sync> =>
  ok(await person.get<Sync>(`/sync?timeout=0${since === undefined ? '' : `&since=${id(since)}`}`));

const numbersIn = (answer: Sync): number[] => (answer.to_device?.events ?? []).map(({ content }) => content.n);
const bodiesIn = (answer: Sync, room: string): unknown[] =>
  (answer.rooms?.join?.[room]?.timeline.events ?? []).map(({ content }) => content['body']).filter((body) => body !== undefined);

const upload = async (person: Person, names: readonly string[], fallback?: string): Promise<void> => {
  const keyOf = (name: string): Json => ({ key: name, signatures: { [person.userId]: { [`ed25519:${person.deviceId}`]: 'x' } } });
  const keys = Object.fromEntries(names.map((name) => [`signed_curve25519:${name}`, keyOf(name)]));
  const fallbackKeys = fallback === undefined ? {} : { [`signed_curve25519:${fallback}`]: { ...keyOf(fallback), fallback: true } };
  ok(await person.post('/keys/upload', { one_time_keys: keys, fallback_keys: fallbackKeys }));
};

const claim = async (by: Person, { userId, deviceId }: Person): Promise<string | undefined> => {
  const request = { one_time_keys: { [userId]: { [deviceId]: 'signed_curve25519' } } };
  const { one_time_keys: found } = ok(await by.post<{ one_time_keys: Record<string, Record<string, Json>> }>('/keys/claim', request));
  return Object.keys(found[userId]?.[deviceId] ?? {})[0]?.replace('signed_curve25519:', '');
};

interface World {
  readonly alice: Person;
  readonly bob: Person;
  readonly room: string;
  /** Where Bob stood when the copy was made. */
  readonly before: string;
  /** Where he stands, after a time that will be lost. */
  readonly since: string;
  readonly say: (body: string) => Promise<void>;
  readonly tell: (n: number) => Promise<void>;
}

/** Two people of whom the database forgets what they did last. */
const loseTime = async (server: Server): Promise<World> => {
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  for (const person of [alice, bob])
    ok(await person.post('/keys/upload', { device_keys: signedDevice(person.userId, person.deviceId).json }));
  const { room_id: room } = ok(await alice.post<{ room_id: string }>('/createRoom', { preset: 'public_chat' }));
  ok(await bob.post(`/join/${id(room)}`));
  const say = async (body: string): Promise<void> =>
    void ok(await alice.put(`/rooms/${id(room)}/send/m.room.message/${id(body)}`, { msgtype: 'm.text', body }));
  const tell = async (n: number): Promise<void> =>
    void ok(await alice.put(`/sendToDevice/x.number/n${String(n)}`, { messages: { [bob.userId]: { [bob.deviceId]: { n } } } }));
  await upload(bob, ['A', 'B', 'C'], 'F');
  const { next_batch: before } = await sync(bob);
  await tell(1);
  await say('kept');
  await server.stop();
  await server.backUp();
  await server.start();

  assert.equal(await claim(alice, bob), 'A');
  await upload(bob, ['D'], 'G');
  ok(await alice.post('/keys/upload', { device_keys: signedDevice(alice.userId, alice.deviceId, 'later').json }));
  await say('lost');
  await tell(2);
  const told = await sync(bob, before);
  assert.deepEqual(
    [numbersIn(told), bodiesIn(told, room)],
    [
      [1, 2],
      ['kept', 'lost'],
    ],
  );
  const { next_batch: since } = await sync(bob, told.next_batch);
  await server.stop();
  await server.putBack();
  return { alice, bob, room, before, since, say, tell };
};

onEachEngine('a database that was put back goes on beyond what was given out', async (startOnEngine) => {
  await using server = await startOnEngine();
  const { alice, bob, room, before, since, say, tell } = await loseTime(server);
  assert.match(await server.run('restored'), /^3 one-time keys were dropped.*\nThe devices of 2 users/u);
  await server.start();

  assert.equal(await claim(alice, bob), 'F', 'no key that may have been handed out, but for the fallback key');
  await tell(3);
  await say('new');
  const answer = await sync(bob, since);
  assert.deepEqual(answer.device_one_time_keys_count, { signed_curve25519: 0 });
  assert.deepEqual(answer.device_unused_fallback_key_types, []);
  assert.deepEqual(answer.device_lists, { changed: [alice.userId, bob.userId], left: [] });
  assert.deepEqual(numbersIn(answer), [3], 'nothing is skipped, and nothing told twice');
  assert.deepEqual(bodiesIn(answer, room), ['kept', 'new'], 'rooms are told anew');
  assert.equal(answer.rooms?.join?.[room]?.timeline.events.length, 8);
  const { changed } = ok(await bob.get<{ changed: string[] }>(`/keys/changes?from=${id(since)}&to=x`));
  assert.deepEqual(changed.toSorted(), [alice.userId, bob.userId]);

  // Who was away for all of it goes on from the copy.
  const away = await sync(bob, before);
  assert.deepEqual([numbersIn(away), bodiesIn(away, room)], [[3], ['kept', 'new']], 'message 1 was shown to have arrived');
  await upload(bob, ['E']);
  assert.equal(await claim(alice, bob), 'E');
  const next = await sync(bob, answer.next_batch);
  assert.deepEqual([numbersIn(next), next.rooms, next.device_lists], [[], undefined, undefined], 'and everything is as ever');
  assert.doesNotMatch(server.output(), /has not reached/u);
});

onEachEngine('a database that was put back without a word is noticed by who comes from ahead', async (startOnEngine) => {
  await using server = await startOnEngine();
  const { alice, bob, room, since, say, tell } = await loseTime(server);
  await server.start();
  await tell(3);
  await say('new');
  ok(await bob.get(`/keys/changes?from=${id(since)}&to=x`));
  const answer = await sync(bob, since);
  assert.match(server.output(), /has not reached.*myelin restored/u);
  assert.equal(await claim(alice, bob), 'F');
  assert.deepEqual(answer.device_one_time_keys_count, { signed_curve25519: 0 }, "the device's own keys are dropped");
  assert.deepEqual(answer.device_unused_fallback_key_types, []);
  assert.deepEqual(answer.device_lists?.changed.toSorted(), [alice.userId, bob.userId]);
  assert.deepEqual(numbersIn(answer), [1, 3], 'rather twice than never');
  assert.deepEqual(bodiesIn(answer, room), ['kept', 'new']);
  const next = await sync(bob, answer.next_batch);
  assert.deepEqual([numbersIn(next), next.rooms, next.device_lists], [[], undefined, undefined]);
});
