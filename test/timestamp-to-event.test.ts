// The event nearest to a moment, for clients and for other servers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertError, ok, type Client, type Json, type Person, type Reply } from './support/client.ts';
import { onEachEngine } from './support/engines.ts';
import { startPeer } from './support/federation.ts';
import { joinAsPeer, sendTransaction } from './support/peer-member.ts';
import { takeStep } from './support/remote-user.ts';
import { startScriptedPeer } from './support/scripted-peer.ts';
import { hasSynapse, NO_SYNAPSE, type Server } from './support/server.ts';

const id = encodeURIComponent;

const createRoom = async (creator: Person, settings: Json = {}): Promise<string> =>
  ok(await creator.post<{ room_id: string }>('/createRoom', { preset: 'public_chat', ...settings })).room_id;

const ask = async (client: Client, roomId: string, ts: number | bigint, direction: string): Promise<Reply<Json>> =>
  client.get(`/_matrix/client/v1/rooms/${id(roomId)}/timestamp_to_event?ts=${String(ts)}&dir=${direction}`);

const eventOf = async (reader: Person, roomId: string, eventId: unknown): Promise<{ type: string; content: Json }> =>
  ok(await reader.get<{ type: string; content: Json }>(`/rooms/${id(roomId)}/event/${id(String(eventId))}`));

/** Times that lie before everything that happens in a test. */
const SAID = [
  ['one', 1000],
  ['two', 2000],
  ['also two', 2000],
  ['five', 5000],
  ['late', 1500],
] as const;

onEachEngine('the event nearest to a moment is found by what events claim of their time', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  for (const version of ['6', '11', '12']) {
    const roomId = await createRoom(alice, { room_version: version });
    const bob = await joinAsPeer(peer, server, roomId);
    const events = SAID.map(([body, originServerTs]) => bob.say(body, { originServerTs }));
    ok(await sendTransaction(peer, server, events));
    const lastId = events.at(-1)?.eventId ?? '';
    // Events are taken in one after another: the last one is here when all are.
    for (let status = 0; status !== 200;) ({ status } = await alice.get(`/rooms/${id(roomId)}/event/${id(lastId)}`));

    const find = async (ts: number, direction: 'b' | 'f'): Promise<unknown> => {
      const { event_id: eventId, origin_server_ts: time } = ok(await ask(alice, roomId, ts, direction));
      const there = ok(
        await peer.ask(server, 'GET', `/_matrix/federation/v1/timestamp_to_event/${id(roomId)}?ts=${String(ts)}&dir=${direction}`),
      );
      assert.deepEqual(there, { event_id: eventId, origin_server_ts: time }, 'servers are told the same');
      return [(await eventOf(alice, roomId, eventId)).content['body'], time];
    };
    assert.deepEqual(await find(0, 'f'), ['one', 1000]);
    assert.deepEqual(await find(1000, 'f'), ['one', 1000], 'the moment itself is included');
    assert.deepEqual(await find(1000, 'b'), ['one', 1000]);
    assert.deepEqual(await find(1001, 'f'), ['late', 1500]);
    assert.deepEqual(await find(1999, 'b'), ['late', 1500]);
    assert.deepEqual(await find(2000, 'f'), ['two', 2000], 'of several the first in the order of the room');
    assert.deepEqual(await find(4999, 'b'), ['also two', 2000], 'or the last');
    assert.deepEqual(await find(1_000_000, 'b'), ['five', 5000]);

    assertError(await ask(alice, roomId, 999, 'b'), 404, 'M_NOT_FOUND');
    for (const ts of [Number.MAX_SAFE_INTEGER, 10n ** 30n]) assertError(await ask(alice, roomId, ts, 'f'), 404, 'M_NOT_FOUND');
    assertError(await ask(alice, roomId, -1, 'b'), 400, 'M_INVALID_PARAM');
    const { event_id: newest } = ok(await ask(alice, roomId, Number.MAX_SAFE_INTEGER, 'b'));
    assert.equal((await eventOf(alice, roomId, newest)).content['membership'], 'join', 'the latest by its time is that Bob came');
  }
});

onEachEngine('only what the reader may see is found', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  const [alice, carol] = [await server.register('alice'), await server.register('carol')];
  const closed = { initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: 'joined' } }] };
  const roomId = await createRoom(alice, closed);
  const bob = await joinAsPeer(peer, server, roomId);
  // More than are looked at together.
  const events = Array.from({ length: 45 }, (_, index) => bob.say(`hidden ${String(index)}`, { originServerTs: 1000 + index }));
  ok(await sendTransaction(peer, server, events));
  for (let status = 0; status !== 200;) ({ status } = await alice.get(`/rooms/${id(roomId)}/event/${id(events.at(-1)?.eventId ?? '')}`));
  assertError(await ask(carol, roomId, 0, 'f'), 403, 'M_FORBIDDEN');
  ok(await carol.post(`/join/${id(roomId)}`));
  assert.equal(ok(await ask(alice, roomId, 0, 'f'))['event_id'], events[0]?.eventId);
  const first = ok(await ask(carol, roomId, 0, 'f'));
  assert.equal((await eventOf(carol, roomId, first['event_id'])).type, 'm.room.create', 'she may see what was before the room was closed');
  assertError(await ask(carol, roomId, 5000, 'b'), 404, 'M_NOT_FOUND');

  const path = `/_matrix/federation/v1/timestamp_to_event/${id(roomId)}`;
  await using stranger = await startScriptedPeer();
  assertError(await stranger.ask(server, 'GET', `${path}?ts=0&dir=f`), 403, 'M_FORBIDDEN');
  assertError(await peer.ask(server, 'GET', `${path}?ts=0`), 400, 'M_MISSING_PARAM');
  assertError(await peer.ask(server, 'GET', `${path}?ts=999&dir=b`), 404, 'M_NOT_FOUND');
  ok((await takeStep(stranger, server, 'join', roomId, `@dan:${stranger.name}`)).answer);
  const theirs = ok(await stranger.ask(server, 'GET', `${path}?ts=0&dir=f`));
  assert.equal((await eventOf(alice, roomId, theirs['event_id'])).type, 'm.room.create', 'what was said before they came is not for them');
  assert.equal(ok(await peer.ask(server, 'GET', `${path}?ts=0&dir=f`))['event_id'], events[0]?.eventId);
});

/** Lets Bob jump into what was said before he came; answers two moments of it and how he finds the events there. */
const jumpBack = async (here: Server, there: Server) => {
  const [alice, bob] = [await here.register('alice'), await there.register('bob')];
  const roomId = await createRoom(alice, { room_version: '11' });
  const said: { eventId: string; ts: number }[] = [];
  for (let each = 0; each < 30; each += 1) {
    const path = `/rooms/${id(roomId)}/send/m.room.message/${String(each)}`;
    const eventId = ok(await alice.put<{ event_id: string }>(path, { msgtype: 'm.text', body: String(each) })).event_id;
    const ts = ok(await alice.get<{ origin_server_ts: number }>(`/rooms/${id(roomId)}/event/${id(eventId)}`)).origin_server_ts;
    // Of messages within one millisecond others would be found.
    while (Date.now() <= ts);
    said.push({ eventId, ts });
  }
  ok(await bob.post(`/join/${id(roomId)}?via=${id(here.name)}`));
  const [early, middle] = [said[3], said[15]];
  assert.ok(early !== undefined && middle !== undefined);
  const find = async (ts: number, direction: string): Promise<unknown> => ok(await ask(bob, roomId, ts, direction))['event_id'];
  const readable = async (eventId: string): Promise<number> =>
    (await bob.get(`/rooms/${id(roomId)}/context/${id(eventId)}?limit=0`)).status;
  assert.equal(await readable(middle.eventId), 404, 'it is not here yet');
  assert.equal(await find(middle.ts, 'f'), middle.eventId);
  assert.equal(await readable(middle.eventId), 200);
  assert.equal(await find(early.ts, 'b'), early.eventId);
  assert.equal(await readable(early.eventId), 200);
  return { bob, roomId, early, middle, find };
};

onEachEngine('where history is missing, another server is asked for the event', async (start) => {
  await using here = await startPeer();
  await using there = await startPeer({}, start);
  const { bob, roomId, early, middle, find } = await jumpBack(here, there);
  await here.stop();
  assert.equal(await find(early.ts + 1, 'f'), middle.eventId, 'who does not answer leaves it at what is here');
  assertError(await ask(bob, roomId, 0, 'b'), 404, 'M_NOT_FOUND');
});

test('Myelin and real Synapse find for each other what was said at a moment', { skip: hasSynapse ? false : NO_SYNAPSE }, async () => {
  await using here = await startPeer({ program: 'synapse' });
  await using there = await startPeer();
  await jumpBack(here, there);
  await jumpBack(there, here);
});
