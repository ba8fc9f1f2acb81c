// What this server sends to others: everything, in order, within the limits, whatever stops in between; and nobody waits for one that is slow.

import assert from 'node:assert/strict';
import { ok, type Json, type Person } from '#test/support/client.ts';
import { onEachEngine } from '#test/support/engines.ts';
import { startPeer } from '#test/support/federation.ts';
import { takeStep } from '#test/support/remote-user.ts';
import { startScriptedPeer, type ScriptedPeer } from '#test/support/scripted-peer.ts';
import type { Server } from '#test/support/server.ts';
import { takeTransactions, textsIn, until } from '#test/support/transactions.ts';

const createRoom = async (creator: Person): Promise<string> =>
  ok(await creator.post<{ room_id: string }>('/createRoom', { preset: 'public_chat' })).room_id;

const say = async (person: Person, roomId: string, body: string): Promise<void> => {
  ok(await person.put(`/rooms/${encodeURIComponent(roomId)}/send/m.room.message/${encodeURIComponent(body)}`, { msgtype: 'm.text', body }));
};

const sayAll = async (person: Person, roomId: string, bodies: readonly string[]): Promise<void> => {
  for (const body of bodies) await say(person, roomId, body);
};

const numbered = (count: number, name = 'm'): string[] => Array.from({ length: count }, (_, index) => `${name}${String(index)}`);

const join = async (peer: ScriptedPeer, server: Server, roomId: string, user = 'bob'): Promise<void> => {
  ok((await takeStep(peer, server, 'join', roomId, `@${user}:${peer.name}`)).answer);
};

const patience = (interval: string): { settings: Json } => ({ settings: { federation: { destination_min_retry_interval: interval } } });

onEachEngine('a server in the room gets its events, in order and fifty at a time', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  const sent = takeTransactions(peer);
  const alice = await server.register('alice');
  const roomId = await createRoom(alice);
  await say(alice, roomId, 'before');
  await join(peer, server, roomId);
  sent.answer(undefined);
  const bodies = numbered(120);
  await say(alice, roomId, 'm0');
  await until('the first transaction', () => sent.all.length === 1);
  await sayAll(alice, roomId, bodies.slice(1));
  sent.answer(200);
  await until('all messages', () => textsIn(sent.taken()).length === bodies.length);
  assert.deepEqual(textsIn(sent.taken()), bodies);
  assert.deepEqual(
    sent.all.map(({ pdus }) => pdus.length),
    [1, 50, 50, 19],
  );
  assert.equal(sent.mostAtOnce, 1);
  assert.equal(new Set(sent.all.map(({ id }) => id)).size, 4);
  const { pdus } = sent.taken()[0] as (typeof sent.all)[number];
  const [pdu] = pdus;
  assert.equal(pdu?.['sender'], alice.userId);
  assert.ok(pdu['signatures'] !== undefined && pdu['prev_events'] !== undefined && pdu['unsigned'] === undefined);
  ok((await takeStep(peer, server, 'leave', roomId, `@bob:${peer.name}`)).answer);
  const other = await createRoom(alice);
  await join(peer, server, other);
  await say(alice, roomId, 'after');
  await say(alice, other, 'elsewhere');
  await until('the message in the other room', () => textsIn(sent.taken()).includes('elsewhere'));
  assert.ok(!textsIn(sent.taken()).includes('after'), 'nothing of a room that it has left');
});

onEachEngine('a transaction that fails is sent again under the same id, also after it was left alone', async (start) => {
  await using server = await startPeer(patience('1s'), start);
  await using peer = await startScriptedPeer();
  const sent = takeTransactions(peer);
  const alice = await server.register('alice');
  const roomId = await createRoom(alice);
  await join(peer, server, roomId);
  sent.answer(502);
  await say(alice, roomId, 'one');
  await until('several tries', () => sent.all.length >= 5);
  await say(alice, roomId, 'two');
  sent.answer(200);
  await until('both messages', () => textsIn(sent.taken()).length === 2);
  assert.deepEqual(textsIn(sent.taken()), ['one', 'two']);
  const [first, second] = sent.taken();
  assert.deepEqual(new Set(sent.all.slice(0, -1).map(({ id }) => id)), new Set([first?.id]));
  assert.notEqual(second?.id, first?.id);
});

onEachEngine('a crash between the commit and the sending loses nothing', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  const sent = takeTransactions(peer);
  const alice = await server.register('alice');
  const roomId = await createRoom(alice);
  await join(peer, server, roomId);
  await say(alice, roomId, 'first');
  await until('the first message', () => textsIn(sent.taken()).length === 1);
  for (let round = 0; round < 3; round += 1) {
    sent.answer(undefined);
    const bodies = numbered(8, `r${String(round)}n`);
    await sayAll(alice, roomId, bodies);
    await server.kill();
    sent.answer(200);
    await server.start();
    await until('what the crash left', () => bodies.every((body) => textsIn(sent.taken()).includes(body)));
  }
});

onEachEngine('a server that was away for long gets the latest of each room, once it is heard of', async (start) => {
  await using server = await startPeer(patience('2h'), start);
  await using peer = await startScriptedPeer();
  const sent = takeTransactions(peer);
  const alice = await server.register('alice');
  const rooms = [await createRoom(alice), await createRoom(alice)];
  for (const roomId of rooms) await join(peer, server, roomId);
  sent.answer(503);
  for (const [index, roomId] of rooms.entries()) await sayAll(alice, roomId, numbered(5, `room${String(index)}n`));
  await until('that it is left alone', () => sent.all.length >= 4);
  await server.stop();
  await server.start();
  await say(alice, rooms[0] as string, 'last');
  sent.answer(200);
  await peer.ask(server, 'GET', '/_matrix/federation/v1/publicRooms');
  await until('the latest of both rooms', () => textsIn(sent.taken()).length >= 2);
  await say(alice, rooms[1] as string, 'as before');
  await until('what is said now', () => textsIn(sent.taken()).includes('as before'));
  assert.deepEqual(textsIn(sent.taken()), ['room1n4', 'last', 'as before']);
  await server.stop();
  const tries = sent.all.length;
  await server.start();
  await say(alice, rooms[1] as string, 'again');
  await until('what is said after a restart', () => textsIn(sent.taken()).includes('again'));
  assert.equal(sent.all.length, tries + 1, 'nothing is left over');
});

onEachEngine('nobody waits for a server that does not answer', async (start) => {
  await using server = await startPeer({}, start);
  await using slow = await startScriptedPeer();
  await using quick = await startScriptedPeer();
  const [toSlow, toQuick] = [takeTransactions(slow), takeTransactions(quick)];
  const alice = await server.register('alice');
  const roomId = await createRoom(alice);
  await join(slow, server, roomId);
  await join(quick, server, roomId);
  await until('that the first is told of the second', () => toSlow.taken().length === 1);
  const [told] = toSlow.taken();
  assert.deepEqual(
    told?.pdus.map((pdu) => [pdu.type, pdu['sender']]),
    [['m.room.member', `@bob:${quick.name}`]],
  );
  toSlow.answer(undefined);
  const bodies = numbered(30);
  await sayAll(alice, roomId, bodies);
  await until('all at the quick one', () => textsIn(toQuick.taken()).length === bodies.length);
  assert.deepEqual(textsIn(toQuick.taken()), bodies);
  ok(await alice.post(`/rooms/${encodeURIComponent(roomId)}/kick`, { user_id: `@bob:${quick.name}` }));
  await until('that it was put out', () => toQuick.taken().some(({ pdus }) => pdus.some(({ type }) => type === 'm.room.member')));
  toSlow.answer(200);
  await until('all at the slow one', () => textsIn(toSlow.taken()).length === bodies.length);
  assert.deepEqual(textsIn(toSlow.taken()), bodies);
});

onEachEngine('a server that refuses what it is sent does not get it for ever', async (start) => {
  await using server = await startPeer(patience('1s'), start);
  await using peer = await startScriptedPeer();
  const sent = takeTransactions(peer);
  const alice = await server.register('alice');
  const roomId = await createRoom(alice);
  await join(peer, server, roomId);
  sent.answer(400);
  await say(alice, roomId, 'refused');
  await until('the refusal', () => sent.all.some(({ status }) => status === 400));
  sent.answer(200);
  await say(alice, roomId, 'taken');
  await until('the next', () => textsIn(sent.taken()).length === 1);
  assert.deepEqual(textsIn(sent.taken()), ['taken']);
});
