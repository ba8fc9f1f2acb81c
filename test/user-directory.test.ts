// Finding users by their names, and who may find whom.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertError, ok, type Json, type Person } from './support/client.ts';
import { onEachEngine } from './support/engines.ts';
import { startPeer } from './support/federation.ts';
import { member } from './support/new-events.ts';
import { hostRoom } from './support/peer-host.ts';
import { joinAsPeer, sendTransaction } from './support/peer-member.ts';
import { makePeerRoom } from './support/peer-room.ts';
import { takeStep } from './support/remote-user.ts';
import { startScriptedPeer } from './support/scripted-peer.ts';
import { takeTransactions } from './support/transactions.ts';

const id = encodeURIComponent;

interface Found {
  readonly limited: boolean;
  readonly results: readonly { readonly user_id: string; readonly display_name?: string; readonly avatar_url?: string }[];
}

const search = async (person: Person, term: string, limit?: number): Promise<Found> =>
  ok(await person.post<Found>('/user_directory/search', { search_term: term, ...(limit !== undefined && { limit }) }));
const find = async (person: Person, term: string): Promise<string[]> => (await search(person, term)).results.map((each) => each.user_id);

/** Waits until a search finds these: what another server sends is answered before it is taken in. */
const untilFound = async (person: Person, term: string, expected: readonly string[]): Promise<void> => {
  let found: readonly string[] = [];
  for (let tries = 0; tries < 400; tries += 1) {
    found = await find(person, term);
    if (found.join() === expected.join()) break;
    await sleep(25);
  }
  assert.deepEqual(found, expected, term);
};

const createRoom = async (person: Person, request: Json): Promise<string> =>
  ok(await person.post<{ room_id: string }>('/createRoom', request)).room_id;
const callThemselves = async (person: Person, displayname: string): Promise<void> => {
  ok(await person.put(`/profile/${id(person.userId)}/displayname`, { displayname }));
};
const setState = async (person: Person, roomId: string, type: string, content: Json, stateKey = ''): Promise<void> => {
  ok(await person.put(`/rooms/${id(roomId)}/state/${type}/${id(stateKey)}`, content));
};

onEachEngine('who shares a room or is in a public one is found, and nobody else', async (startOnEngine) => {
  await using server = await startOnEngine();
  const [alice, bob, eve] = [await server.register('alice'), await server.register('bob'), await server.register('eve')];
  assert.deepEqual(await find(bob, 'alice'), []);
  const open = await createRoom(alice, { preset: 'public_chat' });
  assert.deepEqual(await search(bob, 'alice'), { limited: false, results: [{ user_id: alice.userId, display_name: 'alice' }] });
  assert.deepEqual(await find(alice, 'alice'), [], 'nobody looks for themselves');
  assert.deepEqual(await find(alice, 'bob'), [], 'bob is in no room');

  await setState(alice, open, 'm.room.join_rules', { join_rule: 'invite' });
  assert.deepEqual(await find(bob, 'alice'), []);
  await setState(alice, open, 'm.room.history_visibility', { history_visibility: 'world_readable' });
  assert.deepEqual(await find(bob, 'alice'), [alice.userId]);
  ok(await alice.post(`/rooms/${id(open)}/leave`));
  assert.deepEqual(await find(bob, 'alice'), []);

  const closed = await createRoom(alice, { preset: 'private_chat', invite: [bob.userId] });
  assert.deepEqual(await find(alice, 'bob'), [], 'who is invited is not in it yet');
  ok(await bob.post(`/join/${id(closed)}`));
  assert.deepEqual(await find(alice, 'bob'), [bob.userId]);
  assert.deepEqual(await find(bob, 'alice'), [alice.userId]);
  assert.deepEqual(await find(eve, 'alice'), []);

  await server.kill();
  await server.start();
  assert.deepEqual(await find(bob, 'alice'), [alice.userId]);
  const auth = { type: 'm.login.password', identifier: { type: 'm.id.user', user: 'alice' }, password: 'password of alice' };
  const { body } = await alice.post<{ session: string }>('/account/deactivate', {});
  ok(await alice.post('/account/deactivate', { auth: { ...auth, session: body.session } }));
  assert.deepEqual(await find(bob, 'alice'), [], 'a closed account is nobody');
});

onEachEngine('what somebody is called in one room does not get out of it', async (startOnEngine) => {
  await using server = await startOnEngine();
  const [alice, bob, eve] = [await server.register('alice'), await server.register('bob'), await server.register('eve')];
  await callThemselves(alice, 'Alice Cooper');
  await createRoom(alice, { preset: 'public_chat' });
  const closed = await createRoom(bob, { preset: 'private_chat', invite: [alice.userId] });
  ok(await alice.post(`/join/${id(closed)}`));
  await setState(alice, closed, 'm.room.member', { membership: 'join', displayname: 'Freddy' }, alice.userId);
  for (const person of [bob, eve]) {
    assert.deepEqual(await search(person, 'Alice Cooper'), {
      limited: false,
      results: [{ user_id: alice.userId, display_name: 'Alice Cooper' }],
    });
    assert.deepEqual(await find(person, 'Freddy'), []);
  }
});

onEachEngine('names are found by the beginnings of their words, whatever the language', async (startOnEngine) => {
  await using server = await startOnEngine({ settings: { user_directory: { search_all_users: true } } });
  const asker = await server.register('asker');
  const names = {
    zoe: 'Zoë Müller-Lüdenscheidt',
    ilhan: 'İlhan IŞIK',
    xiaoming: '陈小明',
    sakura: '桜 さくら',
    somchai: 'สมชายใจดี',
    fox: '🦊 Fox',
    'tom.von-x_1': "Tom O'Neill",
  };
  for (const [localpart, displayname] of Object.entries(names)) await callThemselves(await server.register(localpart), displayname);
  const finds = async (term: string): Promise<string[]> => (await find(asker, term)).map((userId) => userId.replace(/^@|:.*$/g, ''));
  for (const [term, expected] of [
    ['ZOE', 'zoe'],
    ['muller', 'zoe'],
    ['MÜLL', 'zoe'],
    ['luden mull', 'zoe'],
    ['Lüdenscheidt, Zoe', 'zoe'],
    ['ışık', 'ilhan'],
    ['isik', 'ilhan'],
    ['ilhan', 'ilhan'],
    ['小明', 'xiaoming'],
    ['陈', 'xiaoming'],
    ['さく', 'sakura'],
    ['桜', 'sakura'],
    ['ใจดี', 'somchai'],
    ['🦊', 'fox'],
    ['neil', 'tom.von-x_1'],
    ['tom.von', 'tom.von-x_1'],
    ['@tom.von-x_1', 'tom.von-x_1'],
    [`@zoe:${server.name}`, 'zoe'],
    ['zoe:test', 'zoe'],
    ['@zoe:', 'zoe'],
  ] as const)
    assert.deepEqual(await finds(term), [expected], term);
  for (const nothing of ['ulle', 'zoe bob', '@zoe:elsewhere', '', '  ', '%', "' OR 1=1 --", '\0'])
    assert.deepEqual(await finds(nothing), [], JSON.stringify(nothing));
});

onEachEngine('the best come first, and no more than are wanted', async (startOnEngine) => {
  await using server = await startOnEngine({ settings: { user_directory: { search_all_users: true } } });
  const asker = await server.register('asker');
  const make = async (localpart: string, displayname: string): Promise<Person> => {
    const person = await server.register(localpart);
    await callThemselves(person, displayname);
    return person;
  };
  const begins = await make('u1', 'Bobby');
  const long = await make('u2', 'Bob Robert The Builder');
  const short = await make('u3', 'Bob');
  const nameless = await make('bob', '');
  const pictured = await make('u5', 'Somebody Else Called Bob');
  ok(await pictured.put(`/profile/${id(pictured.userId)}/avatar_url`, { avatar_url: 'mxc://test.example/picture' }));
  const order = [pictured, short, long, nameless, begins].map((each) => each.userId);
  assert.deepEqual(await find(asker, 'bob'), order);
  const some = await search(asker, 'bob', 2);
  assert.equal(some.limited, true);
  assert.deepEqual(
    some.results.map((each) => each.user_id),
    order.slice(0, 2),
  );
  assert.deepEqual(some.results[0], {
    user_id: pictured.userId,
    display_name: 'Somebody Else Called Bob',
    avatar_url: 'mxc://test.example/picture',
  });
  assert.equal((await search(asker, 'bob', 5)).limited, false);
  assert.deepEqual(await search(asker, 'bob', 0), { limited: true, results: [] });
  assert.deepEqual(await search(asker, 'bob', -1), { limited: true, results: [] });
  await callThemselves(begins, 'Nobody');
  assert.deepEqual(await find(asker, 'bobby'), []);
  assert.deepEqual(await find(asker, 'nobody'), [begins.userId]);
});

onEachEngine('fifty at most, and not too often', async (startOnEngine) => {
  await using server = await startOnEngine({
    settings: { user_directory: { search_all_users: true }, rc_user_directory: { per_second: 0.001, burst_count: 2 } },
  });
  const asker = await server.register('asker');
  await Promise.all(Array.from({ length: 51 }, async (_, index) => server.register(`many${String(index)}`)));
  assert.equal((await search(asker, 'asker')).results.length, 0);
  const many = await search(asker, 'm', 1000);
  assert.deepEqual([many.results.length, many.limited], [50, true]);
  assertError(await asker.post('/user_directory/search', { search_term: 'm' }), 429, 'M_LIMIT_EXCEEDED');
});

onEachEngine('searching can be switched off', async (startOnEngine) => {
  await using server = await startOnEngine({ settings: { user_directory: { enabled: false, search_all_users: true } } });
  const [alice] = [await server.register('alice'), await server.register('bob')];
  assert.deepEqual(await search(alice, 'bob'), { limited: false, results: [] });
});

onEachEngine('users of other servers are found by what they are called where everybody may look', async (startOnEngine) => {
  await using server = await startPeer({}, startOnEngine);
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const eve = await server.register('eve');
  const open = await createRoom(alice, { preset: 'public_chat' });
  const room = await joinAsPeer(peer, server, open, 'bob');
  const rename = async (displayname: unknown): Promise<void> => {
    const { content, ...event } = member(room.userId, room.userId, 'join');
    await sendTransaction(peer, server, [room.add({ ...event, content: { ...content, displayname } as Json as never })]);
  };
  assert.deepEqual(await search(eve, 'bob'), { limited: false, results: [{ user_id: room.userId }] });
  await rename('Róbert Nagy');
  await untilFound(eve, 'robert nagy', [room.userId]);
  await rename(['no', 'text']);
  await untilFound(eve, 'nagy', []);
  assert.deepEqual(await find(eve, 'bob'), [room.userId]);
  await rename('a\0b');
  await untilFound(eve, 'ab', [room.userId]);

  await setState(alice, open, 'm.room.join_rules', { join_rule: 'invite' });
  await setState(alice, open, 'm.room.history_visibility', { history_visibility: 'shared' });
  assert.deepEqual(await find(eve, 'bob'), []);
  await rename('Secret');
  const nameInRoom = async (): Promise<unknown> =>
    ok(await alice.get(`/rooms/${id(open)}/state/m.room.member/${id(room.userId)}`))['displayname'];
  for (let tries = 0; tries < 400 && (await nameInRoom()) !== 'Secret'; tries += 1) await sleep(25);
  assert.equal(await nameInRoom(), 'Secret');
  assert.deepEqual(await find(alice, 'ab'), [room.userId]);
  assert.deepEqual(await find(alice, 'secret'), [], 'it may be for that room alone');
  await takeStep(peer, server, 'leave', open, room.userId);
  assert.deepEqual(await find(alice, 'bob'), []);
});

onEachEngine(
  'who is in a room of another server is listed when the first user of this one comes in, and goes with the last',
  async (startOnEngine) => {
    await using server = await startPeer({}, startOnEngine);
    await using peer = await startScriptedPeer();
    takeTransactions(peer);
    const [alice, eve] = [await server.register('alice'), await server.register('eve')];
    const room = makePeerRoom(peer, '11');
    const { content, ...event } = member(room.creator, room.creator, 'join');
    room.add({ ...event, content: { ...content, displayname: 'Karl der Große' } });
    hostRoom(peer, room);
    assert.deepEqual(await find(eve, 'karl'), []);
    const joined = await server.pool.request({
      method: 'POST',
      path: `/_matrix/client/v3/join/${id(room.roomId)}?via=${id(peer.name)}`,
      headers: { authorization: `Bearer ${alice.accessToken}`, 'content-type': 'application/json' },
      body: '{}',
    });
    assert.equal(joined.statusCode, 200, await joined.body.text());
    assert.deepEqual(await search(eve, 'karl grosse'), {
      limited: false,
      results: [{ user_id: room.creator, display_name: 'Karl der Große' }],
    });
    ok(await alice.post(`/rooms/${id(room.roomId)}/leave`));
    assert.deepEqual(await find(eve, 'karl'), []);
  },
);

for (const [settings, expected] of [
  [{ prefer_local_users: true }, ['local', 'remote']],
  [{}, ['remote', 'local']],
  [{ exclude_remote_users: true }, ['local']],
] as const)
  onEachEngine(`local and other users with ${JSON.stringify(settings)}`, async (startOnEngine) => {
    await using server = await startPeer({ settings: { user_directory: settings } }, startOnEngine);
    await using peer = await startScriptedPeer();
    const asker = await server.register('asker');
    const local = await server.register('bob');
    await callThemselves(local, 'Bob With Many Words To The Name');
    const open = await createRoom(local, { preset: 'public_chat' });
    const room = await joinAsPeer(peer, server, open, 'bob');
    const { content, ...event } = member(room.userId, room.userId, 'join');
    await sendTransaction(peer, server, [room.add({ ...event, content: { ...content, displayname: 'Bob' } })]);
    const userIds = { local: local.userId, remote: room.userId };
    await untilFound(
      asker,
      'bob',
      expected.map((who) => userIds[who]),
    );
  });
