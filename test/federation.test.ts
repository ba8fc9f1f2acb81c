// Servers find each other, believe each other's keys, and answer each other's questions: Myelin with Myelin, and with real Synapse.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServerResponse } from 'node:http';
import type { JsonObject } from '#src/protocol/json.ts';
import { signingKeyFromSeed } from '#src/protocol/signatures.ts';
import { xMatrixHeader } from '#src/protocol/x-matrix.ts';
import { assertError, ok } from '#test/support/client.ts';
import { onEachEngine } from '#test/support/engines.ts';
import { startPeer } from '#test/support/federation.ts';
import { json, startScriptedPeer } from '#test/support/scripted-peer.ts';
import { hasSynapse, NO_SYNAPSE, type Server } from '#test/support/server.ts';

const answer = async (server: Server, path: string): Promise<{ status: number; body: Record<string, unknown> }> => {
  const { statusCode, body } = await server.pool.request({ method: 'GET', path });
  return { status: statusCode, body: (await body.json()) as Record<string, unknown> };
};

/** What each can learn of the other by asking its own server. */
const askEachOther = async (here: Server, there: Server): Promise<void> => {
  const [alice, bob] = [await here.register('alice'), await there.register('bob')];
  ok(await bob.put(`/profile/${bob.userId}/displayname`, { displayname: 'Bob there' }));
  ok(await bob.post('/createRoom', { preset: 'public_chat', visibility: 'public', name: 'There', room_alias_name: 'there' }));
  const { displayname } = ok(await alice.get(`/profile/${bob.userId}/displayname`));
  assert.equal(displayname, 'Bob there');
  const profile = ok(await alice.get(`/profile/${bob.userId}`));
  assert.equal(profile['displayname'], 'Bob there');
  const missing = await alice.get(`/profile/@nobody:${there.name}`);
  assert.equal(missing.status, 404);
  const alias = `#there:${there.name}`;
  const found = ok(await alice.get<{ room_id: string; servers: string[] }>(`/directory/room/${encodeURIComponent(alias)}`));
  assert.deepEqual(found.servers, [there.name]);
  assert.equal((await alice.get(`/directory/room/${encodeURIComponent(`#none:${there.name}`)}`)).status, 404);
  const server = encodeURIComponent(there.name);
  const list = ok(await alice.get<{ chunk: { room_id: string; name: string }[] }>(`/publicRooms?server=${server}`));
  assert.deepEqual(
    list.chunk.map((room) => [room.room_id, room.name]),
    [[found.room_id, 'There']],
  );
  const search = ok(
    await alice.post<{ chunk: unknown[] }>(`/publicRooms?server=${server}`, { limit: 5, filter: { generic_search_term: 'elsewhere' } }),
  );
  assert.deepEqual(search.chunk, []);
};

const published = async (server: Server, about: Server): Promise<JsonObject[]> => {
  const { body } = await answer(server, `/_matrix/key/v2/query/${encodeURIComponent(about.name)}/ed25519:a_test`);
  return body['server_keys'] as JsonObject[];
};

/** Each hands on what the other has published, signed by both. */
const vouchForEachOther = async (here: Server, there: Server): Promise<void> => {
  for (const [notary, about] of [
    [here, there],
    [there, here],
  ] as const) {
    const [publication, ...more] = await published(notary, about);
    assert.deepEqual(more, []);
    assert.equal(publication?.['server_name'], about.name);
    assert.deepEqual(Object.keys(publication?.['signatures'] ?? {}).sort(), [about.name, notary.name].sort());
  }
};

onEachEngine('two servers learn of each other what their users ask', async (start) => {
  await using here = await startPeer({}, start);
  await using there = await startPeer();
  await vouchForEachOther(here, there);
  await askEachOther(here, there);
  await askEachOther(there, here);
});

test('Myelin and real Synapse learn of each other what their users ask', { skip: hasSynapse ? false : NO_SYNAPSE }, async () => {
  await using here = await startPeer();
  await using there = await startPeer({ program: 'synapse' });
  await vouchForEachOther(here, there);
  await askEachOther(here, there);
  await askEachOther(there, here);
});

test('a request counts only with a signature that fits it', async () => {
  await using server = await startPeer();
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const uri = `/_matrix/federation/v1/query/profile?user_id=${encodeURIComponent(alice.userId)}`;
  const refused = async (status: number, options: Parameters<typeof peer.ask>[3]): Promise<void> =>
    assertError(await peer.ask(server, 'GET', uri, options), status, 'M_UNAUTHORIZED');
  assert.equal(ok(await peer.ask(server, 'GET', uri))['displayname'], 'alice');
  await refused(401, { header: 'Bearer nothing' });
  await refused(400, { header: 'X-Matrix origin=' });
  await refused(401, { changes: { uri: `${uri}x` } });
  await refused(401, { changes: { destination: 'elsewhere.test' } });
  await refused(401, { changes: { origin: server.name } });
  await refused(401, { key: signingKeyFromSeed(peer.key.keyId, Buffer.alloc(32, 7)) });
  await refused(401, { key: signingKeyFromSeed('ed25519:unknown', Buffer.alloc(32, 7)) });
  const { body } = await peer.ask(server, 'POST', '/_matrix/federation/v1/publicRooms', { content: { limit: 1 } });
  assert.deepEqual(body['chunk'], []);
  const signed = {
    method: 'POST',
    uri: '/_matrix/federation/v1/publicRooms',
    origin: peer.name,
    destination: server.name,
    content: { limit: 1 },
  };
  const header = xMatrixHeader(signed, peer.key);
  assertError(await peer.ask(server, 'POST', signed.uri, { content: { limit: 2 }, header }), 401, 'M_UNAUTHORIZED');
});

test('keys are believed only as their server has signed them, and not beyond their time', async () => {
  await using server = await startPeer();
  await using liar = await startScriptedPeer();
  await using late = await startScriptedPeer();
  const uri = '/_matrix/federation/v1/publicRooms?limit=1';
  liar.on('/_matrix/key/v2/server', json({ ...liar.publication(), valid_until_ts: Date.now() + 1000 }));
  assertError(await liar.ask(server, 'GET', uri), 401, 'M_UNAUTHORIZED');
  late.on('/_matrix/key/v2/server', json(late.publication({ valid_until_ts: Date.now() - 1000 })));
  assertError(await late.ask(server, 'GET', uri), 401, 'M_UNAUTHORIZED');
  await late.ask(server, 'GET', uri);
  assert.equal(late.asked.length, 1, 'a key that could not be had is not asked for again at once');
});

test('a server on no whitelist is talked with in neither direction', async () => {
  await using peer = await startScriptedPeer();
  await using server = await startPeer({ settings: { federation_domain_whitelist: ['friend.test'] } });
  const alice = await server.register('alice');
  assertError(await peer.ask(server, 'GET', '/_matrix/federation/v1/publicRooms'), 403, 'M_FORBIDDEN');
  assertError(await alice.get(`/publicRooms?server=${encodeURIComponent(peer.name)}`), 403, 'M_FORBIDDEN');
  assert.deepEqual(peer.asked, []);
});

test('a server that cannot be reached is left alone, also after a restart, until it is heard of', async () => {
  await using server = await startPeer();
  await using peer = await startScriptedPeer();
  const profile = '/_matrix/federation/v1/query/profile';
  peer.on(profile, json({ errcode: 'M_UNKNOWN', error: 'Out of order' }, 500));
  const look = async (): Promise<number> => {
    const { statusCode, body } = await server.pool.request({ method: 'GET', path: `/_matrix/client/v3/profile/@bob:${peer.name}` });
    await body.dump();
    return statusCode;
  };
  const times = (): number => peer.asked.filter((line) => line === `GET ${profile}`).length;
  assert.equal(await look(), 502);
  assert.equal(await look(), 502);
  assert.equal(times(), 1, 'asked once');
  await server.stop();
  await server.start();
  assert.equal(await look(), 502);
  assert.equal(times(), 1, 'not after a restart either');
  peer.on(profile, json({ displayname: 'Bob' }));
  ok(await peer.ask(server, 'GET', '/_matrix/federation/v1/publicRooms'));
  assert.equal(await look(), 200);
});

test('what is no answer of a homeserver is an error for the user, never a fault of ours', async () => {
  await using server = await startPeer();
  const look = async (name: string): Promise<number> => {
    const { statusCode, body } = await server.pool.request({ method: 'GET', path: `/_matrix/client/v3/profile/@bob:${name}` });
    const { errcode } = (await body.json()) as { errcode?: string };
    assert.ok(typeof errcode === 'string');
    return statusCode;
  };
  const profile = '/_matrix/federation/v1/query/profile';
  for (const respond of [
    (_request: unknown, response: ServerResponse) => void response.end('<html>'),
    json([1, 2]),
    (_request: unknown, response: ServerResponse) => void response.destroy(),
    (_request: unknown, response: ServerResponse) => void response.writeHead(302, { location: 'https://localhost/' }).end(),
    (_request: unknown, response: ServerResponse) =>
      void response.writeHead(200, { 'content-length': '9' }).end('x', () => response.destroy()),
  ]) {
    await using peer = await startScriptedPeer();
    peer.on(profile, respond);
    assert.equal(await look(peer.name), 502);
  }
  assert.equal(await look('localhost:1'), 502);
  assert.equal(await look('no-such-host.invalid'), 502);
});

onEachEngine('a server that is not in a room reads nothing of it', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const { room_id: roomId } = ok(await alice.post<{ room_id: string }>('/createRoom', { preset: 'public_chat' }));
  const { event_id: eventId } = ok(
    await alice.put<{ event_id: string }>(`/rooms/${encodeURIComponent(roomId)}/send/m.room.message/1`, { msgtype: 'm.text', body: 'hi' }),
  );
  const [room, event] = [encodeURIComponent(roomId), encodeURIComponent(eventId)];
  for (const path of [
    `event/${event}`,
    `state/${room}?event_id=${event}`,
    `state_ids/${room}?event_id=${event}`,
    `event_auth/${room}/${event}`,
    `backfill/${room}?v=${event}&limit=10`,
  ]) {
    assertError(await peer.ask(server, 'GET', `/_matrix/federation/v1/${path}`), 403, 'M_FORBIDDEN');
  }
  const gap = { earliest_events: [], latest_events: [eventId], limit: 10 };
  assertError(await peer.ask(server, 'POST', `/_matrix/federation/v1/get_missing_events/${room}`, { content: gap }), 403, 'M_FORBIDDEN');
  assertError(await peer.ask(server, 'GET', `/_matrix/federation/v1/backfill/${room}?v=${event}`), 400, 'M_MISSING_PARAM');
  assertError(await peer.ask(server, 'GET', `/_matrix/federation/v1/event/%24none`), 404, 'M_NOT_FOUND');
});
