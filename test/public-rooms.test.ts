// Finding rooms on the server's list.

import assert from 'node:assert/strict';
import { assertError, ok, type Client, type Json } from './support/client.ts';
import { onEachEngine } from './support/engines.ts';

interface Page {
  readonly chunk: readonly Json[];
  readonly next_batch?: string;
  readonly prev_batch?: string;
  readonly total_room_count_estimate: number;
}

const id = encodeURIComponent;
const settings = { room_list_publication_rules: [{ action: 'allow' }] };

const publish = async (person: Client, request: Json): Promise<string> =>
  ok(await person.post<{ room_id: string }>('/createRoom', { preset: 'public_chat', visibility: 'public', ...request })).room_id;

const names = ({ chunk }: Page): unknown[] => chunk.map((entry) => entry['name']);

onEachEngine('public rooms are listed by size, in pages, and found by words and types', async (startOnEngine) => {
  await using server = await startOnEngine({ settings });
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const list = async (query = ''): Promise<Page> => ok(await alice.get<Page>(`/publicRooms${query}`));
  const find = async (filter: Json, more: Json = {}): Promise<Page> => ok(await bob.post<Page>('/publicRooms', { filter, ...more }));
  assert.deepEqual(await list(), { chunk: [], total_room_count_estimate: 0 });

  const big = await publish(alice, { name: 'Big', topic: 'Wombles', room_alias_name: 'big' });
  await publish(alice, { name: 'Space', creation_content: { type: 'm.space' } });
  const small = await publish(alice, { name: 'Small' });
  await publish(alice, { name: 'Closed', preset: 'private_chat' });
  await publish(alice, { name: 'Unlisted', visibility: 'private' });
  ok(await bob.post(`/join/${id(big)}`));
  const all = await list();
  assert.equal(all.total_room_count_estimate, 3);
  assert.deepEqual(all.chunk[0], {
    room_id: big,
    num_joined_members: 2,
    world_readable: false,
    guest_can_join: false,
    join_rule: 'public',
    name: 'Big',
    topic: 'Wombles',
    canonical_alias: `#big:${server.name}`,
  });
  const first = await list('?limit=2');
  const second = await list(`?limit=2&since=${id(first.next_batch ?? '')}`);
  assert.deepEqual([...names(first), ...names(second)], names(all));
  assert.deepEqual(await list(`?limit=2&since=${id(second.prev_batch ?? '')}`), first);

  assert.deepEqual(names(await find({ generic_search_term: 'wombles' })), ['Big']);
  assert.deepEqual(names(await find({ room_types: ['m.space'] })), ['Space']);
  assert.deepEqual(names(await find({ room_types: [null] })).toSorted(), ['Big', 'Small']);
  assert.deepEqual(names(await find({ generic_search_term: 'nowhere' })), []);
  assert.deepEqual(names(await find({}, { third_party_instance_id: 'irc' })), []);

  const path = `/rooms/${id(small)}/state/m.room.name`;
  const { event_id: named } = ok(await alice.put<{ event_id: string }>(path, { name: 'Smaller' }));
  assert.deepEqual(names(await find({ generic_search_term: 'smaller' })), ['Smaller']);
  ok(await alice.put(`/rooms/${id(small)}/redact/${id(named)}/1`, {}));
  assert.deepEqual(names(await find({ generic_search_term: 'smaller' })), []);
  ok(await bob.post(`/rooms/${id(big)}/leave`));
  assert.equal((await find({ generic_search_term: 'wombles' })).chunk[0]?.['num_joined_members'], 1);
  ok(await alice.put(`/directory/list/room/${id(big)}`, { visibility: 'private' }));
  assert.deepEqual(names(await find({ generic_search_term: 'wombles' })), []);

  assertError(await alice.get('/publicRooms?since=nonsense'), 400, 'M_INVALID_PARAM');
  assertError(await alice.get('/publicRooms?limit=-1'), 400, 'M_INVALID_PARAM');
  assertError(await alice.get('/publicRooms?server=no%20name'), 400, 'M_INVALID_PARAM');
  assertError(await alice.post('/publicRooms', { filter: { room_types: [1] } }), 400, 'M_BAD_JSON');
  assertError(await server.anybody.get('/publicRooms'), 401, 'M_MISSING_TOKEN');
});

onEachEngine('the list can be switched off', async (startOnEngine) => {
  await using server = await startOnEngine({ settings: { ...settings, enable_room_list_search: false } });
  const alice = await server.register('alice');
  await publish(alice, { name: 'Here' });
  assert.deepEqual(ok(await alice.get('/publicRooms')), { chunk: [], total_room_count_estimate: 0 });
});
