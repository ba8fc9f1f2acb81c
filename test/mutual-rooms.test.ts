// Which rooms one shares with somebody.

import assert from 'node:assert/strict';
import { ok, type Json, type Person } from './support/client.ts';
import { onEachEngine } from './support/engines.ts';

const id = encodeURIComponent;
const V1 = '/_matrix/client/v1/mutual_rooms';
const UNSTABLE = '/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms';

interface Page {
  readonly joined: readonly string[];
  readonly count: number;
  readonly next_batch?: string;
  readonly next_batch_token?: string;
}

const createRoom = async (creator: Person): Promise<string> =>
  ok(await creator.post<{ room_id: string }>('/createRoom', { preset: 'public_chat' })).room_id;

onEachEngine('the rooms that both have joined are told, in pages', async (startOnEngine) => {
  await using server = await startOnEngine();
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const ask = async (person: Person, other: Person, from?: string): Promise<Page> =>
    ok(await person.get<Page>(`${V1}?user_id=${id(other.userId)}${from === undefined ? '' : `&from=${id(from)}`}`));
  assert.deepEqual(await ask(alice, bob), { joined: [], count: 0 });

  const rooms: string[] = [];
  for (let each = 0; each < 103; each += 1) rooms.push(await createRoom(alice));
  for (const roomId of rooms) ok(await bob.post(`/join/${id(roomId)}`));
  await createRoom(alice);
  await createRoom(bob);
  const [left, banned, ...shared] = rooms as [string, string, ...string[]];
  ok(await bob.post(`/rooms/${id(left)}/leave`));
  ok(await alice.post(`/rooms/${id(banned)}/ban`, { user_id: bob.userId }));
  ok(await alice.post(`/rooms/${id(banned)}/unban`, { user_id: bob.userId }));
  ok(await alice.post(`/rooms/${id(banned)}/invite`, { user_id: bob.userId }));
  shared.sort();
  for (const [one, other] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    const first = await ask(one, other);
    assert.deepEqual([first.joined, first.count], [shared.slice(0, 100), 101]);
    assert.deepEqual(await ask(one, other, first.next_batch), { joined: shared.slice(100), count: 101 });
    // As clients ask that know the proposal.
    const old = `${UNSTABLE}?user_id=${id(other.userId)}`;
    const { joined, next_batch_token: next } = ok(await one.get<Page>(old));
    assert.deepEqual(joined, shared.slice(0, 100));
    assert.deepEqual(ok(await one.get<Page>(`${old}&batch_token=${id(String(next))}`)).joined, shared.slice(100));
  }
  const { unstable_features: features } = ok(await alice.get<{ unstable_features: Json }>('/_matrix/client/versions'));
  assert.equal(features['uk.half-shot.msc2666.query_mutual_rooms'], true);
});
