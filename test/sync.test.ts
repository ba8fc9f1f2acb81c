import assert from 'node:assert/strict';
import { assertError, ok, type Client, type Json, type Person } from './support/client.ts';
import { onEachEngine } from './support/engines.ts';

interface Event {
  readonly type: string;
  readonly event_id: string;
  readonly content: Json;
  readonly unsigned?: Json;
}

interface Room {
  readonly timeline: { readonly events: readonly Event[]; readonly limited: boolean; readonly prev_batch: string };
  readonly state: { readonly events: readonly Event[] };
  readonly summary?: Json;
}

interface Sync {
  readonly next_batch: string;
  readonly device_one_time_keys_count: Json;
  readonly rooms?: {
    readonly join?: Readonly<Record<string, Room>>;
    readonly invite?: Readonly<Record<string, Json>>;
    readonly leave?: Readonly<Record<string, Room>>;
  };
}

const id = encodeURIComponent;

const sync = async (person: Client, since?: string, query = ''): Promise<Sync> =>
  ok(await person.get<Sync>(`/sync?${since === undefined ? '' : `since=${id(since)}`}${query}`));

const createRoom = async (person: Client, request: Json = {}): Promise<string> =>
  ok(await person.post<{ room_id: string }>('/createRoom', request)).room_id;

const say = async (person: Person, roomId: string, body: string): Promise<string> =>
  ok(await person.put<{ event_id: string }>(`/rooms/${id(roomId)}/send/m.room.message/${id(body)}`, { msgtype: 'm.text', body })).event_id;

const bodies = (room: Room | undefined): unknown[] => (room?.timeline.events ?? []).map((event) => event.content['body'] ?? event.type);

onEachEngine('two people hear of each other by sync', async (startOnEngine) => {
  await using server = await startOnEngine();
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const roomId = await createRoom(alice, { preset: 'private_chat', name: 'Quiet' });
  const before = await sync(bob);
  assert.equal(before.rooms, undefined);
  assert.deepEqual(before.device_one_time_keys_count, { signed_curve25519: 0 });

  const waiting = sync(bob, before.next_batch, '&timeout=30000');
  ok(await alice.post(`/rooms/${id(roomId)}/invite`, { user_id: bob.userId }));
  const invited = await waiting;
  assert.ok(invited.rooms?.invite?.[roomId]);

  ok(await bob.post(`/rooms/${id(roomId)}/join`));
  const arrived = await sync(bob, invited.next_batch);
  assert.equal(arrived.rooms?.join?.[roomId]?.timeline.limited, true);
  assert.deepEqual(arrived.rooms?.join?.[roomId]?.summary, { 'm.joined_member_count': 2, 'm.invited_member_count': 0 });
  const told = bob.get<Sync>(`/sync?since=${id(arrived.next_batch)}&timeout=30000`);
  const eventId = await say(alice, roomId, 'hello');
  const heard = ok(await told);
  assert.deepEqual(bodies(heard.rooms?.join?.[roomId]), ['hello']);
  assert.equal(heard.rooms?.join?.[roomId]?.summary, undefined, 'nobody came or went');
  const [toBob] = heard.rooms?.join?.[roomId]?.timeline.events ?? [];
  assert.equal(toBob?.unsigned?.['transaction_id'], undefined);

  const own = await sync(alice);
  const mine = own.rooms?.join?.[roomId]?.timeline.events.find((event) => event.event_id === eventId);
  assert.equal(mine?.unsigned?.['transaction_id'], 'hello', 'the device that sent it knows it again');

  ok(await alice.post(`/rooms/${id(roomId)}/kick`, { user_id: bob.userId }));
  await say(alice, roomId, 'without Bob');
  const gone = await sync(bob, heard.next_batch);
  assert.deepEqual(bodies(gone.rooms?.leave?.[roomId]), ['m.room.member']);
});

onEachEngine('a client that was away gets the newest, and reads the rest backwards', async (startOnEngine) => {
  await using server = await startOnEngine();
  const alice = await server.register('alice');
  const roomId = await createRoom(alice);
  const { next_batch: since } = await sync(alice);
  for (let index = 0; index < 12; index++) await say(alice, roomId, `m${String(index)}`);
  await server.stop();
  await server.start();
  const room = (await sync(alice, since)).rooms?.join?.[roomId];
  assert.equal(room?.timeline.limited, true);
  assert.deepEqual(bodies(room).length, 10);
  const from = id(room?.timeline.prev_batch ?? '');
  const page = ok(await alice.get<{ chunk: Event[] }>(`/rooms/${id(roomId)}/messages?dir=b&limit=2&from=${from}`));
  assert.deepEqual(
    page.chunk.map((event) => event.content['body']),
    ['m1', 'm0'],
  );
  // The same question has the same answer, from memory or not.
  assert.deepEqual(bodies((await sync(alice, since)).rooms?.join?.[roomId]), bodies(room));
});

onEachEngine('filters by id and in the query, and what is no filter or token', async (startOnEngine) => {
  await using server = await startOnEngine();
  const alice = await server.register('alice');
  const roomId = await createRoom(alice, { name: 'Lazy' });
  await say(alice, roomId, 'hello');
  const filter = { room: { timeline: { limit: 1 }, state: { lazy_load_members: true } } };
  const { filter_id: filterId } = ok(await alice.post<{ filter_id: string }>(`/user/${id(alice.userId)}/filter`, filter));
  const byId = (await sync(alice, undefined, `&filter=${filterId}`)).rooms?.join?.[roomId];
  assert.deepEqual(bodies(byId), ['hello']);
  assert.equal(byId?.summary?.['m.joined_member_count'], 1);
  const inline = (await sync(alice, undefined, `&filter=${id(JSON.stringify(filter))}`)).rooms?.join?.[roomId];
  assert.deepEqual(bodies(inline), ['hello']);
  const nothing = { room: { timeline: { limit: 0 }, include_leave: true } };
  ok(await alice.post(`/rooms/${id(roomId)}/leave`));
  const gone = (await sync(alice, undefined, `&filter=${id(JSON.stringify(nothing))}`)).rooms?.leave?.[roomId];
  assert.deepEqual(bodies(gone), []);
  assert.equal(gone?.state.events.find((event) => event.type === 'm.room.member')?.content['membership'], 'leave');
  ok(await alice.get('/_matrix/client/r0/sync?full_state=true&set_presence=offline'));
  assertError(await alice.get('/sync?filter=77'), 400, 'M_INVALID_PARAM');
  assertError(await alice.get(`/sync?filter=${id('{"room":1}')}`), 400, 'M_BAD_JSON');
  assertError(await alice.get('/sync?since=yesterday'), 400, 'M_UNKNOWN');
  assertError(await alice.get('/sync?from=s1'), 400, 'M_UNKNOWN');
  assertError(await alice.get('/sync?set_presence=asleep'), 400, 'M_INVALID_PARAM');
  assertError(await server.anybody.get('/sync'), 401, 'M_MISSING_TOKEN');
});
