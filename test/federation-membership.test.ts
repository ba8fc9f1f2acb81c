// Users of one server in rooms of another: joining, inviting, knocking and leaving, with real Synapse and with a server that breaks the rules.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '#src/protocol/json.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import { parsePdu } from '#src/protocol/events.ts';
import { signingKeyFromSeed, verifyJson } from '#src/protocol/signatures.ts';
import { assertError, ok, type Json, type Person, type Reply } from '#test/support/client.ts';
import { onEachEngine } from '#test/support/engines.ts';
import { startPeer } from '#test/support/federation.ts';
import { member, state as stateEvent } from '#test/support/new-events.ts';
import { makePeerRoom, type PeerRoom } from '#test/support/peer-room.ts';
import { askTemplate, complete, sendStep, takeStep } from '#test/support/remote-user.ts';
import { startScriptedPeer, type ScriptedPeer } from '#test/support/scripted-peer.ts';
import { hasSynapse, NO_SYNAPSE, type Server } from '#test/support/server.ts';

const VERSIONS = ['6', '10', '11', '12'];

const enc = encodeURIComponent;

const createRoom = async (creator: Person, settings: Json = {}): Promise<string> =>
  ok(await creator.post<{ room_id: string }>('/createRoom', { preset: 'public_chat', ...settings })).room_id;

const membershipOf = async (reader: Person, roomId: string, userId: string): Promise<unknown> => {
  const { status, body } = await reader.get(`/rooms/${enc(roomId)}/state/m.room.member/${enc(userId)}`);
  return status === 200 ? body['membership'] : undefined;
};

const typesOf = (events: unknown): string[] => (events as { type: string }[]).map(({ type }) => type).sort();

/** A room that the members of another may join. */
const restrictedTo = (allowed: string, version: string): Json => ({
  preset: 'private_chat',
  room_version: version,
  initial_state: [
    {
      type: 'm.room.join_rules',
      state_key: '',
      content: { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: allowed }] },
    },
  ],
});

for (const version of VERSIONS) {
  onEachEngine(`a user of another server joins and leaves a room of version ${version}`, async (start) => {
    await using server = await startPeer({}, start);
    await using peer = await startScriptedPeer();
    const alice = await server.register('alice');
    const roomId = await createRoom(alice, { room_version: version, name: 'Here' });
    const bob = `@bob:${peer.name}`;
    const { event, answer } = await takeStep(peer, server, 'join', roomId, bob);
    const { state, auth_chain: authChain, event: echoed, members_omitted: omitted } = ok(answer);
    assert.equal(omitted, false);
    assert.deepEqual(echoed, JSON.parse(event.json));
    assert.deepEqual(
      typesOf(state),
      ['m.room.create', 'm.room.history_visibility', 'm.room.join_rules', 'm.room.member', 'm.room.name']
        .concat('m.room.power_levels')
        .sort(),
    );
    const known = new Set(
      [...(state as JsonObject[]), ...(authChain as JsonObject[])].map((pdu) => parsePdu(pdu, roomVersion(version)).eventId),
    );
    for (const pdu of [...(state as JsonObject[]), ...(authChain as JsonObject[]), JSON.parse(event.json) as JsonObject])
      for (const id of pdu['auth_events'] as string[]) assert.ok(known.has(id), 'all that authorises is there');
    assert.equal(await membershipOf(alice, roomId, bob), 'join');
    const again = await sendStep(peer, server, 'join', roomId, event);
    assert.deepEqual(ok(again), ok(answer), 'the same again is answered as before');
    const said = ok(
      await alice.put<{ event_id: string }>(`/rooms/${enc(roomId)}/send/m.room.message/1`, { msgtype: 'm.text', body: 'hi' }),
    );
    const read = ok(await peer.ask(server, 'GET', `/_matrix/federation/v1/event/${enc(said.event_id)}`));
    assert.equal((read['pdus'] as { type: string }[])[0]?.type, 'm.room.message', 'the server is in the room now');
    const left = complete(peer, ok(await askTemplate(peer, server, 'leave', roomId, bob)));
    assert.deepEqual(await sendStep(peer, server, 'leave', roomId, left, { version: 'v1' }), { status: 200, body: [200, {}] });
    assert.equal(await membershipOf(alice, roomId, bob), 'leave');
  });
}

test('a server that can do with less is told less, with the members by whom a room without a name is known', async () => {
  await using server = await startPeer();
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const carl = await server.register('carl');
  for (const name of [undefined, 'Here']) {
    const roomId = await createRoom(alice, name === undefined ? {} : { name });
    ok(await carl.post(`/join/${enc(roomId)}`));
    const event = complete(peer, ok(await askTemplate(peer, server, 'join', roomId, `@bob:${peer.name}`)));
    const less = ok(await sendStep(peer, server, 'join', roomId, event, { query: '?omit_members=true' }));
    assert.equal(less['members_omitted'], true);
    assert.deepEqual(less['servers_in_room'], [server.name]);
    const members = (less['state'] as { type: string; state_key: string }[]).filter(({ type }) => type === 'm.room.member');
    assert.deepEqual(members.map((each) => each.state_key).sort(), name === undefined ? [alice.userId, carl.userId].sort() : []);
    const told = new Set((less['state'] as JsonObject[]).map((pdu) => JSON.stringify(pdu)));
    for (const pdu of less['auth_chain'] as JsonObject[]) assert.ok(!told.has(JSON.stringify(pdu)));
    const [status, whole] = (await sendStep(peer, server, 'join', roomId, event, { version: 'v1' })).body as unknown as [number, Json];
    assert.equal(status, 200);
    assert.equal((whole['state'] as unknown[]).length, told.size + (name === undefined ? 0 : 2));
  }
});

onEachEngine('a join by a restricted rule is signed by the server whose user lets in, or refused by name', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const [bob, eve] = [`@bob:${peer.name}`, `@eve:${peer.name}`];
  for (const version of ['8', '10', '12']) {
    const space = await createRoom(alice, { room_version: version });
    const roomId = await createRoom(alice, restrictedTo(space, version));
    assertError(await askTemplate(peer, server, 'join', roomId, eve), 403, 'M_FORBIDDEN');
    ok((await takeStep(peer, server, 'join', space, bob)).answer);
    const template = ok(await askTemplate(peer, server, 'join', roomId, bob));
    assert.deepEqual((template['event'] as Json)['content'], { membership: 'join', join_authorised_via_users_server: alice.userId });
    const joined = complete(peer, template);
    const forged = complete(peer, template, { content: { membership: 'join', join_authorised_via_users_server: `@x:${peer.name}` } });
    assertError(await sendStep(peer, server, 'join', roomId, forged), 400, 'M_INVALID_PARAM');
    const outsider = complete(peer, template, { sender: eve, state_key: eve });
    assertError(await sendStep(peer, server, 'join', roomId, outsider), 403, 'M_FORBIDDEN');
    const { event } = ok(await sendStep(peer, server, 'join', roomId, joined)) as { event: JsonObject };
    assert.deepEqual(Object.keys(event['signatures'] as JsonObject).sort(), [server.name, peer.name].sort());
    assert.equal(await membershipOf(alice, roomId, bob), 'join');
  }
  const elsewhere = await createRoom(alice, restrictedTo(`!elsewhere:${peer.name}`, '10'));
  assertError(await askTemplate(peer, server, 'join', elsewhere, bob), 400, 'M_UNABLE_TO_AUTHORISE_JOIN');
  const space = await createRoom(alice);
  ok((await takeStep(peer, server, 'join', space, bob)).answer);
  const closed = await createRoom(alice, { ...restrictedTo(space, '10'), power_level_content_override: { invite: 101 } });
  assertError(await askTemplate(peer, server, 'join', closed, bob), 400, 'M_UNABLE_TO_GRANT_JOIN');
});

onEachEngine('a user of another server knocks, and is told what room it is', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const knockable = { initial_state: [{ type: 'm.room.join_rules', state_key: '', content: { join_rule: 'knock' } }] };
  const roomId = await createRoom(alice, { ...knockable, preset: 'private_chat', name: 'Knock here' });
  const bob = `@bob:${peer.name}`;
  const { answer } = await takeStep(peer, server, 'knock', roomId, bob);
  assert.deepEqual(typesOf(ok(answer)['knock_room_state']), ['m.room.create', 'm.room.join_rules', 'm.room.name']);
  assert.equal(await membershipOf(alice, roomId, bob), 'knock');
  ok((await takeStep(peer, server, 'leave', roomId, bob)).answer);
  assert.equal(await membershipOf(alice, roomId, bob), 'leave');
  const old = await createRoom(alice, { room_version: '6' });
  assertError(await askTemplate(peer, server, 'knock', old, bob), 403, 'M_FORBIDDEN');
  assertError(await askTemplate(peer, server, 'knock', await createRoom(alice), bob), 403, 'M_FORBIDDEN');
});

const refusedTemplates = async (server: Server, peer: ScriptedPeer, alice: Person): Promise<void> => {
  const bob = `@bob:${peer.name}`;
  const open = await createRoom(alice);
  assertError(await askTemplate(peer, server, 'join', '!none:nowhere.test', bob), 404, 'M_NOT_FOUND');
  assertError(await askTemplate(peer, server, 'join', open, '@bob:elsewhere.test'), 403, 'M_FORBIDDEN');
  const incompatible = await askTemplate(peer, server, 'join', open, bob, 'ver=1&ver=2');
  assertError(incompatible, 400, 'M_INCOMPATIBLE_ROOM_VERSION');
  assert.ok(typeof incompatible.body['room_version'] === 'string');
  assertError(await askTemplate(peer, server, 'join', await createRoom(alice, { preset: 'private_chat' }), bob), 403, 'M_FORBIDDEN');
  await using outlaw = await startScriptedPeer('127.0.0.1');
  const carl = `@carl:${outlaw.name}`;
  const join = complete(outlaw, ok(await askTemplate(outlaw, server, 'join', open, carl)));
  const acl = { allow: ['*'], allow_ip_literals: false };
  ok(await alice.put(`/rooms/${enc(open)}/state/m.room.server_acl`, acl));
  assertError(await askTemplate(outlaw, server, 'join', open, carl), 403, 'M_FORBIDDEN');
  assertError(await sendStep(outlaw, server, 'join', open, join), 403, 'M_FORBIDDEN');
  ok(await askTemplate(peer, server, 'join', open, bob));
  const deserted = await createRoom(alice);
  ok(await alice.post(`/rooms/${enc(deserted)}/leave`));
  assertError(await askTemplate(peer, server, 'join', deserted, bob), 404, 'M_NOT_FOUND');
};

test('what is no membership event of the asking server, signed by it, changes nothing', async () => {
  await using server = await startPeer();
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  await refusedTemplates(server, peer, alice);
  const bob = `@bob:${peer.name}`;
  const roomId = await createRoom(alice);
  const template = ok(await askTemplate(peer, server, 'join', roomId, bob));
  const refused = async (changes: JsonObject, status = 400, errcode = 'M_INVALID_PARAM'): Promise<void> =>
    assertError(await sendStep(peer, server, 'join', roomId, complete(peer, template, changes)), status, errcode);
  await refused({ content: { membership: 'leave' } });
  await refused({ content: { membership: 'invite' } });
  await refused({ type: 'm.room.topic' });
  await refused({ sender: alice.userId, state_key: alice.userId });
  await refused({ state_key: `@carl:${peer.name}` });
  await refused({ room_id: '!other:elsewhere.test' }, 400, 'M_BAD_JSON');
  await refused({ prev_events: [`$${'A'.repeat(43)}`] }, 400, 'M_UNKNOWN');
  await refused({ auth_events: [] }, 403, 'M_FORBIDDEN');
  const other = signingKeyFromSeed(peer.key.keyId, Buffer.alloc(32, 9));
  const forged = complete({ ...peer, key: other }, template);
  assertError(await sendStep(peer, server, 'join', roomId, forged), 400, 'M_INVALID_PARAM');
  assert.equal(await membershipOf(alice, roomId, bob), undefined);
  ok(await sendStep(peer, server, 'join', roomId, complete(peer, template)));
  const late = complete(peer, ok(await askTemplate(peer, server, 'leave', roomId, bob)), { content: { membership: 'join' } });
  ok(await alice.post(`/rooms/${enc(roomId)}/ban`, { user_id: bob }));
  assertError(await sendStep(peer, server, 'join', roomId, late), 403, 'M_FORBIDDEN');
  assert.equal(await membershipOf(alice, roomId, bob), 'ban');
  assert.ok(verifyJson(peer.publication(), peer.name, () => peer.key) === 'valid');
});

/** Waits until something holds. */
const until = async <T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> => {
  for (let tries = 0; tries < 400; tries += 1) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await new Promise((resolve) => void setTimeout(resolve, 25));
  }
  throw new Error(`It did not come about that ${what}`);
};

interface Synced {
  readonly next_batch: string;
  readonly rooms?: {
    readonly join?: Readonly<Record<string, { readonly timeline: { readonly events: readonly Json[] } }>>;
    readonly invite?: Readonly<Record<string, { readonly invite_state: { readonly events: readonly Json[] } }>>;
    readonly knock?: Readonly<Record<string, { readonly knock_state: { readonly events: readonly Json[] } }>>;
    readonly leave?: Readonly<Record<string, { readonly timeline: { readonly events: readonly Json[] } }>>;
  };
}

const sync = async (reader: Person, since?: string, timeoutMs = 0): Promise<Synced> =>
  ok(await reader.get<Synced>(`/sync?timeout=${String(timeoutMs)}${since === undefined ? '' : `&since=${since}`}`));

/** Invites somebody into a room of the scripted server. */
const invite = async (
  peer: ScriptedPeer,
  server: Server,
  room: PeerRoom,
  { eventId, json, pdu }: { eventId: string; json: string; pdu: unknown },
  told: readonly unknown[] = room.state().map((event) => JSON.parse(event.json) as unknown),
): Promise<Reply<Json>> => {
  assert.ok(pdu);
  return peer.ask(server, 'PUT', `/_matrix/federation/v2/invite/${enc(room.roomId)}/${enc(eventId)}`, {
    content: { room_version: room.version, event: JSON.parse(json) as JsonObject, invite_room_state: told as JsonObject[] },
  });
};

for (const version of ['2', ...VERSIONS]) {
  onEachEngine(`a user is told of an invite into a room of version ${version} that this server is not in`, async (start) => {
    await using server = await startPeer({}, start);
    await using peer = await startScriptedPeer();
    const alice = await server.register('alice');
    const room = makePeerRoom(peer, version, { join_rule: 'invite' });
    const { next_batch: since } = await sync(alice);
    const waiting = sync(alice, since, 20_000);
    const event = room.add(stateEvent(room.creator, 'm.room.member', alice.userId, { membership: 'invite', displayname: 'Alice' }));
    const answer = ok(await invite(peer, server, room, event));
    const signed = answer['event'] as JsonObject;
    assert.deepEqual(Object.keys(signed['signatures'] as JsonObject).sort(), [peer.name, server.name].sort());
    assert.equal(parsePdu(signed, roomVersion(version)).eventId, event.eventId);
    const shown = (await waiting).rooms?.invite?.[room.roomId]?.invite_state.events ?? [];
    assert.deepEqual(shown.map((each) => [each['type'], each['sender']]).slice(0, 1), [['m.room.create', room.creator]]);
    assert.deepEqual(shown.find((each) => each['type'] === 'm.room.name')?.['content'], { name: 'There' });
    const own = shown.at(-1) as Json;
    assert.equal((own['content'] as Json)['membership'], 'invite');
    await server.stop();
    await server.start();
    const again = (await sync(alice)).rooms?.invite?.[room.roomId]?.invite_state.events;
    assert.deepEqual(
      again?.map((each) => each['type']),
      shown.map((each) => each['type']),
      'after a restart too',
    );
    assertError(await alice.get(`/rooms/${enc(room.roomId)}/state`), 403, 'M_FORBIDDEN');
    assert.deepEqual(ok(await alice.get('/joined_rooms'))['joined_rooms'], []);
    ok(await invite(peer, server, room, event));
    if (version !== '2') return;
    const other = makePeerRoom(peer, '1');
    const second = other.add(member(other.creator, alice.userId, 'invite'));
    const content = {
      ...(JSON.parse(second.json) as JsonObject),
      unsigned: { invite_room_state: [{ type: 'm.room.name', state_key: '' }] },
    };
    const [status] = (
      await peer.ask(server, 'PUT', `/_matrix/federation/v1/invite/${enc(other.roomId)}/${enc(second.eventId)}`, { content })
    ).body as unknown as [number, Json];
    assert.equal(status, 200);
    assert.equal((await sync(alice)).rooms?.invite?.[other.roomId]?.invite_state.events.length, 1, 'what is no event is not shown');
  });
}

test('only invites of the asking server for users of this one are signed', async () => {
  await using server = await startPeer();
  await using closed = await startPeer({ settings: { block_non_admin_invites: true } });
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const room = makePeerRoom(peer, '11');
  const bob = `@bob:${peer.name}`;
  const right = room.add(member(room.creator, alice.userId, 'invite'));
  const refused = async (reply: Promise<Reply<Json>>, errcode = 'M_INVALID_PARAM', status = 400): Promise<void> =>
    assertError(await reply, status, errcode);
  await refused(invite(peer, server, room, room.add(member(room.creator, bob, 'invite'))));
  await refused(invite(peer, server, room, room.add(member(room.creator, alice.userId, 'join'))));
  await refused(invite(peer, server, room, room.add(stateEvent(room.creator, 'm.room.topic', alice.userId, { membership: 'invite' }))));
  await refused(invite(peer, server, room, room.add(member('@eve:elsewhere.test', alice.userId, 'invite'))));
  await refused(invite(peer, server, { ...room, roomId: '!other:elsewhere.test' }, right));
  await refused(invite(peer, server, room, { ...right, eventId: '$other' }));
  await refused(invite(peer, server, { ...room, version: 'none' }, right), 'M_INCOMPATIBLE_ROOM_VERSION');
  const key = signingKeyFromSeed(peer.key.keyId, Buffer.alloc(32, 3));
  await refused(invite(peer, server, room, room.add(member(room.creator, alice.userId, 'invite'), { signingKey: key })));
  const altered = { ...right, json: right.json.replace('"depth":6', '"depth":7') };
  assert.notEqual(altered.json, right.json);
  await refused(invite(peer, server, room, altered));
  assert.equal((await sync(alice)).rooms?.invite, undefined);
  const carol = await closed.register('carol');
  const blocked = makePeerRoom(peer, '11');
  await refused(invite(peer, closed, blocked, blocked.add(member(blocked.creator, carol.userId, 'invite'))), 'M_FORBIDDEN', 403);
});

test('from version 12 on an invite tells whole events of its room, the create event among them', async () => {
  await using server = await startPeer();
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const [room, other] = [makePeerRoom(peer, '12'), makePeerRoom(peer, '12')];
  const right = room.add(member(room.creator, alice.userId, 'invite'));
  const whole = room.state().map((event) => JSON.parse(event.json) as Json);
  const strippedOnly = whole.map(({ type, state_key, sender, content }) => ({ type, state_key, sender, content }));
  const foreign = other.state().map((event) => JSON.parse(event.json) as Json);
  const forged = whole.map((event) => (event['type'] === 'm.room.name' ? { ...event, content: { name: 'Bank' } } : event));
  for (const told of [[], strippedOnly, whole.slice(1), [whole[0], ...foreign.slice(1)], forged])
    assertError(await invite(peer, server, room, right, told), 400, 'M_INVALID_PARAM');
  ok(await invite(peer, server, room, right, whole));
});

const joined = async (user: Person, there: Person, roomIdOrAlias: string): Promise<string> => {
  const { room_id: roomId } = ok(await user.post<{ room_id: string }>(`/join/${enc(roomIdOrAlias)}`));
  await until('the join is there', async () => (await membershipOf(there, roomId, user.userId)) === 'join');
  return roomId;
};

test(
  'users of real Synapse join rooms of Myelin by alias and by a restricted rule, and knock',
  { skip: hasSynapse ? false : NO_SYNAPSE },
  async () => {
    await using here = await startPeer();
    await using there = await startPeer({ program: 'synapse' });
    const [alice, bob] = [await here.register('alice'), await there.register('bob')];
    const rules = [{ type: 'm.room.join_rules', state_key: '', content: { join_rule: 'knock' } }];
    const door = await createRoom(alice, { preset: 'private_chat', initial_state: rules, name: 'Door' });
    ok(await bob.post(`/knock/${enc(door)}?server_name=${enc(here.name)}`, { reason: 'please' }));
    assert.equal(await membershipOf(alice, door, bob.userId), 'knock');
    // Real Synapse takes back the knocks of its users without telling anybody.
    for (const version of VERSIONS) {
      await createRoom(alice, { room_version: version, room_alias_name: `open${version}`, name: `Open ${version}` });
      const roomId = await joined(bob, alice, `#open${version}:${here.name}`);
      const name: Reply<Json> = await until('its state is there', async () => {
        const reply = await bob.get(`/rooms/${enc(roomId)}/state/m.room.name`);
        return reply.status === 200 && reply;
      });
      assert.equal(name.body['name'], `Open ${version}`);
      if (version !== '6') {
        const restricted = await createRoom(alice, restrictedTo(roomId, version));
        ok(await bob.post(`/join/${enc(restricted)}?server_name=${enc(here.name)}`));
        assert.equal(await membershipOf(alice, restricted, bob.userId), 'join');
      }
    }
  },
);

test('users of Myelin see the invites of real Synapse', { skip: hasSynapse ? false : NO_SYNAPSE }, async () => {
  await using here = await startPeer();
  await using there = await startPeer({ program: 'synapse' });
  const [alice, bob] = [await here.register('alice'), await there.register('bob')];
  for (const version of VERSIONS) {
    const roomId = await createRoom(bob, { preset: 'private_chat', room_version: version, name: `Private ${version}` });
    ok(await bob.post(`/rooms/${enc(roomId)}/invite`, { user_id: alice.userId }));
    assert.equal(await membershipOf(bob, roomId, alice.userId), 'invite');
    const events = (await sync(alice)).rooms?.invite?.[roomId]?.invite_state.events ?? [];
    assert.deepEqual(events.find((each) => each['type'] === 'm.room.name')?.['content'], { name: `Private ${version}` });
    assert.equal(events.at(-1)?.['sender'], bob.userId);
  }
});
