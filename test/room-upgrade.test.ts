// Rooms that are replaced by rooms of another version: what goes over, what is closed, and what users have set for them.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertError, ok, type Json, type Person } from './support/client.ts';
import { onEachEngine } from './support/engines.ts';
import type { Server } from './support/server.ts';

const id = encodeURIComponent;

const createRoom = async (creator: Person, settings: Json = {}): Promise<string> =>
  ok(await creator.post<{ room_id: string }>('/createRoom', settings)).room_id;

const upgrade = async (person: Person, roomId: string, version: string, more: Json = {}): Promise<string> =>
  ok(await person.post<{ replacement_room: string }>(`/rooms/${id(roomId)}/upgrade`, { new_version: version, ...more })).replacement_room;

interface StateEvent {
  readonly type: string;
  readonly state_key: string;
  readonly event_id: string;
  readonly content: Json;
}

const stateOf = async (person: Person, roomId: string): Promise<StateEvent[]> =>
  ok(await person.get<StateEvent[]>(`/rooms/${id(roomId)}/state`));

const contentIn = (state: readonly StateEvent[], type: string, stateKey = ''): Json | undefined =>
  state.find((event) => event.type === type && event.state_key === stateKey)?.content;

const contentAt = async (person: Person, roomId: string, type: string, stateKey = ''): Promise<Json> =>
  ok(await person.get(`/rooms/${id(roomId)}/state/${type}/${id(stateKey)}`));

const setState = async (person: Person, roomId: string, type: string, content: Json, stateKey = ''): Promise<string> =>
  ok(await person.put<{ event_id: string }>(`/rooms/${id(roomId)}/state/${type}/${id(stateKey)}`, content)).event_id;

const roomOf = async (person: Person, alias: string): Promise<string> =>
  ok(await person.get<{ room_id: string }>(`/directory/room/${id(alias)}`)).room_id;

const visibilityOf = async (person: Person, roomId: string): Promise<unknown> =>
  ok(await person.get(`/directory/list/room/${id(roomId)}`))['visibility'];

/** Asks again until the answer is the expected one; fails with what it was at last. */
const until = async (ask: () => Promise<unknown>, expected: unknown): Promise<void> => {
  let answer: unknown;
  for (let tries = 0; tries < 400; tries += 1) {
    answer = await ask();
    if (JSON.stringify(answer) === JSON.stringify(expected)) return;
    await sleep(25);
  }
  assert.deepEqual(answer, expected);
};

const settings = { room_list_publication_rules: [{ action: 'allow' }] };

const people = async (server: Server): Promise<readonly [Person, Person, Person]> => [
  await server.register('alice'),
  await server.register('bob'),
  await server.register('carol'),
];

onEachEngine('a room goes over to its successor, and is closed', async (startOnEngine) => {
  await using server = await startOnEngine({ settings });
  const [alice, bob, carol] = await people(server);
  const [alias, other] = [`#here:${server.name}`, `#there:${server.name}`];
  const roomId = await createRoom(alice, {
    preset: 'public_chat',
    visibility: 'public',
    room_version: '10',
    room_alias_name: 'here',
    name: 'Name',
    topic: 'Topic',
    creation_content: { 'm.federate': false, type: 'org.example.kind' },
    initial_state: [
      { type: 'm.room.history_visibility', content: { history_visibility: 'joined' } },
      { type: 'm.room.avatar', content: { url: 'mxc://a/b' } },
      { type: 'm.room.encryption', content: { algorithm: 'm.megolm.v1.aes-sha2' } },
      { type: 'm.room.server_acl', content: { allow: ['*'], deny: ['evil.example'] } },
      { type: 'org.example.other', content: { stays: true } },
    ],
    power_level_content_override: { users: { [alice.userId]: 100, [carol.userId]: 100 }, events: { 'm.room.encryption': 77 } },
  });
  ok(await alice.put(`/directory/room/${id(other)}`, { room_id: roomId }));
  await setState(alice, roomId, 'm.room.canonical_alias', { alias, alt_aliases: [other, alias], note: 1 });
  ok(await bob.post(`/join/${id(roomId)}`));
  ok(await bob.post(`/rooms/${id(roomId)}/leave`));
  ok(await alice.post(`/rooms/${id(roomId)}/ban`, { user_id: bob.userId, reason: 'loud' }));
  ok(await carol.post(`/join/${id(roomId)}`));
  ok(await carol.post(`/rooms/${id(roomId)}/leave`));
  const before = await stateOf(alice, roomId);

  const successor = await upgrade(alice, roomId, '11');
  assert.equal(await upgrade(alice, roomId, '11'), successor, 'asked twice at once, or soon after, it is the same room');
  const old = await stateOf(alice, roomId);
  const state = await stateOf(alice, successor);
  const tombstone = old.find((event) => event.type === 'm.room.tombstone');
  assert.deepEqual(tombstone?.content, { body: 'This room has been replaced', replacement_room: successor });
  assert.deepEqual(contentIn(state, 'm.room.create'), {
    room_version: '11',
    predecessor: { room_id: roomId, event_id: tombstone.event_id },
    'm.federate': false,
    type: 'org.example.kind',
  });
  for (const type of ['join_rules', 'name', 'topic', 'history_visibility', 'avatar', 'encryption', 'server_acl', 'power_levels']) {
    const carried = contentIn(before, `m.room.${type}`);
    assert.ok(carried !== undefined, type);
    assert.deepEqual(contentIn(state, `m.room.${type}`), carried, type);
  }
  assert.equal(contentIn(state, 'org.example.other'), undefined);
  assert.deepEqual(contentIn(state, 'm.room.member', bob.userId), { membership: 'ban', reason: 'loud' });
  assert.equal(contentIn(state, 'm.room.member', carol.userId), undefined);
  assert.equal(contentIn(state, 'm.room.member', alice.userId)?.['membership'], 'join');

  assert.deepEqual([await roomOf(alice, alias), await roomOf(alice, other)], [successor, successor]);
  assert.deepEqual(contentIn(state, 'm.room.canonical_alias'), { alias, alt_aliases: [other, alias] });
  assert.deepEqual(contentIn(old, 'm.room.canonical_alias'), { note: 1 });
  assert.deepEqual([await visibilityOf(alice, roomId), await visibilityOf(alice, successor)], ['private', 'public']);
  const levels = contentIn(before, 'm.room.power_levels');
  assert.deepEqual(contentIn(old, 'm.room.power_levels'), { ...levels, invite: 50, events_default: 50 });
});

onEachEngine('only who may close a room replaces it, one at a time', async (startOnEngine) => {
  await using server = await startOnEngine({ settings });
  const [alice, bob, carol] = await people(server);
  const roomId = await createRoom(alice, {
    preset: 'public_chat',
    room_version: '11',
    power_level_content_override: { users_default: 60 },
  });
  ok(await bob.post(`/join/${id(roomId)}`));
  const attempt = async (person: Person, version: string, more: Json = {}) =>
    person.post(`/rooms/${id(roomId)}/upgrade`, { new_version: version, ...more });
  assertError(await attempt(bob, '11'), 403, 'M_FORBIDDEN');
  assertError(await attempt(carol, '11'), 403, 'M_FORBIDDEN');
  assertError(await attempt(alice, 'none'), 400, 'M_UNSUPPORTED_ROOM_VERSION');
  assertError(await attempt(alice, '12', { additional_creators: [5] }), 400, 'M_INVALID_PARAM');
  assertError(await alice.post(`/rooms/${id('!none:test.example')}/upgrade`, { new_version: '11' }), 404, 'M_NOT_FOUND');
  assert.equal((await alice.get(`/rooms/${id(roomId)}/state/m.room.tombstone/`)).status, 404);
  assert.deepEqual(ok(await alice.get('/joined_rooms')), { joined_rooms: [roomId] }, 'nothing is left of what was refused');
  const levels = await contentAt(alice, roomId, 'm.room.power_levels');
  await setState(alice, roomId, 'm.room.power_levels', { ...levels, users: { [alice.userId]: 100, [bob.userId]: 100 } });
  const [first, second] = await Promise.all([upgrade(alice, roomId, '11'), upgrade(alice, roomId, '11')]);
  assert.equal(first, second);
  assertError(await attempt(bob, '11'), 400, 'M_UNKNOWN');
  const closed = await contentAt(alice, roomId, 'm.room.power_levels');
  assert.deepEqual([closed['invite'], closed['events_default']], [61, 61], 'above what everybody has');
});

onEachEngine('who replaces a room needs its state for a moment, and stands afterwards where they stood', async (startOnEngine) => {
  await using server = await startOnEngine({ settings });
  const [alice, bob, carol] = await people(server);
  const roomId = await createRoom(alice, {
    preset: 'private_chat',
    room_version: '10',
    name: 'High',
    power_level_content_override: {
      users: { [alice.userId]: 100, [bob.userId]: 40, [carol.userId]: 90 },
      events: { 'm.room.tombstone': 40, 'm.room.name': 95, 'm.room.power_levels': 100 },
      state_default: 80,
    },
    invite: [bob.userId, carol.userId],
  });
  ok(await bob.post(`/join/${id(roomId)}`));
  // Banned, with a level above that of who replaces the room.
  ok(await alice.post(`/rooms/${id(roomId)}/ban`, { user_id: carol.userId }));
  const successor = await upgrade(bob, roomId, '11');
  const state = await stateOf(bob, successor);
  assert.deepEqual(contentIn(state, 'm.room.power_levels'), await contentAt(alice, roomId, 'm.room.power_levels'));
  assert.deepEqual(contentIn(state, 'm.room.name'), { name: 'High' });
  assert.equal(contentIn(state, 'm.room.member', carol.userId)?.['membership'], 'ban');
  assert.deepEqual(contentIn(state, 'm.room.join_rules'), { join_rule: 'invite' });
  const levels = await contentAt(bob, successor, 'm.room.power_levels');
  assert.equal((levels['users'] as Json)[bob.userId], 40);
  const changed = await bob.put(`/rooms/${id(successor)}/state/m.room.name/`, { name: 'Low' });
  assertError(changed, 403, 'M_FORBIDDEN');
});

onEachEngine('from version 12 on creators stand above the levels, whichever way a room goes', async (startOnEngine) => {
  await using server = await startOnEngine({ settings });
  const [alice, bob, carol] = await people(server);
  const levels = { users: { [alice.userId]: 100, [bob.userId]: 100, [carol.userId]: 50 } };
  const roomId = await createRoom(alice, { preset: 'public_chat', room_version: '11', power_level_content_override: levels });
  const successor = await upgrade(alice, roomId, '12', { additional_creators: [bob.userId] });
  assert.match(successor, /^![A-Za-z0-9_-]{43}$/);
  const create = await contentAt(alice, successor, 'm.room.create');
  assert.deepEqual(create, { room_version: '12', predecessor: { room_id: roomId }, additional_creators: [bob.userId] });
  assert.deepEqual((await contentAt(alice, successor, 'm.room.power_levels'))['users'], { [carol.userId]: 50 });
  assert.equal((await contentAt(alice, roomId, 'm.room.tombstone'))['replacement_room'], successor);
  ok(await bob.post(`/join/${id(successor)}`));

  const again = await upgrade(bob, successor, '12');
  assert.equal((await contentAt(bob, again, 'm.room.create'))['additional_creators'], undefined);
  assert.deepEqual((await contentAt(bob, again, 'm.room.power_levels'))['users'], { [carol.userId]: 50 });

  const back = await upgrade(bob, again, '11', { additional_creators: ['ignored before version 12'] });
  assert.deepEqual((await contentAt(bob, back, 'm.room.power_levels'))['users'], { [carol.userId]: 50, [bob.userId]: 100 });
  await setState(bob, back, 'm.room.name', { name: 'Somebody has a say in it' });
});

onEachEngine('a space takes its rooms with it, and a room of many bans all of them', async (startOnEngine) => {
  await using server = await startOnEngine({ settings });
  const [alice] = await people(server);
  const space = await createRoom(alice, { room_version: '11', creation_content: { type: 'm.space' } });
  await setState(alice, space, 'm.space.child', { via: [server.name], order: 'a' }, '!kept:test.example');
  await setState(alice, space, 'm.space.child', { via: [server.name] }, '!gone:test.example');
  await setState(alice, space, 'm.space.child', {}, '!gone:test.example');
  const banned = Array.from({ length: 520 }, (_, index) => `@banned${String(index)}:elsewhere.example`);
  for (let start = 0; start < banned.length; start += 52)
    await Promise.all(
      banned.slice(start, start + 52).map(async (userId) => {
        ok(await alice.post(`/rooms/${id(space)}/ban`, { user_id: userId }));
      }),
    );
  const state = await stateOf(alice, await upgrade(alice, space, '12'));
  assert.equal(contentIn(state, 'm.room.create')?.['type'], 'm.space');
  assert.deepEqual(contentIn(state, 'm.space.child', '!kept:test.example'), { via: [server.name], order: 'a' });
  assert.equal(contentIn(state, 'm.space.child', '!gone:test.example'), undefined);
  const bans = state.filter((event) => event.content['membership'] === 'ban').map((event) => event.state_key);
  assert.deepEqual(bans.sort(), banned.sort());
});

const mute = async (person: Person, roomId: string): Promise<void> => {
  ok(await person.put(`/pushrules/global/room/${id(roomId)}`, { actions: ['dont_notify'] }));
  const conditions = [{ kind: 'event_match', key: 'room_id', pattern: roomId }];
  ok(await person.put(`/pushrules/global/override/${id(roomId)}`, { actions: [], conditions }));
};

const rulesFor = async (person: Person, roomId: string): Promise<unknown> => {
  const { global } = ok(await person.get<{ global: Record<string, readonly Json[]> }>('/pushrules/'));
  const named = (kind: string): unknown => global[kind]?.find((rule) => rule['rule_id'] === roomId)?.['conditions'] ?? null;
  return [global['room']?.some((rule) => rule['rule_id'] === roomId), named('override')];
};

const RULES = (roomId: string) => [true, [{ kind: 'event_match', key: 'room_id', pattern: roomId }]];

const tagsOf = async (person: Person, roomId: string): Promise<unknown> =>
  ok(await person.get(`/user/${id(person.userId)}/rooms/${id(roomId)}/tags`))['tags'];

const tag = async (person: Person, roomId: string, name: string, content: Json): Promise<void> => {
  ok(await person.put(`/user/${id(person.userId)}/rooms/${id(roomId)}/tags/${name}`, content));
};

const directOf = async (person: Person): Promise<Json> => ok(await person.get(`/user/${id(person.userId)}/account_data/m.direct`));

onEachEngine('tags, direct chats and push rules go with the members, also where a room is replaced by hand', async (startOnEngine) => {
  await using server = await startOnEngine({ settings });
  const [alice, bob, carol] = await people(server);
  const dan = await server.register('dan');
  for (const byHand of [false, true]) {
    const roomId = await createRoom(alice, { preset: 'public_chat', room_version: '10', room_alias_name: `by-hand-${String(byHand)}` });
    for (const person of [bob, carol, dan]) ok(await person.post(`/join/${id(roomId)}`));
    for (const person of [alice, bob, carol, dan]) {
      await mute(person, roomId);
      await tag(person, roomId, 'm.favourite', { order: 0.5 });
      const direct = { [bob.userId]: ['!else:test.example', roomId], [alice.userId]: ['!else:test.example'], odd: 5 };
      ok(await person.put(`/user/${id(person.userId)}/account_data/m.direct`, direct));
    }
    for (const person of [carol, dan]) ok(await person.post(`/rooms/${id(roomId)}/leave`));
    const predecessor = { room_id: roomId };
    const successor = byHand
      ? await createRoom(alice, { preset: 'public_chat', room_version: '11', creation_content: { predecessor } })
      : await upgrade(alice, roomId, '11');
    if (byHand) await setState(alice, roomId, 'm.room.tombstone', { body: 'moved', replacement_room: successor });

    for (const person of [alice, bob]) {
      await until(async () => rulesFor(person, successor), RULES(successor));
      assert.deepEqual(await rulesFor(person, roomId), RULES(roomId), 'the old ones stay');
      assert.deepEqual(await tagsOf(person, successor), { 'm.favourite': { order: 0.5 } });
      assert.deepEqual(await directOf(person), {
        [bob.userId]: ['!else:test.example', roomId, successor],
        [alice.userId]: ['!else:test.example'],
        odd: 5,
      });
    }
    assert.equal(await roomOf(alice, `#by-hand-${String(byHand)}:${server.name}`), successor);
    // Who has left is no member, and is given what they had set when they come into the new room.
    assert.deepEqual(await rulesFor(carol, successor), [false, null]);
    ok(await carol.post(`/join/${id(successor)}`));
    await until(async () => rulesFor(carol, successor), RULES(successor));

    // A new name is no coming in: what has been taken away since stays away. Events are looked at in their order, so that Dan's coming in says that Carol's name was.
    ok(await carol.delete(`/user/${id(carol.userId)}/rooms/${id(successor)}/tags/m.favourite`));
    ok(await carol.put(`/profile/${id(carol.userId)}/displayname`, { displayname: `C ${String(byHand)}` }));
    await until(async () => (await contentAt(carol, successor, 'm.room.member', carol.userId))['displayname'], `C ${String(byHand)}`);
    const claims = await createRoom(carol, { room_version: '11', creation_content: { predecessor } });
    ok(await dan.post(`/join/${id(successor)}`));
    await until(async () => rulesFor(dan, successor), RULES(successor));
    assert.deepEqual(await tagsOf(carol, successor), {});
    assert.deepEqual([await tagsOf(carol, claims), await rulesFor(carol, claims)], [{}, [false, null]], 'the tombstone names another');
  }
});
