// What is seen of rooms, and by whom: members at a place in history, what erased users wrote, guests, what invites show, forgotten rooms.

import assert from 'node:assert/strict';
import { assertError, ok, personOf, type Client, type Json, type Person, type Session } from './support/client.ts';
import { onEachEngine } from './support/engines.ts';
import type { Server } from './support/server.ts';

interface Event {
  readonly type: string;
  readonly event_id: string;
  readonly sender: string;
  readonly state_key?: string;
  readonly content: Json;
}

interface RoomJson {
  readonly timeline: { readonly events: readonly Event[]; readonly prev_batch: string };
}

interface Sync {
  readonly next_batch: string;
  readonly rooms?: {
    readonly join?: Readonly<Record<string, RoomJson>>;
    readonly leave?: Readonly<Record<string, RoomJson>>;
    readonly invite?: Readonly<Record<string, { readonly invite_state: { readonly events: readonly Event[] } }>>;
    readonly knock?: Readonly<Record<string, { readonly knock_state: { readonly events: readonly Event[] } }>>;
  };
}

const id = encodeURIComponent;

const createRoom = async (person: Client, request: Json = {}): Promise<string> =>
  ok(await person.post<{ room_id: string }>('/createRoom', request)).room_id;

const say = async (person: Client, roomId: string, body: string): Promise<string> =>
  ok(await person.put<{ event_id: string }>(`/rooms/${id(roomId)}/send/m.room.message/${id(body)}`, { msgtype: 'm.text', body })).event_id;

const setState = async (person: Client, roomId: string, type: string, content: Json) =>
  person.put<{ event_id: string }>(`/rooms/${id(roomId)}/state/${type}`, content);

const sync = async (person: Client, query = ''): Promise<Sync> => ok(await person.get<Sync>(`/sync?timeout=0${query}`));

const membersAt = async (person: Client, roomId: string, at: string) =>
  person.get<{ chunk: Event[] }>(`/rooms/${id(roomId)}/members?at=${id(at)}&membership=join`);

const bodiesFor = async (person: Client, roomId: string): Promise<unknown[]> =>
  ok(await person.get<{ chunk: Event[] }>(`/rooms/${id(roomId)}/messages?dir=f&limit=100`))
    .chunk.filter((event) => event.type === 'm.room.message')
    .map((event) => event.content['body']);

const registerGuest = async (server: Server): Promise<Person> =>
  personOf(server.pool, ok(await server.anybody.post<Session>('/register?kind=guest', {})));

onEachEngine('members are asked for at a place in history', async (startOnEngine) => {
  await using server = await startOnEngine();
  const [alice, bob, carol] = [await server.register('alice'), await server.register('bob'), await server.register('carol')];
  const roomId = await createRoom(alice, {
    preset: 'public_chat',
    initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: 'joined' } }],
  });
  const { next_batch: alone, rooms } = await sync(alice);
  ok(await bob.post(`/join/${id(roomId)}`));
  const { next_batch: both } = await sync(alice);
  ok(await carol.post(`/join/${id(roomId)}`));
  const names = async (person: Client, at: string): Promise<(string | undefined)[]> =>
    ok(await membersAt(person, roomId, at))
      .chunk.map((event) => event.state_key)
      .toSorted();
  assert.deepEqual(await names(alice, alone), [alice.userId]);
  assert.deepEqual(await names(alice, both), [alice.userId, bob.userId]);
  assert.deepEqual(await names(alice, (await sync(alice)).next_batch), [alice.userId, bob.userId, carol.userId]);
  // Before all that there is stands who began.
  assert.deepEqual(await names(alice, rooms?.join?.[roomId]?.timeline.prev_batch ?? ''), [alice.userId]);
  assertError(await membersAt(carol, roomId, both), 403, 'M_FORBIDDEN');
  assert.deepEqual(await names(bob, both), [alice.userId, bob.userId]);
  ok(await bob.post(`/rooms/${id(roomId)}/leave`));
  ok(await alice.post(`/rooms/${id(roomId)}/kick`, { user_id: carol.userId }));
  assert.deepEqual(await names(bob, (await sync(alice)).next_batch), [alice.userId, carol.userId], 'who left sees nothing later');
});

onEachEngine('who is in a room is told with names and avatars, or null', async (startOnEngine) => {
  await using server = await startOnEngine();
  const alice = await server.register('alice');
  const roomId = await createRoom(alice);
  const { joined } = ok(await alice.get<{ joined: Json }>(`/rooms/${id(roomId)}/joined_members`));
  assert.deepEqual(joined, { [alice.userId]: { display_name: 'alice', avatar_url: null } });
});

onEachEngine('what erased users wrote stays with those who had it', async (startOnEngine) => {
  await using server = await startOnEngine();
  const [alice, bob, carol] = [await server.register('alice'), await server.register('bob'), await server.register('carol')];
  const roomId = await createRoom(alice, { preset: 'public_chat' });
  ok(await bob.post(`/join/${id(roomId)}`));
  const before = await say(alice, roomId, 'remember me');
  ok(await bob.post(`/join/${id(roomId)}`));
  const auth = { type: 'm.login.password', identifier: { type: 'm.id.user', user: 'alice' }, password: 'password of alice' };
  ok(await alice.post('/account/deactivate', { auth, erase: true }));
  ok(await carol.post(`/join/${id(roomId)}`));
  await say(bob, roomId, 'who?');
  const check = async (): Promise<void> => {
    assert.deepEqual(await bodiesFor(bob, roomId), ['remember me', 'who?']);
    assert.deepEqual(await bodiesFor(carol, roomId), [undefined, 'who?']);
    assert.deepEqual(ok(await carol.get<Event>(`/rooms/${id(roomId)}/event/${id(before)}`)).content, {});
    const around = ok(await carol.get<{ event: Event }>(`/rooms/${id(roomId)}/context/${id(before)}`));
    assert.deepEqual(around.event.content, {});
    const told = (await sync(carol)).rooms?.join?.[roomId]?.timeline.events.find((event) => event.event_id === before);
    assert.deepEqual(told?.content, {});
  };
  await check();
  await server.stop();
  await server.start();
  await check();
});

onEachEngine('guests are where they may be, and leave when a room is closed to them', async (startOnEngine) => {
  await using server = await startOnEngine({ settings: { allow_guest_access: true } });
  const [alice, guest] = [await server.register('alice'), await registerGuest(server)];
  const closed = await createRoom(alice, { preset: 'public_chat' });
  assertError(await guest.post(`/join/${id(closed)}`), 403, 'M_FORBIDDEN');
  assertError(await guest.get(`/rooms/${id(closed)}/messages?dir=b`), 403, 'M_FORBIDDEN');
  ok(await setState(alice, closed, 'm.room.history_visibility', { history_visibility: 'world_readable' }));
  await say(alice, closed, 'for all the world');
  assert.deepEqual(await bodiesFor(guest, closed), ['for all the world']);
  assert.ok(ok(await guest.get<Event[]>(`/rooms/${id(closed)}/state`)).length > 0);

  const open = await createRoom(alice, {
    preset: 'public_chat',
    initial_state: [{ type: 'm.room.guest_access', content: { guest_access: 'can_join' } }],
  });
  ok(await guest.post(`/join/${id(open)}`));
  assertError(await guest.post(`/rooms/${id(open)}/invite`, { user_id: alice.userId }), 403, 'M_GUEST_ACCESS_FORBIDDEN');
  await say(guest, open, 'hello');
  ok(await setState(alice, open, 'm.room.guest_access', { guest_access: 'forbidden' }));
  const gone = ok(await alice.get<Event[]>(`/rooms/${id(open)}/state`)).find((event) => event.state_key === guest.userId);
  assert.deepEqual([gone?.sender, gone?.content['membership']], [guest.userId, 'leave']);
  assertError(await guest.post(`/join/${id(open)}`), 403, 'M_FORBIDDEN');
  assert.deepEqual(ok(await alice.get<{ joined: Json }>(`/rooms/${id(open)}/joined_members`)).joined, {
    [alice.userId]: { display_name: 'alice', avatar_url: null },
  });
});

onEachEngine('what invited and knocking users are shown is the operator’s to say', async (startOnEngine) => {
  const additional_event_types = [['org.example.shown', 'here'], 'org.example.all'];
  await using server = await startOnEngine({
    settings: { room_prejoin_state: { disable_default_event_types: true, additional_event_types } },
  });
  const [alice, bob, carol] = [await server.register('alice'), await server.register('bob'), await server.register('carol')];
  const state = (type: string, state_key: string) => ({ type, state_key, content: { at: state_key } });
  const roomId = await createRoom(alice, {
    name: 'Not shown',
    invite: [bob.userId],
    initial_state: [
      state('org.example.shown', 'here'),
      state('org.example.shown', 'there'),
      state('org.example.all', 'one'),
      state('org.example.all', 'two'),
      { type: 'm.room.join_rules', content: { join_rule: 'knock' } },
    ],
  });
  const keys = (events: readonly Event[] | undefined): string[] =>
    (events ?? []).map((event) => `${event.type} ${event.state_key ?? ''}`).toSorted();
  const shown = ['m.room.create ', 'org.example.all one', 'org.example.all two', 'org.example.shown here'];
  assert.deepEqual(keys((await sync(bob)).rooms?.invite?.[roomId]?.invite_state.events), [
    ...shown.slice(0, 1),
    `m.room.member ${alice.userId}`,
    `m.room.member ${bob.userId}`,
    ...shown.slice(1),
  ]);
  ok(await carol.post(`/knock/${id(roomId)}`, { reason: 'please' }));
  const knocking = await sync(carol);
  assert.deepEqual(keys(knocking.rooms?.knock?.[roomId]?.knock_state.events), [
    ...shown.slice(0, 1),
    `m.room.member ${carol.userId}`,
    ...shown.slice(1),
  ]);
  ok(await carol.post(`/rooms/${id(roomId)}/leave`));
  const retracted = await sync(carol, `&since=${id(knocking.next_batch)}`);
  assert.deepEqual([retracted.rooms?.knock, Object.keys(retracted.rooms?.leave ?? {})], [undefined, [roomId]]);
});

onEachEngine('rooms that are forgotten are gone for who forgot them', async (startOnEngine) => {
  await using server = await startOnEngine();
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const roomId = await createRoom(alice, { preset: 'public_chat' });
  ok(await bob.post(`/join/${id(roomId)}`));
  await say(bob, roomId, 'once');
  ok(await bob.post(`/rooms/${id(roomId)}/leave`));
  const archive = `&filter=${id(JSON.stringify({ room: { include_leave: true } }))}`;
  assert.deepEqual(Object.keys((await sync(bob, archive)).rooms?.leave ?? {}), [roomId]);
  assert.deepEqual(await bodiesFor(bob, roomId), ['once']);
  ok(await bob.post(`/rooms/${id(roomId)}/forget`));
  assert.equal((await sync(bob, archive)).rooms, undefined);
  for (const path of ['messages?dir=b', 'state', 'members', 'state/m.room.create/']) {
    assertError(await bob.get(`/rooms/${id(roomId)}/${path}`), 403, 'M_FORBIDDEN');
  }
  ok(await bob.post(`/join/${id(roomId)}`));
  assert.deepEqual(await bodiesFor(bob, roomId), ['once']);
});

onEachEngine('with forget_rooms_on_leave leaving is forgetting', async (startOnEngine) => {
  await using server = await startOnEngine({ settings: { forget_rooms_on_leave: true } });
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const roomId = await createRoom(alice, { preset: 'public_chat' });
  ok(await bob.post(`/join/${id(roomId)}`));
  const { next_batch: since } = await sync(bob);
  ok(await alice.post(`/rooms/${id(roomId)}/kick`, { user_id: bob.userId }));
  assert.deepEqual(Object.keys((await sync(bob, `&since=${id(since)}`)).rooms?.leave ?? {}), [roomId], 'the leaving itself is told');
  assertError(await bob.get(`/rooms/${id(roomId)}/messages?dir=b`), 403, 'M_FORBIDDEN');
  await server.stop();
  await server.start();
  const archive = `&filter=${id(JSON.stringify({ room: { include_leave: true } }))}`;
  assert.equal((await sync(bob, archive)).rooms, undefined);
});

onEachEngine('nobody reacts twice alike', async (startOnEngine) => {
  await using server = await startOnEngine();
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const roomId = await createRoom(alice, { preset: 'public_chat' });
  ok(await bob.post(`/join/${id(roomId)}`));
  const target = await say(alice, roomId, 'nice');
  let txn = 0;
  const react = async (person: Client, key: string, type = 'm.reaction') => {
    const content = { 'm.relates_to': { rel_type: 'm.annotation', event_id: target, key } };
    return person.put<{ event_id: string }>(`/rooms/${id(roomId)}/send/${type}/${String(txn++)}`, content);
  };
  const twins = await Promise.all([react(alice, '👍'), react(alice, '👍')]);
  assert.deepEqual(twins.map((reply) => reply.status).toSorted(), [200, 400]);
  assertError(await react(alice, '👍'), 400, 'M_DUPLICATE_ANNOTATION');
  ok(await react(alice, '👎'));
  ok(await react(bob, '👍'));
  ok(await react(alice, '👍', 'org.example.reaction'));
  await server.stop();
  await server.start();
  assertError(await react(alice, '👍'), 400, 'M_DUPLICATE_ANNOTATION');
  const first = twins.find((reply) => reply.status === 200)?.body.event_id ?? '';
  ok(await alice.put(`/rooms/${id(roomId)}/redact/${id(first)}/r`, {}));
  ok(await react(alice, '👍'));
});
