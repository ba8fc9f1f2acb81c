import assert from 'node:assert/strict';
import { assertError, ok, type Client, type Json, type Person } from './support/client.ts';
import { onEachEngine } from './support/engines.ts';

interface Counts {
  readonly notification_count: number;
  readonly highlight_count: number;
}

interface Room {
  readonly unread_notifications: Counts;
  readonly unread_thread_notifications?: Readonly<Record<string, Counts>>;
}

interface Sync {
  readonly next_batch: string;
  readonly account_data?: { readonly events: readonly { readonly type: string; readonly content: Json }[] };
  readonly rooms?: { readonly join?: Readonly<Record<string, Room>> };
}

const id = encodeURIComponent;

const sync = async (person: Client, query = ''): Promise<Sync> => ok(await person.get<Sync>(`/sync?${query}`));

let sent = 0;
const say = async (person: Person, roomId: string, body: string, more: Json = {}): Promise<string> => {
  sent += 1;
  const path = `/rooms/${id(roomId)}/send/m.room.message/${String(sent)}`;
  return ok(await person.put<{ event_id: string }>(path, { msgtype: 'm.text', body, ...more })).event_id;
};

/** Two people in a room, and a third for company, so that it is not one to one. */
const inRoom = async (register: (name: string) => Promise<Person>): Promise<{ alice: Person; bob: Person; roomId: string }> => {
  const [alice, bob, carol] = [await register('alice'), await register('bob'), await register('carol')];
  const roomId = ok(await alice.post<{ room_id: string }>('/createRoom', { preset: 'public_chat' })).room_id;
  for (const person of [bob, carol]) ok(await person.post(`/rooms/${id(roomId)}/join`));
  return { alice, bob, roomId };
};

const countsOf = async (person: Client, roomId: string): Promise<[number, number]> => {
  const room = (await sync(person)).rooms?.join?.[roomId];
  assert.ok(room);
  return [room.unread_notifications.notification_count, room.unread_notifications.highlight_count];
};

onEachEngine('what is unread is counted with the event, and read by receipts and by answering', async (startOnEngine) => {
  await using server = await startOnEngine();
  const { alice, bob, roomId } = await inRoom(server.register);
  const { next_batch: since } = await sync(bob);
  const waiting = sync(bob, `since=${id(since)}&timeout=30000`);
  const first = await say(alice, roomId, 'hello');
  assert.deepEqual((await waiting).rooms?.join?.[roomId]?.unread_notifications, { notification_count: 1, highlight_count: 0 });
  await say(alice, roomId, 'look here', { 'm.mentions': { user_ids: [bob.userId] } });
  const named = await say(alice, roomId, 'bob, are you there?');
  assert.deepEqual(await countsOf(bob, roomId), [3, 2]);
  assert.deepEqual(await countsOf(alice, roomId), [0, 0]);

  const { next_batch: beforeReading } = await sync(bob);
  const told = sync(bob, `since=${id(beforeReading)}&timeout=30000`);
  ok(await bob.post(`/rooms/${id(roomId)}/receipt/m.read.private/${id(first)}`));
  assert.deepEqual((await told).rooms?.join?.[roomId]?.unread_notifications, { notification_count: 2, highlight_count: 2 });
  ok(await alice.put(`/rooms/${id(roomId)}/redact/${id(named)}/redaction`, {}));
  assert.deepEqual(await countsOf(bob, roomId), [1, 1]);
  await say(bob, roomId, 'here I am');
  assert.deepEqual(await countsOf(bob, roomId), [0, 0]);

  await say(alice, roomId, 'before the restart');
  await server.stop();
  await server.start();
  await say(alice, roomId, 'after the restart');
  assert.deepEqual(await countsOf(bob, roomId), [2, 0]);
});

onEachEngine('rules and ignored people hold from the next event on', async (startOnEngine) => {
  await using server = await startOnEngine();
  const { alice, bob, roomId } = await inRoom(server.register);
  const { next_batch: since } = await sync(bob);
  const waiting = sync(bob, `since=${id(since)}&timeout=30000`);
  const keyword = '/pushrules/global/content/tea';
  ok(await bob.put(keyword, { pattern: 'tea', actions: ['notify', { set_tweak: 'highlight' }] }));
  const rules = (await waiting).account_data?.events.find((event) => event.type === 'm.push_rules')?.content;
  assert.deepEqual(rules, ok(await bob.get('/pushrules/')));
  await say(alice, roomId, 'time for tea');
  assert.deepEqual(await countsOf(bob, roomId), [1, 1]);
  ok(await bob.put(`/pushrules/global/room/${id(roomId)}`, { actions: [] }));
  await say(alice, roomId, 'hello');
  await say(alice, roomId, 'more tea');
  assert.deepEqual(await countsOf(bob, roomId), [2, 2]);
  ok(await bob.put('/pushrules/global/override/.m.rule.master/enabled', { enabled: true }));
  await say(alice, roomId, 'even more tea');
  assert.deepEqual(await countsOf(bob, roomId), [2, 2]);
  ok(await bob.put('/pushrules/global/override/.m.rule.master/enabled', { enabled: false }));
  ok(await bob.delete(`/pushrules/global/room/${id(roomId)}`));
  ok(await bob.put(`/user/${id(bob.userId)}/account_data/m.ignored_user_list`, { ignored_users: { [alice.userId]: {} } }));
  await say(alice, roomId, 'tea for nobody');
  assert.deepEqual(await countsOf(bob, roomId), [2, 2]);
  assertError(await bob.put('/pushrules/global/content/.dot', { pattern: 'x', actions: [] }), 400, 'M_UNKNOWN');
  assertError(await bob.delete(`${keyword}s`), 404, 'M_NOT_FOUND');
});

onEachEngine('threads are counted apart for who asks so', async (startOnEngine) => {
  await using server = await startOnEngine();
  const { alice, bob, roomId } = await inRoom(server.register);
  const root = await say(alice, roomId, 'root');
  const inThread = { 'm.relates_to': { rel_type: 'm.thread', event_id: root } };
  const last = await say(alice, roomId, 'one', inThread);
  await say(alice, roomId, 'two for bob', inThread);
  const byThread = async (): Promise<Room | undefined> =>
    (await sync(bob, `filter=${id('{"room":{"timeline":{"unread_thread_notifications":true}}}')}`)).rooms?.join?.[roomId];
  const counted = await byThread();
  assert.deepEqual(counted?.unread_notifications, { notification_count: 1, highlight_count: 0 });
  assert.deepEqual(counted?.unread_thread_notifications, { [root]: { notification_count: 2, highlight_count: 1 } });
  assert.deepEqual(await countsOf(bob, roomId), [3, 1]);
  ok(await bob.post(`/rooms/${id(roomId)}/receipt/m.read/${id(last)}`, { thread_id: root }));
  assert.deepEqual((await byThread())?.unread_thread_notifications, { [root]: { notification_count: 1, highlight_count: 1 } });
  ok(await bob.post(`/rooms/${id(roomId)}/receipt/m.read/${id(root)}`, { thread_id: 'main' }));
  assert.deepEqual((await byThread())?.unread_notifications, { notification_count: 0, highlight_count: 0 });
  assert.deepEqual(await countsOf(bob, roomId), [1, 1]);
});

onEachEngine('events that tie rooms together are shown to nobody and are not unread, whatever the rules', async (startOnEngine) => {
  await using server = await startOnEngine();
  const { alice, bob, roomId } = await inRoom(server.register);
  ok(await bob.put(`/pushrules/global/room/${id(roomId)}`, { actions: ['notify'] }));
  const { next_batch: since } = await sync(bob);
  const path = `/rooms/${id(roomId)}/send/org.matrix.dummy_event/1`;
  const { event_id: eventId } = ok(await alice.put<{ event_id: string }>(path, {}));
  assert.deepEqual(await countsOf(bob, roomId), [0, 0]);
  assertError(await bob.get(`/rooms/${id(roomId)}/event/${id(eventId)}`), 404, 'M_NOT_FOUND');
  await say(alice, roomId, 'hello');
  assert.deepEqual(await countsOf(bob, roomId), [1, 0]);
  const told = JSON.stringify(await sync(bob, `since=${id(since)}`));
  assert.ok(told.includes('hello'));
  assert.ok(!told.includes(eventId));
});
