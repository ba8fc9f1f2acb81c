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

const joined = async (member: Person, there: Person, roomIdOrAlias: string): Promise<string> => {
  const { room_id: roomId } = ok(await member.post<{ room_id: string }>(`/join/${enc(roomIdOrAlias)}`));
  await until('the join is there', async () => (await membershipOf(there, roomId, member.userId)) === 'join');
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
