// What other servers send: transactions, events whose history is not here, and what must not be lost.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EncodedEvent } from '#src/protocol/events.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { signingKeyFromSeed } from '#src/protocol/signatures.ts';
import { assertError, ok, type Json, type Person, type Reply } from '#test/support/client.ts';
import { onEachEngine } from '#test/support/engines.ts';
import { startPeer } from '#test/support/federation.ts';
import { hasSynapse, NO_SYNAPSE } from '#test/support/server.ts';
import { member, state } from '#test/support/new-events.ts';
import { joinAsPeer, sendTransaction } from '#test/support/peer-member.ts';
import { makePeerRoom } from '#test/support/peer-room.ts';
import { json, startScriptedPeer, type ScriptedPeer } from '#test/support/scripted-peer.ts';

const enc = encodeURIComponent;
const FEDERATION = '/_matrix/federation/v1';

const createRoom = async (creator: Person, settings: Json = {}): Promise<string> =>
  ok(await creator.post<{ room_id: string }>('/createRoom', { preset: 'public_chat', ...settings })).room_id;

/** The messages of a room as a client is shown them, oldest first. */
const bodies = async (reader: Person, roomId: string): Promise<unknown[]> => {
  const { chunk } = ok(await reader.get<{ chunk: { type: string; content: Json }[] }>(`/rooms/${enc(roomId)}/messages?dir=b&limit=500`));
  return chunk
    .filter(({ type }) => type === 'm.room.message')
    .map(({ content }) => content['body'])
    .toReversed();
};

/** Waits until the room has these messages, in this order unless some of them stand side by side. */
const untilSaid = async (
  reader: Person,
  roomId: string,
  expected: readonly string[],
  { ordered = true, patienceMs = 10_000 } = {},
): Promise<void> => {
  let said: unknown[] = [];
  for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += 25) {
    said = await bodies(reader, roomId);
    if (said.length >= expected.length) break;
    await sleep(25);
  }
  assert.deepEqual(ordered ? said : said.toSorted(), ordered ? expected : expected.toSorted());
};

const say = async (person: Person, roomId: string, body: string): Promise<void> => {
  ok(await person.put(`/rooms/${enc(roomId)}/send/m.room.message/${enc(body)}`, { msgtype: 'm.text', body }));
};

const resultsOf = (reply: Reply<Json>): Record<string, { error?: string }> => ok(reply)['pdus'] as Record<string, { error?: string }>;

const parsed = ({ json: text }: Pick<EncodedEvent, 'json'>): JsonObject => JSON.parse(text) as JsonObject;

/** Answers questions for these events, as a server does that has them. */
const serveEvents = (peer: ScriptedPeer, events: readonly Pick<EncodedEvent, 'eventId' | 'json'>[]): void => {
  for (const event of events)
    peer.on(`${FEDERATION}/event/${enc(event.eventId)}`, json({ origin: peer.name, origin_server_ts: 1, pdus: [parsed(event)] }));
};

const serveMissing = (peer: ScriptedPeer, roomId: string, events: readonly JsonObject[]): void =>
  peer.on(`${FEDERATION}/get_missing_events/${enc(roomId)}`, json({ events }));

onEachEngine('events of a transaction are taken in once, in order, and each is answered for', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  for (const version of ['6', '10', '12']) {
    const roomId = await createRoom(alice, { room_version: version });
    const bob = await joinAsPeer(peer, server, roomId);
    const events = ['one', 'two', 'three'].map((body) => bob.say(body));
    const txnId = `replayed ${version}`.replace(' ', '-');
    const answer = await sendTransaction(peer, server, events, { txnId });
    assert.deepEqual(ok(answer), { pdus: Object.fromEntries(events.map(({ eventId }) => [eventId, {}])) });
    await untilSaid(alice, roomId, ['one', 'two', 'three']);
    const four = bob.say('four');
    assert.deepEqual(ok(await sendTransaction(peer, server, [four], { txnId })), ok(answer), 'a transaction id stands for one transaction');
    assert.deepEqual(resultsOf(await sendTransaction(peer, server, [...events, four, four])), {
      ...resultsOf(answer),
      [four.eventId]: {},
    });
    await untilSaid(alice, roomId, ['one', 'two', 'three', 'four']);
    await server.stop();
    await server.start();
    assert.deepEqual(ok(await sendTransaction(peer, server, [], { txnId })), ok(answer), 'it is remembered after a restart');
    await say(alice, roomId, 'five');
    assert.deepEqual(await bodies(alice, roomId), ['one', 'two', 'three', 'four', 'five']);
  }
});

test('what is too much, no event, of an unknown room, or not signed by its sender is not taken in', async () => {
  await using server = await startPeer();
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const roomId = await createRoom(alice);
  const bob = await joinAsPeer(peer, server, roomId);
  const good = bob.say('good');
  assertError(
    await sendTransaction(
      peer,
      server,
      Array.from({ length: 51 }, () => ({})),
    ),
    400,
    'M_BAD_JSON',
  );
  assertError(await sendTransaction(peer, server, [], { edus: Array.from({ length: 101 }, () => ({})) }), 400, 'M_BAD_JSON');
  const uri = `${FEDERATION}/send/strange`;
  assertError(await peer.ask(server, 'PUT', uri, { content: { pdus: {} } }), 400, 'M_BAD_JSON');
  assertError(await peer.ask(server, 'PUT', uri), 400, 'M_BAD_JSON');
  const forger = signingKeyFromSeed(peer.key.keyId, Buffer.alloc(32, 9));
  assertError(await peer.ask(server, 'PUT', uri, { content: { pdus: [] }, key: forger }), 401, 'M_UNAUTHORIZED');
  assertError(await peer.ask(server, 'PUT', uri, { content: { pdus: [] }, changes: { origin: 'elsewhere.test' } }), 401, 'M_UNAUTHORIZED');
  assert.deepEqual(ok(await peer.ask(server, 'PUT', uri, { content: {} })), { pdus: {} });
  const elsewhere = makePeerRoom(peer, '10').add(member(bob.userId, bob.userId, 'join'));
  const forged = bob.say('forged', { signingKey: forger });
  const strange = ['text', null, [], {}, { room_id: 1 }, { room_id: roomId }, parsed(elsewhere)] as unknown as JsonObject[];
  const results = resultsOf(await sendTransaction(peer, server, [...strange, forged, good]));
  assert.deepEqual(Object.keys(results).sort(), [forged.eventId, good.eventId].sort());
  assert.match(results[forged.eventId]?.error ?? '', /signature/);
  assert.deepEqual(results[good.eventId], {});
  const changed = { ...parsed(good), content: { msgtype: 'm.text', body: 'changed' } };
  assert.deepEqual(resultsOf(await sendTransaction(peer, server, [changed])), { [good.eventId]: {} }, 'the same event by its id');
  await untilSaid(alice, roomId, ['good']);
});

onEachEngine('what an event follows is asked for, and the state where that is not enough', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  for (const version of ['6', '11', '12']) {
    const roomId = await createRoom(alice, { room_version: version });
    const bob = await joinAsPeer(peer, server, roomId);
    const gap = ['one', 'two', 'three'].map((body) => bob.say(body));
    serveMissing(peer, roomId, gap.slice(0, 2).map(parsed).toReversed());
    assert.deepEqual(resultsOf(await sendTransaction(peer, server, gap.slice(2))), { [gap[2]?.eventId ?? '']: {} });
    await untilSaid(alice, roomId, ['one', 'two', 'three']);

    const name = bob.add(state(bob.userId, 'm.room.member', bob.userId, { membership: 'join', displayname: 'Bobby' }));
    const unseen = bob.say('unseen');
    const before = [...bob.held.values()];
    const [four, five] = [bob.say('four'), bob.say('five')];
    serveMissing(peer, roomId, [parsed(four)]);
    serveEvents(peer, [name, unseen]);
    peer.on(
      `${FEDERATION}/state_ids/${enc(roomId)}`,
      json({ pdu_ids: before.map(({ eventId }) => eventId), auth_chain_ids: before.map(({ eventId }) => eventId) }),
    );
    ok(await sendTransaction(peer, server, [five]));
    await untilSaid(alice, roomId, ['one', 'two', 'three', 'four', 'five']);
    const { displayname } = ok(await alice.get(`/rooms/${enc(roomId)}/state/m.room.member/${enc(bob.userId)}`));
    assert.equal(displayname, 'Bobby', 'the state across the gap');
    await say(alice, roomId, 'six');
  }
});

interface TimelineSynced {
  readonly next_batch: string;
  readonly rooms: {
    readonly join: Readonly<
      Record<string, { readonly timeline: { readonly limited: boolean; readonly prev_batch: string; readonly events: readonly Json[] } }>
    >;
  };
}

onEachEngine(
  'what lies before a gap is not shown as if it were followed at once, and the gap is filled for who reads back',
  async (start) => {
    await using server = await startPeer({ settings: { caches: { sync_response_cache_duration: 0 } } }, start);
    await using peer = await startScriptedPeer();
    await using silent = await startScriptedPeer('127.0.0.1');
    for (const each of [peer, silent]) each.on(`${FEDERATION}/send/`, json({ pdus: {} }));
    const alice = await server.register('alice');
    for (const version of ['6', '12']) {
      const roomId = await createRoom(alice, { room_version: version });
      const bob = await joinAsPeer(peer, server, roomId);
      await joinAsPeer(silent, server, roomId, 'eve');
      const timelineOf = async (since: string) => {
        const { rooms } = ok(await alice.get<TimelineSynced>(`/sync?timeout=0&since=${since}`));
        const { limited, prev_batch: before, events } = rooms.join[roomId]?.timeline ?? { limited: false, prev_batch: '', events: [] };
        return { limited, before, said: events.map((event) => (event['content'] as Json)['body']).filter((body) => body !== undefined) };
      };
      const { next_batch: since } = ok(await alice.get<TimelineSynced>('/sync?timeout=0'));
      ok(await sendTransaction(peer, server, [bob.say('before')]));
      await untilSaid(alice, roomId, ['before']);

      const unseen = Array.from({ length: 130 }, (_, index) => bob.say(`unseen ${String(index)}`));
      const boundary = [...bob.held.values()];
      const [pulled, pushed] = [bob.say('pulled'), bob.say('pushed')];
      const ids = boundary.map(({ eventId }) => eventId);
      serveMissing(peer, roomId, [parsed(pulled)]);
      serveEvents(peer, unseen.slice(-1));
      peer.on(`${FEDERATION}/state_ids/${enc(roomId)}`, json({ pdu_ids: ids, auth_chain_ids: ids }));
      const { promise: patience, resolve: answerNow } = Promise.withResolvers<void>();
      const strange = bob.say('which nobody asked for');
      bob.ends = [pushed];
      peer.on(`${FEDERATION}/backfill/${enc(roomId)}`, (request, response) => {
        const query = new URL(request.url ?? '', 'https://peer').searchParams;
        const last = unseen.findIndex(({ eventId }) => query.getAll('v').includes(eventId));
        const given = unseen.slice(Math.max(0, last - 99), last + 1).toReversed();
        void patience.then(() => json({ pdus: [strange, ...given].map(parsed) })(request, response));
      });
      ok(await sendTransaction(peer, server, [pushed]));
      for (let tries = 0; tries < 400 && !(await timelineOf(since)).said.includes('pushed'); tries += 1) await sleep(25);
      const { limited, before, said } = await timelineOf(since);
      assert.deepEqual({ limited, said }, { limited: true, said: ['pulled', 'pushed'] });

      const all = ['before', ...unseen.map(({ pdu }) => pdu.content['body']), 'pulled', 'pushed'];
      const page = async (from?: string, limit = 500) =>
        ok(
          await alice.get<{ chunk: { type: string; content: Json }[]; end?: string }>(
            `/rooms/${enc(roomId)}/messages?dir=b&limit=${String(limit)}${from === undefined ? '' : `&from=${from}`}`,
          ),
        );
      const bodiesOf = ({ chunk }: Awaited<ReturnType<typeof page>>): unknown[] =>
        chunk.filter(({ type }) => type === 'm.room.message').map(({ content }) => content['body']);
      const early = await page(before, 5);
      assert.deepEqual(bodiesOf(early)[0], 'before', 'nobody waits for ever');
      answerNow();
      for (let tries = 0; tries < 100 && bodiesOf(await page()).length < all.length; tries += 1) await sleep(25);
      assert.deepEqual(bodiesOf(await page()), all.toReversed());
      assert.deepEqual(bodiesOf(await page(before)), all.slice(0, -2).toReversed(), 'the gap lies behind the token of /sync');
      const forwards = ok(await alice.get<{ chunk: { content: Json }[] }>(`/rooms/${enc(roomId)}/messages?dir=f&limit=500`));
      assert.deepEqual(
        forwards.chunk.map(({ content }) => content['body']).filter((body) => body !== undefined),
        all,
      );
      assert.deepEqual((await timelineOf(since)).said, ['pulled', 'pushed'], 'what is filled in is not told as new');
      await say(alice, roomId, 'goes on');
      assert.deepEqual((await page(undefined, 1)).chunk[0]?.content['body'], 'goes on');
      const asked = peer.asked.filter((each) => each.endsWith(`/backfill/${enc(roomId)}`)).length;
      await page();
      assert.equal(peer.asked.filter((each) => each.endsWith(`/backfill/${enc(roomId)}`)).length, asked, 'what is here is not asked for');
    }
    await server.run('doctor', '--all');
  },
);

onEachEngine('what authorises an event is asked for', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const roomId = await createRoom(alice, { room_version: '10' });
  const bob = await joinAsPeer(peer, server, roomId);
  const { ends } = bob;
  const renamed = bob.add(state(bob.userId, 'm.room.member', bob.userId, { membership: 'join', displayname: 'Bobby' }));
  bob.ends = ends;
  const [whole, single] = [bob.say('whole chain'), bob.say('single event')];
  peer.on(`${FEDERATION}/event_auth/${enc(roomId)}/${enc(whole.eventId)}`, json({ auth_chain: [parsed(renamed)] }));
  ok(await sendTransaction(peer, server, [whole, single]));
  await untilSaid(alice, roomId, ['whole chain', 'single event']);
  const again = bob.add(state(bob.userId, 'm.room.member', bob.userId, { membership: 'join', displayname: 'Robert' }));
  bob.ends = [single];
  const lonely = bob.say('lonely');
  serveEvents(peer, [again]);
  ok(await sendTransaction(peer, server, [lonely]));
  await untilSaid(alice, roomId, ['whole chain', 'single event', 'lonely']);
  const lost = bob.add(state(bob.userId, 'm.room.member', bob.userId, { membership: 'join', displayname: 'Lost' }));
  bob.ends = [lonely];
  ok(await sendTransaction(peer, server, [bob.say('nobody can tell whether it is allowed')]));
  await untilAsked(peer, `GET ${FEDERATION}/event/${enc(lost.eventId)}`);
  await say(alice, roomId, 'goes on');
  await untilSaid(alice, roomId, ['whole chain', 'single event', 'lonely', 'goes on']);
});

const untilAsked = async (peer: ScriptedPeer, question: string): Promise<void> => {
  for (let tries = 0; tries < 400 && !peer.asked.includes(question); tries += 1) await sleep(25);
  assert.ok(peer.asked.includes(question), `${question} was not asked`);
};

test('a server that does not tell what its events follow, or tells lies, gets none of them into the room', async () => {
  await using server = await startPeer();
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const roomId = await createRoom(alice);
  const bob = await joinAsPeer(peer, server, roomId);
  const [joined] = bob.ends;
  const path = `${FEDERATION}/get_missing_events/${enc(roomId)}`;
  const forger = signingKeyFromSeed(peer.key.keyId, Buffer.alloc(32, 9));
  const answers: readonly ((hidden: EncodedEvent) => Parameters<ScriptedPeer['on']>[1])[] = [
    () => json({ errcode: 'M_FORBIDDEN', error: 'no' }, 403),
    () => json({ events: 'none' }),
    () => json({ events: [null, {}, { room_id: roomId }, 'text'] }),
    () => (_request, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('{"events":['),
    (hidden) => json({ events: [{ ...parsed(hidden), signatures: {} }] }),
    () => json({ events: Array<JsonObject>(5000).fill(parsed(makePeerRoom(peer, '10').add(member(bob.userId, bob.userId, 'join')))) }),
    () => (_request, response) => void response.destroy(),
  ];
  for (const [index, answer] of answers.entries()) {
    bob.ends = joined === undefined ? [] : [joined];
    const hidden = bob.say('hidden', index === 4 ? { signingKey: forger } : {});
    const shown = bob.say(`upon a lie ${String(index)}`);
    peer.on(path, answer(hidden));
    const asked = peer.asked.filter((each) => each.endsWith(path)).length;
    assert.deepEqual(resultsOf(await sendTransaction(peer, server, [shown])), { [shown.eventId]: {} });
    for (let tries = 0; tries < 400 && peer.asked.filter((each) => each.endsWith(path)).length === asked; tries += 1) await sleep(25);
    await say(alice, roomId, String(index));
  }
  bob.ends = joined === undefined ? [] : [joined];
  ok(await sendTransaction(peer, server, [bob.say('upon what is known')]));
  await untilSaid(alice, roomId, [...answers.map((_, index) => String(index)), 'upon what is known'], { ordered: false });
});

onEachEngine('a server that is slow to tell what is missing holds up nobody else', async (start) => {
  await using server = await startPeer({}, start);
  await using slow = await startScriptedPeer();
  await using quick = await startScriptedPeer('127.0.0.1');
  const alice = await server.register('alice');
  const roomId = await createRoom(alice);
  const bob = await joinAsPeer(slow, server, roomId);
  const carl = await joinAsPeer(quick, server, roomId, 'carl');
  const { promise: patience, resolve: answerNow } = Promise.withResolvers<void>();
  const hidden = bob.say('hidden');
  const shown = bob.say('shown');
  slow.on(`${FEDERATION}/get_missing_events/${enc(roomId)}`, (request, response) => {
    void patience.then(() => json({ events: [parsed(hidden)] })(request, response));
  });
  ok(await sendTransaction(slow, server, [shown]));
  await untilAsked(slow, `POST ${FEDERATION}/get_missing_events/${enc(roomId)}`);
  ok(await sendTransaction(quick, server, [carl.say('quick')]));
  await say(alice, roomId, 'own');
  await untilSaid(alice, roomId, ['quick', 'own']);
  answerNow();
  await untilSaid(alice, roomId, ['quick', 'own', 'hidden', 'shown'], { ordered: false });
});

onEachEngine('what was answered for is not lost when the server is killed', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const roomId = await createRoom(alice);
  const bob = await joinAsPeer(peer, server, roomId);
  const expected: string[] = [];
  for (let round = 0; round < 3; round += 1) {
    const texts = Array.from({ length: 50 }, (_, index) => `${String(round)}-${String(index)}`);
    expected.push(...texts);
    ok(
      await sendTransaction(
        peer,
        server,
        texts.map((text) => bob.say(text)),
      ),
    );
    await server.kill();
    await server.start();
    await untilSaid(alice, roomId, expected);
  }
  const hidden = bob.say('hidden');
  const shown = bob.say('shown');
  peer.on(`${FEDERATION}/get_missing_events/${enc(roomId)}`, () => undefined);
  ok(await sendTransaction(peer, server, [shown]));
  await untilAsked(peer, `POST ${FEDERATION}/get_missing_events/${enc(roomId)}`);
  await server.kill();
  serveMissing(peer, roomId, [parsed(hidden)]);
  await server.start();
  await untilSaid(alice, roomId, [...expected, 'hidden', 'shown']);
});

test('one transaction of a server is taken in at a time', async () => {
  await using server = await startPeer();
  await using peer = await startScriptedPeer();
  await using silent = await startScriptedPeer('127.0.0.1');
  const alice = await server.register('alice');
  const roomId = await createRoom(alice);
  const bob = await joinAsPeer(peer, server, roomId);
  const { promise: asked, resolve: isAsked } = Promise.withResolvers<() => void>();
  silent.on('/_matrix/key/v2/server', (request, response) => isAsked(() => json(silent.publication())(request, response)));
  const carl = `@carl:${silent.name}`;
  const strange = bob.add(member(carl, carl, 'join'), { serverName: silent.name, signingKey: silent.key });
  const first = sendTransaction(peer, server, [strange], { txnId: 'first' });
  const answer = await asked;
  assertError(await sendTransaction(peer, server, [], { txnId: 'second' }), 429, 'M_LIMIT_EXCEEDED');
  const again = sendTransaction(peer, server, [strange], { txnId: 'first' });
  answer();
  assert.deepEqual(ok(await first), { pdus: { [strange.eventId]: {} } });
  assert.deepEqual(ok(await again), ok(await first));
  ok(await sendTransaction(peer, server, [], { txnId: 'second' }));
});

const membershipOf = async (reader: Person, roomId: string, userId: string): Promise<unknown> =>
  ok(await reader.get(`/rooms/${enc(roomId)}/state/m.room.member/${enc(userId)}`))['membership'];

onEachEngine('what the rules forbid is not shown, and neither is what an expelled server sends', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  await using outlaw = await startScriptedPeer('127.0.0.1');
  const alice = await server.register('alice');
  const roomId = await createRoom(alice);
  const bob = await joinAsPeer(peer, server, roomId);
  const eve = await joinAsPeer(outlaw, server, roomId, 'eve');
  const { ends } = bob;
  const rejected = bob.add(state(bob.userId, 'm.room.name', '', { name: 'His' }));
  bob.ends = ends;
  const early = bob.say('early');
  assert.deepEqual(Object.values(resultsOf(await sendTransaction(peer, server, [rejected, early]))), [{}, {}]);
  await untilSaid(alice, roomId, ['early']);
  assert.equal((await alice.get(`/rooms/${enc(roomId)}/state/m.room.name`)).status, 404);
  ok(await alice.post(`/rooms/${enc(roomId)}/ban`, { user_id: bob.userId }));
  const late = bob.say('as if he had not been banned');
  assert.deepEqual(resultsOf(await sendTransaction(peer, server, [late])), { [late.eventId]: {} });
  await say(alice, roomId, 'still here');
  await untilSaid(alice, roomId, ['early', 'still here']);
  assert.equal(await membershipOf(alice, roomId, bob.userId), 'ban');
  ok(await alice.put(`/rooms/${enc(roomId)}/state/m.room.server_acl`, { allow: ['*'], allow_ip_literals: false }));
  const kept = eve.say('kept out');
  assert.match(resultsOf(await sendTransaction(outlaw, server, [kept]))[kept.eventId]?.error ?? '', /banned/);
  await say(alice, roomId, 'and here');
  await untilSaid(alice, roomId, ['early', 'still here', 'and here']);
});

test('events of a room that this server has left are dropped, and an invite can be taken back', async () => {
  await using server = await startPeer();
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const roomId = await createRoom(alice);
  const bob = await joinAsPeer(peer, server, roomId);
  ok(await alice.post(`/rooms/${enc(roomId)}/leave`));
  const unheard = bob.say('unheard');
  assert.deepEqual(resultsOf(await sendTransaction(peer, server, [unheard])), { [unheard.eventId]: {} });
  assert.deepEqual(await bodies(alice, roomId), []);
  const room = makePeerRoom(peer, '10', { join_rule: 'invite' });
  const invite = room.add(member(room.creator, alice.userId, 'invite'));
  const told = room.state().map((event) => parsed(event));
  ok(
    await peer.ask(server, 'PUT', `/_matrix/federation/v2/invite/${enc(room.roomId)}/${enc(invite.eventId)}`, {
      content: { room_version: '10', event: parsed(invite), invite_room_state: told },
    }),
  );
  const invites = async (): Promise<string[]> => {
    const { rooms } = ok(await alice.get<{ rooms?: { invite?: Json } }>('/sync?timeout=0'));
    return Object.keys(rooms?.invite ?? {});
  };
  assert.deepEqual(await invites(), [room.roomId]);
  const other = `@dan:${peer.name}`;
  room.add(member(other, other, 'join'));
  const foreign = room.add(member(other, alice.userId, 'leave'));
  ok(await sendTransaction(peer, server, [foreign]));
  assert.deepEqual(await invites(), [room.roomId], 'not by somebody else');
  room.take(invite);
  const back = room.add(member(room.creator, alice.userId, 'leave'));
  assert.deepEqual(resultsOf(await sendTransaction(peer, server, [back])), { [back.eventId]: {} });
  assert.deepEqual(await invites(), []);
});

test('a flood of events is taken in, and the server goes on with its own users', async () => {
  await using server = await startPeer();
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const roomId = await createRoom(alice);
  const bob = await joinAsPeer(peer, server, roomId);
  const expected = Array.from({ length: 400 }, (_, index) => String(index));
  const events = expected.map((text) => bob.say(text));
  for (let first = 0; first < events.length; first += 50) {
    ok(await sendTransaction(peer, server, events.slice(first, first + 50)));
    ok(await alice.get('/sync?timeout=0'));
  }
  await untilSaid(alice, roomId, expected);
});

onEachEngine(
  'what users of a real Synapse say arrives',
  async (start) => {
    await using server = await startPeer({}, start);
    await using synapse = await startPeer({ program: 'synapse' });
    const alice = await server.register('alice');
    const bob = await synapse.register('bob');
    for (const version of ['6', '10', '12']) {
      const roomId = await createRoom(alice, { room_version: version });
      ok(await bob.post(`/join/${enc(roomId)}?server_name=${enc(server.name)}`));
      const expected = Array.from({ length: 10 }, (_, index) => `${version}-${String(index)}`);
      for (const body of expected) await say(bob, roomId, body);
      await untilSaid(alice, roomId, expected);
    }
  },
  { skip: hasSynapse ? false : NO_SYNAPSE },
);

onEachEngine(
  'what users of a real Synapse said while this server was away is read back',
  async (start) => {
    await using server = await startPeer({}, start);
    await using synapse = await startPeer({ program: 'synapse' });
    const alice = await server.register('alice');
    const bob = await synapse.register('bob');
    const roomId = await createRoom(alice);
    ok(await bob.post(`/join/${enc(roomId)}?server_name=${enc(server.name)}`));
    await say(bob, roomId, 'here');
    await untilSaid(alice, roomId, ['here']);
    await server.stop();
    const away = Array.from({ length: 130 }, (_, index) => `away ${String(index)}`);
    for (const body of away) await say(bob, roomId, body);
    await server.start();
    await say(alice, roomId, 'back');
    // Synapse may be in the midst of a pause before it tries again, which grows to a minute.
    await untilSaid(alice, roomId, ['here', ...away, 'back'], { ordered: false, patienceMs: 120_000 });
  },
  { skip: hasSynapse ? false : NO_SYNAPSE },
);

interface Synced {
  readonly next_batch: string;
  readonly rooms?: { readonly join?: Readonly<Record<string, { readonly ephemeral: { readonly events: readonly Json[] } }>> };
  readonly to_device?: { readonly events: readonly Json[] };
  readonly presence?: { readonly events: readonly Json[] };
  readonly device_lists?: { readonly changed?: readonly string[] };
}

const sync = async (reader: Person, since?: string): Promise<Synced> =>
  ok(await reader.get<Synced>(`/sync?timeout=${since === undefined ? '0' : `5000&since=${since}`}`));

/** Syncs on until something is told. */
const untilTold = async (reader: Person, since: string, what: (synced: Synced) => unknown): Promise<unknown> => {
  for (let [tries, from] = [0, since]; tries < 20; tries += 1) {
    const synced = await sync(reader, from);
    const told = what(synced);
    if (told !== undefined) return told;
    from = synced.next_batch;
  }
  throw new Error('It was not told');
};

const ephemeral =
  (roomId: string, type: string) =>
  ({ rooms }: Synced): unknown =>
    rooms?.join?.[roomId]?.ephemeral.events.find((event) => event['type'] === type)?.['content'];

const edu = (type: string, content: JsonObject): JsonObject => ({ edu_type: type, content });

onEachEngine('typing and receipts of other servers are shown, of their own users alone', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  await using outlaw = await startScriptedPeer('127.0.0.1');
  const alice = await server.register('alice');
  const roomId = await createRoom(alice);
  const bob = await joinAsPeer(peer, server, roomId);
  const eve = await joinAsPeer(outlaw, server, roomId, 'eve');
  ok(await alice.put(`/rooms/${enc(roomId)}/state/m.room.server_acl`, { allow: ['*'], allow_ip_literals: false }));
  const typing = (userId: unknown, isTyping: unknown): JsonObject =>
    edu('m.typing', { room_id: roomId, user_id: userId as string, typing: isTyping as boolean });
  const read = (userId: string, eventId: string, data: JsonObject = { ts: 1234 }, type = 'm.read'): JsonObject =>
    edu('m.receipt', { [roomId]: { [type]: { [userId]: { event_ids: [eventId], data } } } });
  const { next_batch: before } = await sync(alice);
  const message = bob.say('read this');
  const first = edu('m.presence', { push: [{ user_id: bob.userId, presence: 'online' }] });
  const odd = ['text', null, {}, edu('unknown', {}), { edu_type: 'm.typing' }, typing(1, 2), edu('m.receipt', { [roomId]: 1 }), first];
  ok(await sendTransaction(outlaw, server, [], { edus: [typing(eve.userId, true), read(eve.userId, message.eventId)] }));
  ok(
    await sendTransaction(peer, server, [message], {
      edus: [
        ...(odd as JsonObject[]),
        typing(alice.userId, true),
        typing(`@nobody:${peer.name}`, true),
        read(alice.userId, message.eventId),
        read(bob.userId, message.eventId, {}, 'm.read.private'),
        typing(bob.userId, true),
        read(bob.userId, message.eventId),
        read(bob.userId, message.eventId, { ts: 1235, thread_id: 'main' }),
      ],
    }),
  );
  assert.deepEqual(await untilTold(alice, before, ephemeral(roomId, 'm.typing')), { user_ids: [bob.userId] });
  let receipts: unknown;
  for (let tries = 0; tries < 400; tries += 1) {
    receipts = ephemeral(roomId, 'm.receipt')(await sync(alice));
    if (receipts !== undefined) break;
    await sleep(25);
  }
  assert.deepEqual(
    receipts,
    { [message.eventId]: { 'm.read': { [bob.userId]: { ts: 1234 } } } },
    'that of the whole room before that of a thread',
  );
  const { next_batch: later } = await sync(alice);
  const present = { user_id: bob.userId, presence: 'unavailable', last_active_ago: 5, status_msg: 'away' };
  const forged = { user_id: alice.userId, presence: 'unavailable', status_msg: 'forged' };
  const presences = [edu('m.presence', {}), edu('m.presence', { push: [1, { user_id: 1 }, forged, present] })];
  ok(await sendTransaction(peer, server, [], { edus: presences }));
  const told = await untilTold(alice, later, ({ presence }) => {
    const contents = presence?.events.filter((event) => event['sender'] === bob.userId).map((event) => event['content'] as Json);
    assert.ok(!JSON.stringify(presence ?? '').includes('forged'));
    return contents?.find((content) => content['presence'] === 'unavailable');
  });
  assert.equal((told as Json)['status_msg'], 'away');
  ok(await sendTransaction(peer, server, [], { edus: [typing(bob.userId, false)] }));
  assert.deepEqual(await untilTold(alice, later, ephemeral(roomId, 'm.typing')), { user_ids: [] });
});

onEachEngine('messages to devices arrive once, also when the server is killed after it has answered', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const bob = `@bob:${peer.name}`;
  const direct = (messageId: string, content: JsonObject, more: JsonObject = {}): JsonObject =>
    edu('m.direct_to_device', {
      sender: bob,
      type: 'm.test',
      message_id: messageId,
      messages: { [alice.userId]: { [alice.deviceId]: content }, [`@nobody:${server.name}`]: { '*': {} }, [bob]: { '*': {} } },
      ...more,
    });
  const edus = [
    direct('one', { n: 1 }),
    direct('one', { n: 1 }),
    direct('two', {}, { messages: { [alice.userId]: { '*': { n: 2 } } } }),
    direct('forged', { n: 3 }, { sender: '@bob:elsewhere.test' }),
    direct('strange', { n: 4 }, { messages: { [alice.userId]: 'text' } }),
    direct('large', { n: 'x'.repeat(65_536) }),
    edu('m.direct_to_device', { sender: bob }),
  ];
  ok(await sendTransaction(peer, server, [], { edus }));
  await server.kill();
  await server.start();
  ok(await sendTransaction(peer, server, [], { edus }));
  const { to_device: told, next_batch: since } = await sync(alice);
  assert.deepEqual(told?.events, [
    { type: 'm.test', sender: bob, content: { n: 1 } },
    { type: 'm.test', sender: bob, content: { n: 2 } },
  ]);
  const waiting = untilTold(alice, since, ({ to_device: later }) => later?.events[0]?.['content']);
  ok(await sendTransaction(peer, server, [], { edus: [direct('three', { n: 5 })] }));
  assert.deepEqual(await waiting, { n: 5 });
});

onEachEngine('users are told whose devices and keys have changed on other servers', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const stranger = await server.register('stranger');
  const bob = await joinAsPeer(peer, server, await createRoom(alice));
  const changed = ({ device_lists: lists }: Synced): unknown => (lists?.changed?.length === 0 ? undefined : lists?.changed);
  const update = (userId: string, id: number | string, previous: readonly (number | string)[]): JsonObject =>
    edu('m.device_list_update', {
      user_id: userId,
      device_id: 'D',
      stream_id: id,
      prev_id: previous,
      keys: { user_id: userId, device_id: 'D' },
    });
  const others = (await sync(stranger)).next_batch;
  for (const news of [
    update(bob.userId, 5, []),
    update(bob.userId, 6, [5]),
    update(bob.userId, '9', ['8']),
    edu('m.signing_key_update', { user_id: bob.userId, master_key: {} }),
  ]) {
    const { next_batch: since } = await sync(alice);
    const waiting = untilTold(alice, since, changed);
    ok(
      await sendTransaction(peer, server, [], { edus: [update('@x:elsewhere.test', 1, []), update(`@nobody:${peer.name}`, 1, []), news] }),
    );
    assert.deepEqual(await waiting, [bob.userId]);
  }
  const { device_lists: lists } = ok(await stranger.get<Synced>(`/sync?timeout=0&since=${others}`));
  assert.deepEqual(lists?.changed ?? [], []);
});
