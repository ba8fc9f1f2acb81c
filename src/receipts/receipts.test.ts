import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withBothDatabases } from '#test/support/databases.ts';
import { member, message, openRoomsWorld } from '#test/support/rooms-world.ts';
import { systemClock } from '#src/platform/clock.ts';
import { createStrings } from '#src/platform/database/strings.ts';
import type { Requester } from '#src/accounts/index.ts';
import { createAccountData } from '#src/account-data/index.ts';
import type { RoomEvent } from '#src/rooms/graph/index.ts';
import { createReceipts } from '#src/receipts/index.ts';
import { isInThread } from '#src/receipts/threads.ts';

const ALICE = '@alice:one.example';
const BOB = '@bob:one.example';

withBothDatabases('receipts move on, by thread, and private ones are for their user alone', async (_t, open) => {
  const database = await open();
  const strings = createStrings(database);
  const world = await openRoomsWorld(database);
  const accountData = createAccountData({ database, strings });
  const tools = { database, strings, clock: systemClock, graph: world.graph, accountData };
  const receipts = createReceipts(tools);
  const woken: number[] = [];
  receipts.source.follow({ room: (num) => woken.push(num) });
  const room = await world.makeRoom(ALICE);
  await world.append(room, member(BOB, BOB, 'join'));
  const sent: RoomEvent[] = [];
  for (let index = 0; index < 3; index++) sent.push(await world.append(room, message(ALICE, String(index))));
  const idOf = (index: number): string => sent[index]?.eventId ?? '';
  const inThread = await world.append(room, {
    ...message(BOB, 'threaded'),
    content: { body: 'threaded', 'm.relates_to': { rel_type: 'm.thread', event_id: idOf(0) } },
  });
  const nums = await strings.intern([ALICE, BOB, '@carol:one.example']);
  const requester = (userId: string): Requester => ({
    userId,
    userNum: nums.get(userId) as number,
    deviceId: 'D',
    sessionNum: 1,
    isGuest: false,
    isAdmin: false,
  });
  const mark = async (userId: string, type: 'm.read' | 'm.read.private' | 'm.fully_read', eventId: string, threadId?: string) =>
    receipts.mark(requester(userId), room.roomId, [{ type, eventId, threadId }]);
  const told = async (userId: string, after?: number, from = receipts): Promise<unknown> => {
    const span = { after, upTo: from.source.now().position };
    const [event] = (await from.source.ephemeral(requester(userId), [room.num], span)).get(room.num) ?? [];
    const marks = Object.entries(event?.content ?? {}).flatMap(([eventId, types]) =>
      Object.entries(types).flatMap(([type, users]) =>
        Object.entries(users).map(([user, { thread_id: threadId }]) => [eventId, type, user, threadId ?? ''].join(' ')),
      ),
    );
    return marks.toSorted();
  };
  await mark(ALICE, 'm.read', idOf(1));
  await mark(ALICE, 'm.read', idOf(0));
  assert.deepEqual(await told(BOB), [`${idOf(1)} m.read ${ALICE} `]);
  const since = receipts.source.now().position;
  await mark(ALICE, 'm.read.private', idOf(2));
  await mark(BOB, 'm.read', inThread.eventId, idOf(0));
  await mark(BOB, 'm.read', idOf(1), 'main');
  const forBob = [`${inThread.eventId} m.read ${BOB} ${idOf(0)}`, `${idOf(1)} m.read ${BOB} main`].toSorted();
  for (const each of [receipts, createReceipts(tools)]) {
    assert.deepEqual(await told(BOB, since, each), forBob);
    assert.deepEqual(await told(ALICE, since, each), [...forBob, `${idOf(2)} m.read.private ${ALICE} `].toSorted());
  }
  await mark(BOB, 'm.read', idOf(1));
  await mark(BOB, 'm.read', idOf(1), 'main');
  const wholeRoom = [`${inThread.eventId} m.read ${BOB} ${idOf(0)}`, `${idOf(1)} m.read ${BOB} `].toSorted();
  for (const each of [receipts, createReceipts(tools)])
    assert.deepEqual(await told(BOB, since, each), wholeRoom, 'the receipt of the whole room is told before that of a thread');
  assert.ok(woken.every((num) => num === room.num) && woken.length >= 4);

  const marker = { userNum: requester(BOB).userNum, roomNum: room.num, type: 'm.fully_read' };
  await mark(BOB, 'm.fully_read', idOf(2));
  await mark(BOB, 'm.fully_read', idOf(1));
  assert.equal(await accountData.get(marker), JSON.stringify({ event_id: idOf(2) }));

  await assert.rejects(mark(BOB, 'm.read', inThread.eventId, 'main'), { status: 400, errcode: 'M_INVALID_PARAM' });
  await assert.rejects(mark(BOB, 'm.read', '$nothing'), { status: 404, errcode: 'M_NOT_FOUND' });
  await assert.rejects(mark('@carol:one.example', 'm.read', idOf(0)), { status: 403, errcode: 'M_FORBIDDEN' });
  world.close();
});

test('what relates to a thread without answering in it may be read there', async () => {
  const event = (eventId: string, relation?: object) =>
    ({ eventId, pdu: { content: relation === undefined ? {} : { 'm.relates_to': relation } } }) as unknown as RoomEvent;
  const root = event('$root');
  const answer = event('$answer', { rel_type: 'm.thread', event_id: '$root' });
  const reference = event('$reference', { rel_type: 'm.reference', event_id: '$root' });
  const reaction = event('$reaction', { rel_type: 'm.annotation', event_id: '$reference' });
  const stranger = event('$stranger');
  const known = new Map([root, answer, reference, reaction, stranger].map((each) => [each.eventId, each]));
  const events = { byId: async (eventId: string) => Promise.resolve(known.get(eventId)) };
  for (const each of [root, answer, reference, reaction]) assert.equal(await isInThread(events, each, '$root'), true, each.eventId);
  assert.equal(await isInThread(events, stranger, '$root'), false);
  assert.equal(await isInThread(events, answer, 'main'), false);
  for (const each of [root, reaction, stranger]) assert.equal(await isInThread(events, each, 'main'), true, each.eventId);
});
