// The first version of the API, as far as Synapse still answers it: the event stream and looking into rooms from outside, first snapshots, sending without
// transaction ids, the page to log in by.

import assert from 'node:assert/strict';
import { assertError, ok, personOf, type Client, type Json, type Person, type Session } from './support/client.ts';
import { onEachEngine } from './support/engines.ts';
import type { Server } from './support/server.ts';

interface Event {
  readonly type: string;
  readonly content: Json;
  readonly event_id?: string;
  readonly room_id?: string;
  readonly state_key?: string;
  readonly sender?: string;
}

interface Chunk {
  readonly chunk: readonly Event[];
  readonly start: string;
  readonly end: string;
}

interface Room {
  readonly room_id: string;
  readonly membership?: string;
  readonly visibility?: string;
  readonly inviter?: string;
  readonly invite?: Event;
  readonly messages?: Chunk;
  readonly state?: readonly Event[];
  readonly account_data?: readonly Event[];
  readonly receipts?: readonly Event[];
}

interface Snapshot {
  readonly rooms: readonly Room[];
  readonly account_data: readonly Event[];
  readonly receipts: readonly Event[];
  readonly end: string;
}

const id = encodeURIComponent;

const createRoom = async (person: Client, request: Json = {}): Promise<string> =>
  ok(await person.post<{ room_id: string }>('/createRoom', { preset: 'public_chat', ...request })).room_id;

const say = async (person: Client, roomId: string, body: string): Promise<string> =>
  ok(await person.post<{ event_id: string }>(`/rooms/${id(roomId)}/send/m.room.message`, { msgtype: 'm.text', body })).event_id;

const events = async (person: Client, query: string): Promise<Chunk> => ok(await person.get<Chunk>(`/events?${query}`));

const bodies = ({ chunk }: Pick<Chunk, 'chunk'>): unknown[] => chunk.flatMap((event) => event.content['body'] ?? []);

const snapshotOf = async (person: Client, query = ''): Promise<Snapshot> => ok(await person.get<Snapshot>(`/initialSync${query}`));

const registerGuest = async (server: Server): Promise<Person> =>
  personOf(server.pool, ok(await server.anybody.post<Session>('/register?kind=guest', {})));

/** Who asks by the event stream is present, which is told in it as well: see `presence.test.ts`. */
const WITHOUT_PRESENCE = { settings: { presence: { enabled: false } } };

const WORLD_READABLE = {
  initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: 'world_readable' } }],
};

onEachEngine('the event stream leaves nothing out, a few events at a time and over a restart', async (startOnEngine) => {
  await using server = await startOnEngine(WITHOUT_PRESENCE);
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const rooms: string[] = [];
  for (let index = 0; index < 10; index += 1) {
    const roomId = await createRoom(alice);
    rooms.push(roomId);
    ok(await bob.post(`/join/${id(roomId)}`));
  }
  const { end: start } = await snapshotOf(bob);
  const said: string[] = [];
  for (let index = 0; index < 35; index += 1) {
    said.push(String(index));
    await say(alice, rooms[(index * 7) % rooms.length] as string, String(index));
  }
  const collect = async (limit: number, isLast: (heard: readonly unknown[]) => boolean): Promise<unknown[]> => {
    const heard: unknown[] = [];
    for (let from = start; !isLast(heard);) {
      const chunk = await events(bob, `timeout=0&limit=${String(limit)}&from=${from}`);
      assert.equal(chunk.start, from);
      assert.ok(chunk.chunk.length <= limit);
      assert.notEqual(chunk.end, from);
      heard.push(...bodies(chunk));
      from = chunk.end;
    }
    return heard;
  };
  for (const limit of [1, 3, 10, 100]) assert.deepEqual(await collect(limit, (heard) => heard.length >= said.length), said, String(limit));
  await server.kill();
  await server.start();
  assert.deepEqual(await collect(4, (heard) => heard.length >= said.length), said, 'after a restart');
});

onEachEngine('the event stream waits, and tells of everything in one line', async (startOnEngine) => {
  await using server = await startOnEngine(WITHOUT_PRESENCE);
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const roomId = await createRoom(alice);
  ok(await bob.post(`/join/${id(roomId)}`));
  let { end } = await snapshotOf(bob);
  /** The next that bob hears of, who waits before it happens. */
  const next = async (happen: () => Promise<unknown>): Promise<readonly Event[]> => {
    const waiting = events(bob, `timeout=20000&from=${end}`);
    await happen();
    const chunk = await waiting;
    end = chunk.end;
    return chunk.chunk;
  };
  const [message] = await next(() => say(alice, roomId, 'hello'));
  assert.deepEqual([message?.type, message?.room_id, message?.content['body']], ['m.room.message', roomId, 'hello']);
  const typing = await next(async () => alice.put(`/rooms/${id(roomId)}/typing/${alice.userId}`, { typing: true, timeout: 20_000 }));
  assert.deepEqual(typing, [{ type: 'm.typing', room_id: roomId, content: { user_ids: [alice.userId] } }]);
  const eventId = message?.event_id ?? '';
  const [receipt] = await next(async () => alice.post(`/rooms/${id(roomId)}/receipt/m.read/${id(eventId)}`));
  assert.deepEqual([receipt?.type, receipt?.room_id, Object.keys(receipt?.content ?? {})], ['m.receipt', roomId, [eventId]]);
  const own = await next(async () => bob.put(`/user/${bob.userId}/account_data/org.example.mine`, { a: 1 }));
  assert.deepEqual(own, [{ type: 'org.example.mine', content: { a: 1 } }]);
  const tags = await next(async () => bob.put(`/user/${bob.userId}/rooms/${id(roomId)}/tags/u.x`, {}));
  assert.deepEqual(tags, [{ type: 'm.tag', room_id: roomId, content: { tags: { 'u.x': {} } } }]);
  const invited = await createRoom(alice, { preset: 'private_chat' });
  const [invite] = await next(async () => alice.post(`/rooms/${id(invited)}/invite`, { user_id: bob.userId }));
  assert.deepEqual([invite?.room_id, invite?.state_key, invite?.content['membership']], [invited, bob.userId, 'invite']);
  const [join] = await next(async () => bob.post(`/join/${id(invited)}`));
  assert.equal(join?.content['membership'], 'join');
  assert.deepEqual(bodies({ chunk: await next(async () => say(alice, invited, 'welcome')) }), ['welcome']);
  await say(alice, roomId, 'last');
  const kicked = ok(await alice.post(`/rooms/${id(roomId)}/kick`, { user_id: bob.userId }));
  assert.deepEqual(kicked, {});
  await say(alice, roomId, 'not for bob');
  const left = await events(bob, `timeout=0&from=${end}`);
  assert.deepEqual(
    left.chunk.map((event) => event.content['body'] ?? event.content['membership']),
    ['last', 'leave'],
  );
  assert.deepEqual((await events(bob, `timeout=0&from=${left.end}`)).chunk, []);
  const raw = await events(bob, `timeout=0&raw=true&from=${end}`);
  assert.ok(raw.chunk.every((event) => 'hashes' in event && 'auth_events' in event));
});

onEachEngine('who is not in a room looks into it if all the world may', async (startOnEngine) => {
  await using server = await startOnEngine({ settings: { allow_guest_access: true } });
  const [alice, carol] = [await server.register('alice'), await server.register('carol')];
  const guest = await registerGuest(server);
  const [open, closed] = [await createRoom(alice, { name: 'Open', ...WORLD_READABLE }), await createRoom(alice)];
  for (const person of [carol, guest]) {
    await say(alice, open, 'before');
    assertError(await person.get(`/rooms/${id(closed)}/initialSync`), 403, 'M_FORBIDDEN');
    assertError(await person.get(`/events?timeout=0&room_id=${id(closed)}`), 403, 'M_FORBIDDEN');
    const room = ok(await person.get<Room>(`/rooms/${id(open)}/initialSync?limit=1`));
    assert.deepEqual([room.membership, bodies(room.messages as Chunk)], [undefined, ['before']]);
    assert.ok(room.state?.some((event) => event.type === 'm.room.name' && event.content['name'] === 'Open'));
    const from = room.messages?.end ?? '';
    const waiting = events(person, `timeout=20000&from=${from}&room_id=${id(open)}`);
    await say(alice, closed, 'elsewhere');
    await say(alice, open, `for ${person.userId}`);
    const chunk = await waiting;
    assert.deepEqual(bodies(chunk), [`for ${person.userId}`]);
    await alice.put(`/rooms/${id(open)}/typing/${alice.userId}`, { typing: true, timeout: 20_000 });
    const typing = await events(person, `timeout=20000&from=${chunk.end}&room_id=${id(open)}`);
    assert.deepEqual(typing.chunk, [{ type: 'm.typing', room_id: open, content: { user_ids: [alice.userId] } }]);
    await alice.put(`/rooms/${id(open)}/typing/${alice.userId}`, { typing: false });
  }
  assertError(await guest.get('/events?timeout=0'), 400, 'M_UNKNOWN');
  const { end } = await events(carol, `timeout=0&room_id=${id(open)}`);
  const setVisibility = async (history_visibility: string) =>
    ok(await alice.put(`/rooms/${id(open)}/state/m.room.history_visibility`, { history_visibility }));
  await say(alice, open, 'still open');
  const late = events(carol, `timeout=20000&limit=100&from=${end}&room_id=${id(open)}`);
  assert.deepEqual(bodies(await late), ['still open']);
  await setVisibility('joined');
  await say(alice, open, 'among us');
  assertError(await carol.get(`/events?timeout=0&from=${end}&room_id=${id(open)}`), 403, 'M_FORBIDDEN');
  await setVisibility('world_readable');
  assert.deepEqual(bodies(await events(carol, `timeout=0&limit=100&from=${end}&room_id=${id(open)}`)), ['still open']);
});

onEachEngine('a first snapshot has rooms, invites, and rooms that were left', async (startOnEngine) => {
  await using server = await startOnEngine(WITHOUT_PRESENCE);
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const shared = await createRoom(alice, { visibility: 'public' });
  const left = await createRoom(alice);
  const invited = await createRoom(alice, { preset: 'private_chat', invite: [bob.userId] });
  for (const roomId of [shared, left]) ok(await bob.post(`/join/${id(roomId)}`));
  for (let index = 0; index < 4; index += 1) for (const roomId of [shared, left]) await say(alice, roomId, String(index));
  const read = await say(alice, shared, 'read');
  ok(await bob.post(`/rooms/${id(shared)}/receipt/m.read.private/${id(read)}`));
  ok(await alice.post(`/rooms/${id(shared)}/receipt/m.read/${id(read)}`));
  ok(await bob.put(`/user/${bob.userId}/rooms/${id(shared)}/account_data/org.example.room`, { a: 1 }));
  ok(await bob.put(`/user/${bob.userId}/account_data/org.example.all`, { b: 2 }));
  ok(await bob.post(`/rooms/${id(left)}/leave`));
  ok(await alice.put(`/rooms/${id(left)}/state/m.room.topic`, { topic: 'later' }));
  await say(alice, left, 'later');
  const check = async (): Promise<void> => {
    const snapshot = await snapshotOf(bob, '?limit=2&archived=true');
    assert.deepEqual(snapshot.account_data, [{ type: 'org.example.all', content: { b: 2 } }]);
    assert.deepEqual(
      snapshot.receipts.map((event) => [event.room_id, Object.keys(event.content[read] as Json).toSorted()]),
      [[shared, ['m.read', 'm.read.private']]],
    );
    const byId = new Map(snapshot.rooms.map((room) => [room.room_id, room]));
    assert.deepEqual(
      [shared, left, invited].map((roomId) => [byId.get(roomId)?.membership, byId.get(roomId)?.visibility]),
      [
        ['join', 'public'],
        ['leave', 'private'],
        ['invite', 'private'],
      ],
    );
    const joined = byId.get(shared) as Required<Room>;
    assert.deepEqual(bodies(joined.messages), ['3', 'read']);
    assert.deepEqual(joined.account_data, [{ type: 'org.example.room', content: { a: 1 } }]);
    const earlier = ok(await bob.get<Chunk>(`/rooms/${id(shared)}/messages?dir=b&limit=2&from=${joined.messages.start}`));
    assert.deepEqual(bodies(earlier), ['2', '1']);
    const gone = byId.get(left) as Required<Room>;
    assert.deepEqual(gone.messages.chunk.at(-1)?.content['membership'], 'leave');
    assert.ok(!gone.state.some((event) => event.type === 'm.room.topic'), 'what came later is not for who left');
    assert.deepEqual([byId.get(invited)?.inviter, byId.get(invited)?.invite?.state_key], [alice.userId, bob.userId]);
    assert.deepEqual((await events(bob, `timeout=0&from=${snapshot.end}`)).chunk, []);
    const alone = ok(await bob.get<Room>(`/rooms/${id(shared)}/initialSync?limit=2`)) as Required<Room>;
    assert.deepEqual(bodies(alone.messages), ['3', 'read']);
    assert.deepEqual([alone.membership, alone.account_data, alone.state.length], ['join', joined.account_data, joined.state.length]);
    assert.deepEqual(alone.receipts, snapshot.receipts);
    assert.deepEqual((await events(bob, `timeout=0&from=${alone.messages.end}`)).chunk, []);
    const departed = ok(await bob.get<Room>(`/rooms/${id(left)}/initialSync?limit=2`)) as Required<Room>;
    assert.deepEqual([departed.membership, departed.receipts], ['leave', []]);
    assert.deepEqual(departed.messages.chunk.at(-1)?.content['membership'], 'leave');
    assert.ok(!departed.state.some((event) => event.type === 'm.room.topic'));
  };
  await check();
  await server.stop();
  await server.start();
  await check();
  assert.deepEqual((await snapshotOf(bob)).rooms.map((room) => room.membership).toSorted(), ['invite', 'join']);
});

onEachEngine('one event is read by its id alone', async (startOnEngine) => {
  await using server = await startOnEngine();
  const [alice, bob, carol] = [await server.register('alice'), await server.register('bob'), await server.register('carol')];
  const roomId = await createRoom(alice);
  const eventId = await say(alice, roomId, 'here');
  ok(await bob.post(`/join/${id(roomId)}`));
  const event = ok(await bob.get<Event>(`/events/${id(eventId)}`));
  assert.deepEqual([event.event_id, event.room_id, event.content['body']], [eventId, roomId, 'here']);
  assertError(await carol.get(`/events/${id(eventId)}`), 404, 'M_NOT_FOUND');
  ok(await alice.post(`/rooms/${id(roomId)}/redact/${id(eventId)}`, { reason: 'x' }));
  assert.deepEqual(ok(await bob.get<Event>(`/events/${id(eventId)}`)).content, {});
});

onEachEngine('a transaction id makes one room, also when two ask at once', async (startOnEngine) => {
  await using server = await startOnEngine();
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const make = async (person: Client, txnId: string) => ok(await person.put<{ room_id: string }>(`/createRoom/${txnId}`, {})).room_id;
  const [one, same] = await Promise.all([make(alice, 'a'), make(alice, 'a')]);
  assert.equal(one, same);
  assert.equal(await make(alice, 'a'), one);
  assert.notEqual(await make(alice, 'b'), one);
  assert.notEqual(await make(bob, 'a'), one);
  assertError(await alice.put('/createRoom/c', { room_version: 'nonsense' }), 400, 'M_UNSUPPORTED_ROOM_VERSION');
  assert.notEqual(await make(alice, 'c'), one, 'what failed is tried again');
  assert.equal(ok(await alice.get<{ joined_rooms: string[] }>('/joined_rooms')).joined_rooms.length, 3);
});

onEachEngine('the page to log in by keeps what the client says of its device', async (startOnEngine) => {
  await using server = await startOnEngine();
  const { statusCode, headers, body } = await server.pool.request({ method: 'GET', path: '/_matrix/static/client/login?device_id=D' });
  await body.dump();
  assert.deepEqual([statusCode, headers['location']], [302, '/_matrix/static/client/login/?device_id=D']);
  const page = await server.pool.request({ method: 'GET', path: String(headers['location']) });
  assert.match(await page.body.text(), /matrixLogin/u);
  assert.match(String(page.headers['content-security-policy']), /script-src 'sha256-/u);
});
