// This server's own users in rooms of other servers: joining, leaving and what is believed of what the others say.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { text } from 'node:stream/consumers';
import { parsePdu } from '#src/protocol/events.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import { signEvent, signingKeyFromSeed } from '#src/protocol/signatures.ts';
import { assertError, ok, type Json, type Person, type Reply } from '#test/support/client.ts';
import { onEachEngine } from '#test/support/engines.ts';
import { startPeer } from '#test/support/federation.ts';
import { member, message, state as stateEvent } from '#test/support/new-events.ts';
import { hostRoom, refusal } from '#test/support/peer-host.ts';
import { sendTransaction } from '#test/support/peer-member.ts';
import { makePeerRoom, type PeerRoom } from '#test/support/peer-room.ts';
import { json, startScriptedPeer, type ScriptedPeer } from '#test/support/scripted-peer.ts';
import { hasSynapse, NO_SYNAPSE, type Server } from '#test/support/server.ts';
import { takeTransactions, textsIn, until as untilTrue } from '#test/support/transactions.ts';

const VERSIONS = ['1', '6', '10', '11', '12'];
const enc = encodeURIComponent;

/** Waits until something holds. */
const until = async (what: string, look: () => Promise<boolean>): Promise<void> => {
  for (let tries = 0; tries < 800; tries += 1) {
    if (await look()) return;
    await new Promise((resolve) => void setTimeout(resolve, 25));
  }
  assert.fail(`It did not come about that ${what}`);
};

/** Asks to enter a room as a client does that names servers; errors of 5xx may be answered here, where another server is to blame. */
const enter = async (
  server: Server,
  person: Person,
  roomIdOrAlias: string,
  via: readonly string[] = [],
  { step = 'join', name = 'via', body = {} }: { step?: 'join' | 'knock'; name?: 'via' | 'server_name'; body?: Json } = {},
): Promise<Reply<Json>> => {
  const query = via.map((each) => `${name}=${enc(each)}`).join('&');
  const answer = await server.pool.request({
    method: 'POST',
    path: `/_matrix/client/v3/${step}/${enc(roomIdOrAlias)}${query === '' ? '' : `?${query}`}`,
    headers: { authorization: `Bearer ${person.accessToken}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    headersTimeout: 60_000,
  });
  return { status: answer.statusCode, body: (await answer.body.json()) as Json };
};

const contentOf = async (reader: Person, roomId: string, type: string, key = ''): Promise<Json | undefined> => {
  const { status, body } = await reader.get(`/rooms/${enc(roomId)}/state/${type}/${enc(key)}`);
  return status === 200 ? body : undefined;
};

const membershipOf = async (reader: Person, roomId: string, userId: string): Promise<unknown> =>
  (await contentOf(reader, roomId, 'm.room.member', userId))?.['membership'];

const createRoom = async (creator: Person, settings: Json = {}): Promise<string> =>
  ok(await creator.post<{ room_id: string }>('/createRoom', { preset: 'public_chat', ...settings })).room_id;

const say = async (person: Person, roomId: string, body: string): Promise<void> => {
  ok(await person.put(`/rooms/${enc(roomId)}/send/m.room.message/${enc(body)}`, { msgtype: 'm.text', body }));
};

const bodies = async (reader: Person, roomId: string): Promise<unknown[]> => {
  const { status, body } = await reader.get<{ chunk: { type: string; content: Json }[] }>(`/rooms/${enc(roomId)}/messages?dir=b&limit=100`);
  if (status !== 200) return [];
  return body.chunk
    .filter(({ type }) => type === 'm.room.message')
    .map(({ content }) => content['body'])
    .toReversed();
};

const hears = async (reader: Person, roomId: string, body: string): Promise<void> =>
  until(`${reader.userId} hears ${body}`, async () => (await bodies(reader, roomId)).includes(body));

type Section = Readonly<Record<string, Json>>;

interface Synced {
  readonly next_batch: string;
  readonly rooms?: { readonly join?: Section; readonly invite?: Section; readonly knock?: Section; readonly leave?: Section };
}

const sync = async (reader: Person, since?: string): Promise<Synced> =>
  ok(await reader.get<Synced>(`/sync?timeout=0${since === undefined ? '' : `&since=${since}`}`));

const asked = (peer: ScriptedPeer, kind: string): number => peer.asked.filter((each) => each.includes(`/${kind}/`)).length;

/** Invites a user of a homeserver into the room of a scripted server. */
const invite = async (peer: ScriptedPeer, server: Server, room: PeerRoom, userId: string): Promise<void> => {
  const told = room.state().map((each) => JSON.parse(each.json) as JsonObject);
  const event = room.add(member(room.creator, userId, 'invite'));
  const content = { room_version: room.version, event: JSON.parse(event.json) as JsonObject, invite_room_state: told };
  ok(await peer.ask(server, 'PUT', `/_matrix/federation/v2/invite/${enc(room.roomId)}/${enc(event.eventId)}`, { content }));
};

for (const version of VERSIONS) {
  onEachEngine(`a user joins a room of version ${version} of another server, talks there and leaves`, async (start) => {
    await using server = await startPeer({}, start);
    await using peer = await startScriptedPeer();
    const sent = takeTransactions(peer);
    const alice = await server.register('alice');
    ok(await alice.put(`/profile/${enc(alice.userId)}/displayname`, { displayname: 'Alice' }));
    const room = makePeerRoom(peer, version);
    const events: JsonObject[] = [];
    hostRoom(peer, room, 'join', { onEvent: (event) => void events.push(event) });
    assert.deepEqual(ok(await enter(server, alice, room.roomId, [peer.name], { body: { reason: 'hello' } })), { room_id: room.roomId });
    assert.deepEqual(events[0]?.['content'], { membership: 'join', displayname: 'Alice', reason: 'hello' });
    assert.deepEqual(await contentOf(alice, room.roomId, 'm.room.name'), { name: 'There' });
    const { joined } = ok(await alice.get<{ joined: Json }>(`/rooms/${enc(room.roomId)}/joined_members`));
    assert.deepEqual(Object.keys(joined).sort(), [alice.userId, room.creator].sort());
    assert.ok((await sync(alice)).rooms?.join?.[room.roomId] !== undefined);
    await say(alice, room.roomId, 'here I am');
    await untilTrue('the message', () => textsIn(sent.taken()).includes('here I am'));
    const pdu = sent
      .taken()
      .flatMap(({ pdus }) => pdus)
      .find(({ type }) => type === 'm.room.message') as unknown as JsonObject;
    room.take(parsePdu(pdu, roomVersion(version)));
    ok(await sendTransaction(peer, server, [room.add(message(room.creator, 'welcome'))]));
    await hears(alice, room.roomId, 'welcome');
    await server.stop();
    await server.start();
    assert.deepEqual(await contentOf(alice, room.roomId, 'm.room.name'), { name: 'There' }, 'after a restart too');
    ok(await alice.post(`/rooms/${enc(room.roomId)}/leave`));
    await untilTrue('the leave', () =>
      sent
        .taken()
        .flatMap(({ pdus }) => pdus)
        .some(({ type, content }) => type === 'm.room.member' && content['membership'] === 'leave'),
    );
    assert.equal(asked(peer, 'send_join'), 1);
    const told = sent.taken().flatMap(({ pdus }) => pdus.map(({ type, content }) => `${type} ${String(content['membership'])}`));
    assert.deepEqual(told, ['m.room.message undefined', 'm.room.member leave'], 'the join is for the server that took it in to tell');
  });
}

onEachEngine('two users who join at a time come in by one join of another server, and who comes later by none', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  takeTransactions(peer);
  const people = [await server.register('alice'), await server.register('bob'), await server.register('carol')];
  const room = makePeerRoom(peer, '11');
  hostRoom(peer, room);
  for (const reply of await Promise.all([...people, ...people].map(async (each) => enter(server, each, room.roomId, [peer.name]))))
    ok(reply);
  const dave = await server.register('dave');
  ok(await dave.post(`/rooms/${enc(room.roomId)}/join`));
  assert.equal(asked(peer, 'send_join'), 1);
  for (const each of people) assert.equal(await membershipOf(dave, room.roomId, each.userId), 'join');
});

onEachEngine('users of two servers meet in a room, leave it all and come back', async (start) => {
  await using here = await startPeer({}, start);
  await using there = await startPeer();
  const [alice, ann] = [await here.register('alice'), await here.register('ann')];
  const bob = await there.register('bob');
  for (const version of ['6', '11', '12']) {
    const roomId = await createRoom(bob, { room_version: version, room_alias_name: `open${version}`, name: 'First' });
    await say(bob, roomId, 'before');
    assert.deepEqual(ok(await enter(here, alice, `#open${version}:${there.name}`)), { room_id: roomId });
    await say(alice, roomId, 'from alice');
    await hears(bob, roomId, 'from alice');
    await say(bob, roomId, 'from bob');
    await hears(alice, roomId, 'from bob');
    ok(await ann.post(`/join/${enc(roomId)}`));
    for (const each of [alice, ann]) ok(await each.post(`/rooms/${enc(roomId)}/leave`));
    await until('both have left', async () => (await membershipOf(bob, roomId, ann.userId)) === 'leave');
    ok(await bob.put(`/rooms/${enc(roomId)}/state/m.room.name`, { name: 'Second' }));
    await say(bob, roomId, 'while they were away');
    ok(await enter(here, ann, roomId, [there.name], { name: 'server_name' }));
    assert.deepEqual(await contentOf(ann, roomId, 'm.room.name'), { name: 'Second' });
    ok(await alice.post(`/rooms/${enc(roomId)}/join`));
    await say(alice, roomId, 'back');
    await hears(bob, roomId, 'back');
    await say(bob, roomId, 'good');
    await hears(ann, roomId, 'good');
    for (const each of [alice, ann]) assert.equal(await membershipOf(bob, roomId, each.userId), 'join');
  }
  await isSound(here);
});

/** Nothing that is stored contradicts itself. */
const isSound = async (server: Server): Promise<void> => {
  await server.stop();
  await server.run('doctor', '--all');
  await server.start();
};

const parsedPdu = ({ json: one }: { json: string }): JsonObject => JSON.parse(one) as JsonObject;

onEachEngine('what is forged in the answer to a join is not believed, wherever it stands', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const forger = signingKeyFromSeed(peer.key.keyId, Buffer.alloc(32, 9));
  for (const version of ['6', '10', '12']) {
    const room = makePeerRoom(peer, version);
    const [mallory, eve] = [`@mallory:${peer.name}`, `@eve:${peer.name}`];
    const topic = room.add(stateEvent(room.creator, 'm.room.topic', '', { topic: 'true' }));
    // What follows is signed by a key that is not the server's, says another thing than was hashed, is of who may not, or stands on what does not exist.
    const known = room.state();
    const unsigned = room.add(stateEvent(room.creator, 'm.room.avatar', '', { url: 'mxc://forged/1' }), { signingKey: forger });
    const altered = { ...parsedPdu(room.add(stateEvent(room.creator, 'org.test', '', { told: 'right' }))), content: { told: 'wrong' } };
    const foreign = room.add(stateEvent(mallory, 'm.room.encryption', '', { algorithm: 'forged' }));
    const baseless = room.add(stateEvent(eve, 'm.room.member', eve, { membership: 'join' }), { authEvents: [`$${'A'.repeat(43)}`] });
    const levels = { ...parsedPdu(known[2]!), content: { users: { [mallory]: 100 } } };
    const elsewhere = parsedPdu(makePeerRoom(peer, version).add(stateEvent(room.creator, 'm.room.tombstone', '', { body: 'gone' })));
    const forged = [parsedPdu(unsigned), altered, parsedPdu(foreign), parsedPdu(baseless), levels, elsewhere, { type: 5 }, {}];
    hostRoom(peer, room, 'join', {
      answer: (right, event) => ({
        ...right,
        state: [...forged, ...known.map(parsedPdu), ...forged],
        auth_chain: [...forged, ...known.map(parsedPdu)],
        event: { ...event, content: { membership: 'join', displayname: 'Forged' } },
      }),
    });
    ok(await enter(server, alice, room.roomId, [peer.name]));
    assert.deepEqual(await contentOf(alice, room.roomId, 'm.room.topic'), topic.pdu.content);
    const state = ok(await alice.get<{ type: string; state_key: string; content: Json }[]>(`/rooms/${enc(room.roomId)}/state`));
    assert.deepEqual(
      state.map(({ type }) => type).sort(),
      [
        'm.room.create',
        'm.room.join_rules',
        'm.room.member',
        'm.room.member',
        'm.room.name',
        'm.room.power_levels',
        'm.room.topic',
        'org.test',
      ],
      'nothing else is in the room',
    );
    assert.deepEqual(await contentOf(alice, room.roomId, 'org.test'), {}, 'of what was altered only the redacted form is left');
    assert.deepEqual(
      state.find(({ type }) => type === 'm.room.power_levels')?.content,
      room.events.find(({ pdu }) => pdu.type === 'm.room.power_levels')?.pdu.content,
    );
    assert.equal((await contentOf(alice, room.roomId, 'm.room.member', alice.userId))?.['displayname'], 'alice');
  }
  await isSound(server);
});

/** Tries to join, which must fail with this; nothing may be left of it. */
const joinFails = async (
  server: Server,
  person: Person,
  roomId: string,
  via: readonly string[],
  status: number,
  errcode: string,
): Promise<string> => {
  const reply = await enter(server, person, roomId, via);
  assertError(reply, status, errcode);
  assert.deepEqual(ok(await person.get('/joined_rooms'))['joined_rooms'], []);
  assert.equal(await contentOf(person, roomId, 'm.room.create'), undefined);
  return reply.body['error'] as string;
};

test('a server that does not keep to the rules lets nobody in', async () => {
  await using server = await startPeer();
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const at = (version = '11', rules: JsonObject = { join_rule: 'public' }): PeerRoom => makePeerRoom(peer, version, rules);
  const refuses = async (room: PeerRoom, script: Parameters<typeof hostRoom>[3]): Promise<void> => {
    hostRoom(peer, room, 'join', script);
    await joinFails(server, alice, room.roomId, [peer.name], 502, 'M_UNKNOWN');
  };
  const changed =
    (changes: JsonObject) =>
    (right: Json): Json => ({ ...right, event: { ...(right['event'] as Json), ...changes } });
  const before = asked(peer, 'send_join');
  await refuses(at(), { template: changed({ type: 'm.room.topic' }) });
  await refuses(at(), { template: changed({ sender: `@eve:${peer.name}` }) });
  await refuses(at(), { template: changed({ state_key: `@eve:${peer.name}` }) });
  await refuses(at(), { template: changed({ room_id: `!other:${peer.name}` }) });
  await refuses(at(), { template: changed({ content: { membership: 'leave' } }) });
  await refuses(at(), { template: changed({ prev_events: 'none' }) });
  await refuses(at(), { template: changed({ auth_events: [5] }) });
  await refuses(at(), { template: changed({ depth: -1 }) });
  await refuses(at(), { template: () => ({ room_version: '11' }) });
  await refuses(at(), { template: () => ({ room_version: '11', event: [] }) });
  assert.equal(asked(peer, 'send_join'), before, 'nothing of the kind is signed');
  // The room is of another version than its server says, has no beginning, or nothing at all.
  await refuses(at('10'), { template: (right) => ({ ...right, room_version: '9' }) });
  const withoutCreate = (all: unknown): Json[] => (all as Json[]).filter(({ type }) => type !== 'm.room.create');
  await refuses(at(), { answer: (right) => ({ ...right, state: withoutCreate(right['state']) }) });
  await refuses(at(), { answer: (right) => ({ ...right, state: withoutCreate(right['state']), auth_chain: [] }) });
  await refuses(at(), { answer: () => ({}) });
  await refuses(at(), { answer: (right) => ({ ...right, members_omitted: true }) });
  await refuses(at(), { answer: (right) => ({ ...right, state: 'none' }) });
  // By the rules of the room, the join is not allowed.
  await refuses(at('11', { join_rule: 'invite' }), {});
  await refuses(at(), {
    answer: (right) => ({ ...right, auth_chain: (right['auth_chain'] as Json[]).slice(0, 1), state: [(right['state'] as Json[])[0]] }),
  });
  const other = makePeerRoom(peer, '11');
  await refuses(at(), { answer: (right) => ({ ...right, state: other.state().map(parsedPdu), auth_chain: [] }) });
});

test('what servers say against a join is told, the weightiest of it, and one server after another is asked', async () => {
  await using server = await startPeer();
  await using first = await startScriptedPeer();
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const room = makePeerRoom(peer, '11');
  const says = (answer: ReturnType<typeof refusal>): void => hostRoom(first, room, 'join', { template: () => answer });
  const cases = [
    [403, 'M_FORBIDDEN'],
    [400, 'M_INCOMPATIBLE_ROOM_VERSION'],
    [400, 'M_UNABLE_TO_AUTHORISE_JOIN'],
    [400, 'M_UNABLE_TO_GRANT_JOIN'],
    [404, 'M_NOT_FOUND'],
  ] as const;
  for (const [status, errcode] of cases) {
    says(refusal(status, errcode, { room_version: '99' }));
    const error = await joinFails(server, alice, room.roomId, [first.name, peer.name], status, errcode);
    assert.ok(error.includes(`scripted ${errcode}`) && error.includes(peer.name), error);
  }
  says(refusal(403, 'M_UNKNOWN_TOKEN'));
  await joinFails(server, alice, room.roomId, [first.name], 403, 'M_UNKNOWN');
  const unreachable = await joinFails(server, alice, room.roomId, ['localhost:1'], 502, 'M_UNKNOWN');
  assert.ok(unreachable.includes('localhost:1 does not answer') && !unreachable.includes('ECONNREFUSED'), unreachable);
  says(refusal(500, 'M_UNKNOWN'));
  await joinFails(server, alice, room.roomId, [first.name], 502, 'M_UNKNOWN');
  says({ room_version: '99', event: {} });
  await joinFails(server, alice, room.roomId, [first.name], 400, 'M_INCOMPATIBLE_ROOM_VERSION');
  await joinFails(server, alice, `!room:${server.name}`, [], 404, 'M_NOT_FOUND');
  await joinFails(server, alice, `!room:${server.name}`, [server.name, 'no server'], 404, 'M_NOT_FOUND');
  await joinFails(server, alice, '!room:nowhere.invalid', [], 404, 'M_NOT_FOUND');
  assertError(await enter(server, alice, `#nothing:${peer.name}`), 404, 'M_NOT_FOUND');
  hostRoom(peer, room);
  const before = asked(first, 'make_join');
  ok(await enter(server, alice, room.roomId, ['localhost:1', first.name, first.name, server.name, peer.name]));
  assert.equal(asked(first, 'make_join'), before + 1, 'each once');
});

test('a server that knows the first version of a join alone is asked in that', async () => {
  await using server = await startPeer();
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const room = makePeerRoom(peer, '11');
  hostRoom(peer, room, 'join', { isOld: true });
  ok(await enter(server, alice, room.roomId, [peer.name]));
  assert.deepEqual(await contentOf(alice, room.roomId, 'm.room.name'), { name: 'There' });
  assert.equal(asked(peer, 'v1/send_join'), 1);
});

onEachEngine('events that are sent while this server is coming into the room wait for it', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  takeTransactions(peer);
  const alice = await server.register('alice');
  for (const version of ['6', '12']) {
    const room = makePeerRoom(peer, version);
    const early = ['one', 'two', 'three'];
    hostRoom(peer, room, 'join', {
      onEvent: async () => {
        const { pdus } = ok(
          await sendTransaction(
            peer,
            server,
            early.map((body) => room.add(message(room.creator, body))),
          ),
        );
        assert.deepEqual(Object.values(pdus as Json), [{}, {}, {}]);
        assert.equal(await contentOf(alice, room.roomId, 'm.room.create'), undefined, 'the room is not here yet');
      },
    });
    ok(await enter(server, alice, room.roomId, [peer.name]));
    await hears(alice, room.roomId, 'three');
    assert.deepEqual(await bodies(alice, room.roomId), early);
    const failed = makePeerRoom(peer, version, { join_rule: 'invite' });
    hostRoom(peer, failed, 'join', {
      onEvent: async () => void ok(await sendTransaction(peer, server, [failed.add(message(failed.creator, 'lost'))])),
    });
    assertError(await enter(server, alice, failed.roomId, [peer.name]), 502, 'M_UNKNOWN');
    ok(await sendTransaction(peer, server, [room.add(message(room.creator, 'afterwards'))]));
    await hears(alice, room.roomId, 'afterwards');
    assert.deepEqual(await bodies(alice, failed.roomId), []);
  }
  await isSound(server);
});

onEachEngine('a server that is killed while it is coming into a room comes into it later', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  takeTransactions(peer);
  const alice = await server.register('alice');
  const room = makePeerRoom(peer, '11');
  let isKilled = false;
  hostRoom(peer, room, 'join', {
    onEvent: async () => {
      ok(await sendTransaction(peer, server, [room.add(message(room.creator, isKilled ? 'in time' : 'too early'))]));
      if (isKilled) return;
      isKilled = true;
      await server.kill();
    },
  });
  await assert.rejects(enter(server, alice, room.roomId, [peer.name]));
  await server.start();
  assert.deepEqual(ok(await alice.get('/joined_rooms'))['joined_rooms'], []);
  ok(await enter(server, alice, room.roomId, [peer.name]));
  await hears(alice, room.roomId, 'in time');
  assert.equal(await membershipOf(alice, room.roomId, alice.userId), 'join');
  await isSound(server);
});

onEachEngine('an invite of another server is taken up by way of it, or declined there', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  takeTransactions(peer);
  const alice = await server.register('alice');
  for (const version of ['6', '11', '12']) {
    const room = makePeerRoom(peer, version, { join_rule: 'invite' });
    await invite(peer, server, room, alice.userId);
    hostRoom(peer, room);
    assert.ok((await sync(alice)).rooms?.invite?.[room.roomId] !== undefined);
    ok(await alice.post(`/rooms/${enc(room.roomId)}/join`));
    assert.deepEqual(await contentOf(alice, room.roomId, 'm.room.name'), { name: 'There' });
    const { rooms } = await sync(alice);
    assert.ok(rooms?.join?.[room.roomId] !== undefined && rooms.invite?.[room.roomId] === undefined);
    const { events } = rooms.join[room.roomId]!['timeline'] as { events: Json[] };
    assert.deepEqual((events.at(-1)?.['unsigned'] as Json | undefined)?.['prev_content'], { membership: 'invite' });
    const second = makePeerRoom(peer, version, { join_rule: 'invite' });
    await invite(peer, server, second, alice.userId);
    const left: JsonObject[] = [];
    hostRoom(peer, second, 'leave', { onEvent: (event) => void left.push(event), isOld: version === '6' });
    const { next_batch: since } = await sync(alice);
    ok(await alice.post(`/rooms/${enc(second.roomId)}/leave`, { reason: 'no' }));
    assert.deepEqual(
      left.map(({ content, state_key: stateKey }) => [content, stateKey]),
      [[{ membership: 'leave', reason: 'no' }, alice.userId]],
    );
    assert.ok((await sync(alice, since)).rooms?.leave?.[second.roomId] !== undefined);
    assert.equal((await sync(alice)).rooms?.invite?.[second.roomId], undefined);
    await invite(peer, server, second, alice.userId);
    assert.ok((await sync(alice)).rooms?.invite?.[second.roomId] !== undefined, 'invited again');
  }
  await isSound(server);
});

onEachEngine('a user leaves although nobody answers, and the others are told when they do', async (start) => {
  await using server = await startPeer({ settings: { federation: { destination_min_retry_interval: '1s' } } }, start);
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const [refusing, failing] = [makePeerRoom(peer, '1'), makePeerRoom(peer, '12')];
  for (const room of [refusing, failing]) await invite(peer, server, room, alice.userId);
  hostRoom(peer, refusing, 'leave', { template: () => refusal(403, 'M_FORBIDDEN') });
  hostRoom(peer, failing, 'leave', { template: () => refusal(503, 'M_UNKNOWN') });
  const { next_batch: since } = await sync(alice);
  for (const room of [refusing, failing]) ok(await alice.post(`/rooms/${enc(room.roomId)}/leave`));
  const { rooms } = await sync(alice, since);
  assert.deepEqual(Object.keys(rooms?.leave ?? {}).sort(), [refusing.roomId, failing.roomId].sort());
  await server.stop();
  const left = new Set<unknown>();
  hostRoom(peer, failing, 'leave', { onEvent: ({ room_id: roomId }) => void left.add(roomId) });
  await server.start();
  await until('they are told', async () => left.has(failing.roomId));
  assert.equal((await sync(alice)).rooms?.invite, undefined);
  assert.equal(
    peer.asked.filter((each) => each.includes(`/v1/make_leave/${enc(refusing.roomId)}/`)).length,
    1,
    'who does not want to know is left alone',
  );
  await isSound(server);
});

test('a user who leaves waits for no server that does not answer', async () => {
  await using server = await startPeer();
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const room = makePeerRoom(peer, '11', { join_rule: 'invite' });
  await invite(peer, server, room, alice.userId);
  peer.on(`/_matrix/federation/v1/make_leave/${enc(room.roomId)}/`, () => undefined);
  ok(await alice.post(`/rooms/${enc(room.roomId)}/leave`));
  assert.equal((await sync(alice)).rooms?.invite, undefined);
});

test('joins of other servers are limited, in number and in size, and closed to guests', async () => {
  await using peer = await startScriptedPeer();
  takeTransactions(peer);
  const remote = { per_second: 0.001, burst_count: 2 };
  const limit_remote_rooms = { enabled: true, complexity: 1, complexity_error: 'Too large for us' };
  await using server = await startPeer({
    settings: { rc_joins: { local: { per_second: 1000, burst_count: 1000 }, remote }, limit_remote_rooms, allow_guest_access: true },
  });
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const tells = (room: PeerRoom, v1: unknown): void =>
    peer.on(`/_matrix/federation/unstable/rooms/${enc(room.roomId)}/complexity`, json({ v1 }));
  const [small, large, silent] = [makePeerRoom(peer, '11'), makePeerRoom(peer, '11'), makePeerRoom(peer, '11')];
  for (const room of [small, large, silent]) hostRoom(peer, room);
  tells(small, 0.5);
  tells(large, 1.5);
  ok(await enter(server, alice, small.roomId, [peer.name]));
  assertError(await enter(server, alice, large.roomId, [peer.name]), 400, 'M_RESOURCE_LIMIT_EXCEEDED');
  assert.equal(asked(peer, 'make_join'), 1);
  assertError(await enter(server, alice, silent.roomId, [peer.name]), 429, 'M_LIMIT_EXCEEDED');
  ok(await enter(server, bob, small.roomId));
  for (let each = 0; each < 600; each += 1) silent.add(stateEvent(silent.creator, 'org.test', String(each), {}));
  assertError(await enter(server, bob, silent.roomId, [peer.name]), 400, 'M_RESOURCE_LIMIT_EXCEEDED');
  assert.deepEqual(ok(await bob.get('/joined_rooms'))['joined_rooms'], [small.roomId], 'it was found to be too large and left');
  const guest = ok(await server.anybody.post<{ access_token: string }>('/register?kind=guest', {}));
  const another = makePeerRoom(peer, '11');
  hostRoom(peer, another);
  assertError(await enter(server, { ...alice, accessToken: guest.access_token }, another.roomId, [peer.name]), 403, 'M_FORBIDDEN');
});

test('other servers are told how large a public room is', async () => {
  await using server = await startPeer();
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const complexity = async (roomId: string): Promise<Reply<Json>> =>
    peer.ask(server, 'GET', `/_matrix/federation/unstable/rooms/${enc(roomId)}/complexity`);
  const roomId = await createRoom(alice);
  const { v1 } = ok(await complexity(roomId));
  assert.equal(v1, 0.01);
  for (let each = 0; each < 10; each += 1) ok(await alice.put(`/rooms/${enc(roomId)}/state/org.test/${String(each)}`, {}));
  assert.equal(ok(await complexity(roomId))['v1'], 0.03);
  assertError(await complexity(await createRoom(alice, { preset: 'private_chat' })), 404, 'M_NOT_FOUND');
  assertError(await complexity('!none:nowhere.invalid'), 404, 'M_NOT_FOUND');
});

test('only servers on the whitelist are asked', async () => {
  await using peer = await startScriptedPeer();
  await using server = await startPeer({ settings: { federation_domain_whitelist: ['elsewhere.invalid'] } });
  const alice = await server.register('alice');
  const room = makePeerRoom(peer, '11');
  hostRoom(peer, room);
  assertError(await enter(server, alice, room.roomId, [peer.name]), 403, 'M_FORBIDDEN');
  assertError(await alice.post(`/rooms/${enc(await createRoom(alice))}/invite`, { user_id: room.creator }), 403, 'M_FORBIDDEN');
  assert.deepEqual(peer.asked, []);
});

/** Takes invites of a homeserver in the way that a test wants, signed by the scripted server unless it says otherwise. */
const takeInvites = (
  peer: ScriptedPeer,
  room: { roomId: string; version: string },
  {
    respond = (signed) => ({ event: signed }),
    onInvite = () => undefined,
    version = 'v2',
  }: {
    respond?: (signed: JsonObject) => Json;
    onInvite?: (content: JsonObject) => Promise<void> | void;
    version?: 'v1' | 'v2';
  } = {},
): void => {
  peer.on(`/_matrix/federation/${version}/invite/${enc(room.roomId)}/`, (request, response) => {
    const take = async (): Promise<void> => {
      const content = JSON.parse(await text(request)) as JsonObject;
      await onInvite(content);
      const { unsigned: _, ...event } = (version === 'v1' ? content : content['event']) as JsonObject;
      const answer = respond(signEvent(event as never, peer.name, peer.key, roomVersion(room.version)));
      if (typeof answer['errcode'] === 'string') json(answer, answer['status'] as number)(request, response);
      else json(version === 'v1' ? [200, answer] : answer)(request, response);
    };
    take().catch((error: unknown) => response.destroy(error as Error));
  });
};

onEachEngine('users of other servers are invited once their server has signed it', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  const sent = takeTransactions(peer);
  const alice = await server.register('alice');
  const bob = `@bob:${peer.name}`;
  for (const version of ['1', '6', '10', '12']) {
    const roomId = await createRoom(alice, { preset: 'private_chat', room_version: version, name: 'Here' });
    let told: JsonObject = {};
    takeInvites(
      peer,
      { roomId, version },
      {
        version: version === '1' ? 'v1' : 'v2',
        onInvite: async (content) => {
          told = content;
          assert.equal(await membershipOf(alice, roomId, bob), undefined, 'not before it is signed');
        },
      },
    );
    ok(await alice.post(`/rooms/${enc(roomId)}/invite`, { user_id: bob, reason: 'come' }));
    const event = (version === '1' ? told : told['event']) as JsonObject;
    assert.deepEqual([event['type'], event['state_key'], event['sender']], ['m.room.member', bob, alice.userId]);
    assert.deepEqual(event['content'], { membership: 'invite', reason: 'come' });
    const state = (version === '1' ? (event['unsigned'] as Json)['invite_room_state'] : told['invite_room_state']) as JsonObject[];
    const types = state.map((pdu) => parsePdu(pdu, roomVersion(version)).pdu.type).sort();
    assert.deepEqual(types, ['m.room.create', 'm.room.join_rules', 'm.room.member', 'm.room.name']);
    if (version !== '1') assert.equal(told['room_version'], version);
    assert.equal(await membershipOf(alice, roomId, bob), 'invite');
    const before = asked(peer, 'invite');
    ok(await alice.post(`/rooms/${enc(roomId)}/invite`, { user_id: bob, reason: 'come' }));
    assert.equal(asked(peer, 'invite'), before, 'who is invited is not invited again');
    ok(await alice.post(`/rooms/${enc(roomId)}/kick`, { user_id: bob }));
    const kicks = (): JsonObject[] => sent.taken().flatMap(({ pdus }) => pdus as unknown as JsonObject[]);
    await untilTrue('it is taken back', () =>
      kicks().some(
        ({ state_key: target, content, room_id: room }) => room === roomId && target === bob && (content as Json)['membership'] === 'leave',
      ),
    );
  }
  await isSound(server);
});

test('an invite that its server does not sign is not in the room', async () => {
  await using server = await startPeer();
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const bob = `@bob:${peer.name}`;
  const version = '11';
  const roomId = await createRoom(alice, { room_version: version });
  const fails = async (user: string, status: number, errcode: string): Promise<void> => {
    const reply = await server.pool.request({
      method: 'POST',
      path: `/_matrix/client/v3/rooms/${enc(roomId)}/invite`,
      headers: { authorization: `Bearer ${alice.accessToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ user_id: user }),
    });
    assertError({ status: reply.statusCode, body: await reply.body.json() }, status, errcode);
    assert.equal(await membershipOf(alice, roomId, user), undefined);
  };
  const says = (respond: (signed: JsonObject) => Json): void => takeInvites(peer, { roomId, version }, { respond });
  await fails(bob, 400, 'M_UNSUPPORTED_ROOM_VERSION');
  says(() => ({ status: 403, errcode: 'M_FORBIDDEN', error: 'no' }));
  await fails(bob, 403, 'M_FORBIDDEN');
  says(() => ({ status: 400, errcode: 'M_INVALID_PARAM', error: 'what?' }));
  await fails(bob, 400, 'M_UNKNOWN');
  says(() => ({ status: 500, errcode: 'M_UNKNOWN', error: 'oh' }));
  await fails(bob, 502, 'M_UNKNOWN');
  says(() => ({}));
  await fails(bob, 502, 'M_UNKNOWN');
  says((signed) => ({ event: { ...signed, signatures: {} } }));
  await fails(bob, 502, 'M_UNKNOWN');
  const forger = signingKeyFromSeed(peer.key.keyId, Buffer.alloc(32, 9));
  says((signed) => ({ event: signEvent({ ...signed, signatures: {} } as never, peer.name, forger, roomVersion(version)) }));
  await fails(bob, 502, 'M_UNKNOWN');
  await fails('@carl:localhost:1', 502, 'M_UNKNOWN');
  // What else the other server writes into the event is not taken over.
  says((signed) => ({ event: { ...signed, content: { membership: 'join' } } }));
  ok(await alice.post(`/rooms/${enc(roomId)}/invite`, { user_id: bob }));
  assert.deepEqual(await contentOf(alice, roomId, 'm.room.member', bob), { membership: 'invite' });
});

onEachEngine('a room is made with users of other servers invited, as far as these take it', async (start) => {
  await using server = await startPeer({}, start);
  await using other = await startPeer();
  const [alice, bob] = [await server.register('alice'), await other.register('bob')];
  const body = { invite: [bob.userId, '@carl:localhost:1'], is_direct: true, preset: 'trusted_private_chat' };
  const roomId = await createRoom(alice, body);
  assert.equal(await membershipOf(alice, roomId, bob.userId), 'invite');
  assert.equal(await membershipOf(alice, roomId, '@carl:localhost:1'), undefined);
  const shown = (await sync(bob)).rooms?.invite?.[roomId]?.['invite_state'] as { events: Json[] };
  assert.deepEqual(shown.events.at(-1)?.['content'], { is_direct: true, membership: 'invite' });
  ok(await bob.post(`/rooms/${enc(roomId)}/join`));
  await say(bob, roomId, 'thanks');
  await hears(alice, roomId, 'thanks');
  const second = await createRoom(alice, { invite: [bob.userId] });
  ok(await bob.post(`/rooms/${enc(second)}/leave`));
  await until('it is declined', async () => (await membershipOf(alice, second, bob.userId)) === 'leave');
  ok(await alice.post(`/rooms/${enc(second)}/invite`, { user_id: bob.userId }));
  ok(await bob.post(`/rooms/${enc(second)}/join`));
  ok(await alice.post(`/rooms/${enc(second)}/ban`, { user_id: bob.userId }));
  await until('he is banned', async () => !(ok(await bob.get('/joined_rooms'))['joined_rooms'] as string[]).includes(second));
  assertError(await enter(other, bob, second, [server.name]), 403, 'M_FORBIDDEN');
});

onEachEngine('a user knocks on a room of another server, is told what room it is, and takes it back', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  for (const version of ['7', '11', '12']) {
    const room = makePeerRoom(peer, version, { join_rule: 'knock' });
    const knocks: JsonObject[] = [];
    hostRoom(peer, room, 'knock', { onEvent: (event) => void knocks.push(event) });
    const { next_batch: since } = await sync(alice);
    ok(await enter(server, alice, room.roomId, [peer.name], { step: 'knock', body: { reason: 'please' } }));
    assert.deepEqual(knocks[0]?.['content'], { membership: 'knock', displayname: 'alice', reason: 'please' });
    const shown = (await sync(alice, since)).rooms?.knock?.[room.roomId]?.['knock_state'] as { events: Json[] };
    assert.deepEqual(shown.events.find(({ type }) => type === 'm.room.name')?.['content'], { name: 'There' });
    assert.equal(shown.events.at(-1)?.['state_key'], alice.userId);
    const left: JsonObject[] = [];
    hostRoom(peer, room, 'leave', { onEvent: (event) => void left.push(event) });
    ok(await alice.post(`/rooms/${enc(room.roomId)}/leave`));
    assert.deepEqual(left[0]?.['content'], { membership: 'leave' });
    assert.equal((await sync(alice)).rooms?.knock, undefined);
    ok(await enter(server, alice, room.roomId, [peer.name], { step: 'knock' }));
    await invite(peer, server, room, alice.userId);
    assert.ok((await sync(alice)).rooms?.invite?.[room.roomId] !== undefined);
    hostRoom(peer, room);
    ok(await alice.post(`/rooms/${enc(room.roomId)}/join`));
    ok(await alice.post(`/rooms/${enc(room.roomId)}/leave`));
  }
  const refused = makePeerRoom(peer, '11', { join_rule: 'knock' });
  hostRoom(peer, refused, 'knock');
  ok(await enter(server, alice, refused.roomId, [peer.name], { step: 'knock' }));
  const { next_batch: since } = await sync(alice);
  const unseen = refused.add(member(refused.creator, alice.userId, 'leave'), {
    authEvents: refused.events.slice(0, 3).map((each) => each.eventId),
  });
  ok(await sendTransaction(peer, server, [unseen]));
  assert.ok((await sync(alice)).rooms?.knock?.[refused.roomId] !== undefined, 'by who has not seen it');
  refused.take(refused.events.find(({ pdu }) => pdu.content['membership'] === 'knock')!);
  ok(await sendTransaction(peer, server, [refused.add(member(refused.creator, alice.userId, 'leave'))]));
  const { rooms } = await sync(alice, since);
  assert.ok(rooms?.leave?.[refused.roomId] !== undefined && rooms.knock?.[refused.roomId] === undefined);
  const closed = makePeerRoom(peer, '6');
  hostRoom(peer, closed, 'knock');
  assertError(await enter(server, alice, closed.roomId, [peer.name], { step: 'knock' }), 403, 'M_FORBIDDEN');
  assertError(await enter(server, alice, `!none:${server.name}`, [], { step: 'knock' }), 404, 'M_NOT_FOUND');
  await isSound(server);
});

/** A room that the members of another may join, into which only those of the creator's level may invite. */
const restrictedTo = (allowed: string, version: string): Json => ({
  preset: 'private_chat',
  room_version: version,
  power_level_content_override: { invite: 50 },
  initial_state: [
    {
      type: 'm.room.join_rules',
      state_key: '',
      content: { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: allowed }] },
    },
  ],
});

/** Joins by a restricted rule, the first of a server and a later one, whom nobody here may let in either. */
const joinRestricted = async (
  here: Server,
  there: Server,
  [alice, ann]: readonly [Person, Person],
  bob: Person,
  version: string,
): Promise<void> => {
  const space = await createRoom(bob, { room_version: version });
  const roomId = await createRoom(bob, restrictedTo(space, version));
  assertError(await enter(here, alice, roomId, [there.name]), 403, 'M_FORBIDDEN');
  for (const each of [alice, ann]) {
    ok(await enter(here, each, space, [there.name]));
    await until('the space is entered', async () => (await membershipOf(bob, space, each.userId)) === 'join');
  }
  for (const each of [alice, ann]) {
    ok(await enter(here, each, roomId, [there.name]));
    const { join_authorised_via_users_server: authoriser } = (await contentOf(each, roomId, 'm.room.member', each.userId)) ?? {};
    assert.equal(authoriser, bob.userId);
    await say(each, roomId, `from ${each.userId}`);
    await hears(bob, roomId, `from ${each.userId}`);
  }
  await say(bob, roomId, 'welcome');
  await hears(ann, roomId, 'welcome');
};

onEachEngine('users join by a restricted rule by way of the server whose users may let them in', async (start) => {
  await using here = await startPeer({}, start);
  await using there = await startPeer();
  const people = [await here.register('alice'), await here.register('ann')] as const;
  const bob = await there.register('bob');
  for (const version of ['8', '11', '12']) await joinRestricted(here, there, people, bob, version);
  await isSound(here);
});

test('a join by a restricted rule counts only with the signature of the server that lets in', async () => {
  await using server = await startPeer();
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const at = (signatures: (right: Json) => unknown): PeerRoom => {
    const room = makePeerRoom(peer, '11', { join_rule: 'restricted', allow: [] });
    const content = { membership: 'join', join_authorised_via_users_server: room.creator, displayname: 'not taken over' };
    hostRoom(peer, room, 'join', {
      template: (right) => {
        const template = room.template(stateEvent(alice.userId, 'm.room.member', alice.userId, content));
        return { ...right, event: template };
      },
      answer: (right, event) => {
        const signed = signEvent(event as never, peer.name, peer.key, roomVersion('11')) as Json;
        return { ...right, event: { ...signed, signatures: signatures(signed['signatures'] as Json) } };
      },
    });
    return room;
  };
  const unsigned = at((right) => ({ [server.name]: right[server.name] }));
  await joinFails(server, alice, unsigned.roomId, [peer.name], 502, 'M_UNKNOWN');
  const forged = at((right) => ({ ...right, [peer.name]: { [peer.key.keyId]: 'A'.repeat(86) } }));
  await joinFails(server, alice, forged.roomId, [peer.name], 502, 'M_UNKNOWN');
  const right = at((signatures) => signatures);
  ok(await enter(server, alice, right.roomId, [peer.name]));
  assert.deepEqual(await contentOf(alice, right.roomId, 'm.room.member', alice.userId), {
    membership: 'join',
    displayname: 'alice',
    join_authorised_via_users_server: right.creator,
  });
});

/** Two people talk. */
const talk = async (one: Person, other: Person, roomId: string, about: string): Promise<void> => {
  await say(one, roomId, `${about} 1`);
  await hears(other, roomId, `${about} 1`);
  await say(other, roomId, `${about} 2`);
  await hears(one, roomId, `${about} 2`);
};

const joinedBy = async (person: Person): Promise<readonly string[]> => ok(await person.get('/joined_rooms'))['joined_rooms'] as string[];

for (const version of ['6', '10', '11', '12'])
  test(
    `users of Myelin and of real Synapse come into each other's rooms of version ${version}`,
    { skip: hasSynapse ? false : NO_SYNAPSE },
    async () => {
      await using here = await startPeer();
      await using there = await startPeer({ program: 'synapse' });
      const [alice, ann, bob] = [await here.register('alice'), await here.register('ann'), await there.register('bob')];
      // By alias, there and here.
      const theirs = await createRoom(bob, { room_version: version, room_alias_name: 'theirs', name: 'Theirs' });
      ok(await enter(here, alice, `#theirs:${there.name}`));
      assert.deepEqual(await contentOf(alice, theirs, 'm.room.name'), { name: 'Theirs' });
      await talk(alice, bob, theirs, 'by alias there');
      ok(await ann.post(`/join/${enc(theirs)}`));
      await talk(bob, ann, theirs, 'the second');
      const ours = await createRoom(alice, { room_version: version, room_alias_name: 'ours' });
      ok(await enter(there, bob, `#ours:${here.name}`));
      await talk(bob, alice, ours, 'by alias here');
      // By invite, from there and from here.
      const invited = await createRoom(bob, { room_version: version, preset: 'private_chat', name: 'Private' });
      ok(await bob.post(`/rooms/${enc(invited)}/invite`, { user_id: alice.userId }));
      assert.ok((await sync(alice)).rooms?.invite?.[invited] !== undefined);
      ok(await alice.post(`/rooms/${enc(invited)}/join`));
      await talk(alice, bob, invited, 'by invite there');
      const inviting = await createRoom(alice, { room_version: version, preset: 'private_chat', invite: [bob.userId] });
      await until('the invite is shown', async () => (await sync(bob)).rooms?.invite?.[inviting] !== undefined);
      ok(await bob.post(`/rooms/${enc(inviting)}/join`));
      await talk(bob, alice, inviting, 'by invite here');
      // Leaving, declining, and coming back.
      ok(await alice.post(`/rooms/${enc(invited)}/leave`));
      await until('she has left', async () => (await membershipOf(bob, invited, alice.userId)) === 'leave');
      ok(await bob.post(`/rooms/${enc(invited)}/invite`, { user_id: alice.userId }));
      await until('she is invited again', async () => (await sync(alice)).rooms?.invite?.[invited] !== undefined);
      ok(await alice.post(`/rooms/${enc(invited)}/leave`));
      await until('she has declined', async () => (await membershipOf(bob, invited, alice.userId)) === 'leave');
      ok(await bob.post(`/rooms/${enc(invited)}/invite`, { user_id: alice.userId }));
      await until('she is invited once more', async () => (await sync(alice)).rooms?.invite?.[invited] !== undefined);
      ok(await bob.post(`/rooms/${enc(invited)}/kick`, { user_id: alice.userId }));
      await until('it is taken back', async () => (await sync(alice)).rooms?.invite?.[invited] === undefined);
      for (const each of [alice, ann]) ok(await each.post(`/rooms/${enc(theirs)}/leave`));
      await until('both have left', async () => (await membershipOf(bob, theirs, ann.userId)) === 'leave');
      ok(await bob.put(`/rooms/${enc(theirs)}/state/m.room.name`, { name: 'Renamed' }));
      ok(await enter(here, ann, theirs, [there.name]));
      assert.deepEqual(await contentOf(ann, theirs, 'm.room.name'), { name: 'Renamed' });
      await talk(ann, bob, theirs, 'back again');
      // A ban, in both directions.
      ok(await bob.post(`/rooms/${enc(theirs)}/ban`, { user_id: ann.userId }));
      await until('she is banned', async () => !(await joinedBy(ann)).includes(theirs));
      assertError(await enter(here, ann, theirs, [there.name]), 403, 'M_FORBIDDEN');
      ok(await alice.post(`/rooms/${enc(ours)}/ban`, { user_id: bob.userId }));
      await until('he is banned', async () => !(await joinedBy(bob)).includes(ours));
      if (version !== '6') {
        await joinRestricted(here, there, [alice, ann], bob, version);
        await knockThere(here, there, alice, bob, version);
      }
    },
  );

/** Knocks on a room of real Synapse: taken back, in vain, and answered by an invite. */
const knockThere = async (here: Server, there: Server, alice: Person, bob: Person, version: string): Promise<void> => {
  const rules = [{ type: 'm.room.join_rules', state_key: '', content: { join_rule: 'knock' } }];
  const door = await createRoom(bob, { room_version: version, preset: 'private_chat', initial_state: rules, name: 'Door' });
  const knocks = async (): Promise<void> => {
    ok(await enter(here, alice, door, [there.name], { step: 'knock' }));
    assert.equal(await membershipOf(bob, door, alice.userId), 'knock');
    const shown = (await sync(alice)).rooms?.knock?.[door]?.['knock_state'] as { events: Json[] };
    assert.deepEqual(shown.events.find(({ type }) => type === 'm.room.name')?.['content'], { name: 'Door' });
  };
  await knocks();
  ok(await alice.post(`/rooms/${enc(door)}/leave`));
  assert.equal(await membershipOf(bob, door, alice.userId), 'leave');
  await knocks();
  ok(await bob.post(`/rooms/${enc(door)}/kick`, { user_id: alice.userId }));
  // Real Synapse does not tell the server of who knocked that it was in vain.
  await knocks();
  ok(await bob.post(`/rooms/${enc(door)}/invite`, { user_id: alice.userId }));
  await until('she is invited', async () => (await sync(alice)).rooms?.invite?.[door] !== undefined);
  ok(await alice.post(`/rooms/${enc(door)}/join`));
  await talk(alice, bob, door, 'behind the door');
};
