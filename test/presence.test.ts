// Who is online, and who is told so.
import assert from 'node:assert/strict';
import { assertError, ok, personOf, type Json, type Person, type Session } from '#test/support/client.ts';
import { onEachEngine } from '#test/support/engines.ts';
import type { Server } from '#test/support/server.ts';

interface PresenceEvent {
  readonly type: string;
  readonly sender: string;
  readonly content: Json;
}

interface Synced {
  readonly next_batch: string;
  readonly presence?: { readonly events: readonly PresenceEvent[] };
}

const enc = encodeURIComponent;

/** A sync that does not make its user present. */
const quietly = async (reader: Person, since?: string, query = '&timeout=0'): Promise<Synced> =>
  ok(await reader.get<Synced>(`/sync?set_presence=offline${since === undefined ? '' : `&since=${since}`}${query}`));

const contentIn = ({ presence }: Synced, who: Person): Json | undefined =>
  presence?.events.find(({ sender }) => sender === who.userId)?.content;

/** Without what depends on when it was read. */
const ageless = (content: Json | undefined): Json | undefined => {
  if (content === undefined) return undefined;
  const { last_active_ago: ago, ...rest } = content;
  if (ago !== undefined) assert.ok(typeof ago === 'number' && ago >= 0 && ago < 600_000);
  return rest;
};

/** Syncs on until the reader is told of somebody what is looked for; answers that and the token behind it. */
const untilTold = async (
  reader: Person,
  since: string,
  of: Person,
  isIt: (content: Json) => boolean = () => true,
): Promise<{ content: Json | undefined; since: string }> => {
  for (let [tries, from] = [0, since]; tries < 30; tries += 1) {
    const synced = await quietly(reader, from, '&timeout=10000');
    from = synced.next_batch;
    const content = contentIn(synced, of);
    if (content !== undefined && isIt(content)) return { content: ageless(content), since: from };
  }
  throw new Error(`${reader.userId} was not told of ${of.userId}`);
};

const is =
  (presence: string) =>
  (content: Json): boolean =>
    content['presence'] === presence;

const path = (who: Person | string): string => `/presence/${enc(typeof who === 'string' ? who : who.userId)}/status`;

const put = async (who: Person, presence: string, message?: string): Promise<void> => {
  ok(await who.put(path(who), { presence, ...(message !== undefined && { status_msg: message }) }));
};

const statusOf = async (reader: Person, of: Person): Promise<Json | undefined> => ageless(ok(await reader.get(path(of))));

/** Asks until a user's status is as it should be. */
const untilStatus = async (reader: Person, of: Person, isIt: (status: Json) => boolean): Promise<Json> => {
  for (const end = performance.now() + 20_000; ;) {
    const status = ok(await reader.get(path(of)));
    if (isIt(status)) return status;
    if (performance.now() > end) throw new Error(`It is ${JSON.stringify(status)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

const createRoom = async (creator: Person, ...others: Person[]): Promise<string> => {
  const { room_id: roomId } = ok(await creator.post<{ room_id: string }>('/createRoom', { preset: 'public_chat' }));
  for (const other of others) ok(await other.post(`/join/${enc(roomId)}`));
  return roomId;
};

const namesOf = ({ presence }: Synced): string[] => (presence?.events ?? []).map(({ sender }) => sender).toSorted();

const secondDevice = async (server: Server, who: Person): Promise<Person> => {
  const login = { type: 'm.login.password', identifier: { type: 'm.id.user', user: who.userId } };
  const name = /^@([^:]+)/.exec(who.userId)?.[1] ?? '';
  return personOf(server.pool, ok(await server.anybody.post<Session>('/login', { ...login, password: `password of ${name}` })));
};

onEachEngine('those who share a room see how users are, and nobody else', async (start) => {
  await using server = await start();
  const [alice, bob, carol] = [await server.register('alice'), await server.register('bob'), await server.register('carol')];
  const roomId = await createRoom(alice, bob);
  assert.deepEqual(await statusOf(alice, alice), { presence: 'offline' });
  assert.deepEqual(await statusOf(bob, alice), { presence: 'offline' });
  assertError(await carol.get(path(alice)), 403, 'M_FORBIDDEN');
  assertError(await alice.get(path(`@nobody:${server.name}`)), 403, 'M_FORBIDDEN');
  assertError(await alice.get(path('nonsense')), 400, 'M_INVALID_PARAM');
  assertError(await alice.put(path(bob), { presence: 'online' }), 403, 'M_FORBIDDEN');
  assertError(await alice.put(path(alice), { presence: 'asleep' }), 400, 'M_UNKNOWN');
  assertError(await alice.put(path(alice), { presence: 'busy' }), 400, 'M_UNKNOWN');
  assertError(await alice.put(path(alice), { presence: 'online', status_msg: 'x'.repeat(4097) }), 400, 'M_INVALID_PARAM');
  assertError(await alice.put(path(alice), {}), 400, 'M_MISSING_PARAM');
  assertError(await alice.put(path(alice), { presence: 'online', status_msg: 5 }), 400, 'M_BAD_JSON');

  const before = await quietly(bob);
  assert.equal(before.presence, undefined, 'nobody is here');
  const others = await quietly(carol);
  const waiting = untilTold(bob, before.next_batch, alice);
  await put(alice, 'online', 'At work\0');
  const online = { presence: 'online', status_msg: 'At work\0', currently_active: true };
  const { content, since } = await waiting;
  assert.deepEqual(content, online);
  assert.deepEqual(await statusOf(bob, alice), online);
  assert.equal((await quietly(bob, since)).presence, undefined, 'it is told once');
  assert.deepEqual(ageless(contentIn(await quietly(bob, before.next_batch), alice)), online, 'who asks again is told again');
  assert.deepEqual(namesOf(await quietly(bob)), [alice.userId], 'a first sync tells of who is not offline');
  assert.deepEqual(namesOf(await quietly(alice)), [alice.userId]);
  assert.equal((await quietly(carol, others.next_batch)).presence, undefined);
  assert.equal((await quietly(carol)).presence, undefined);
  assert.deepEqual(await statusOf(bob, bob), { presence: 'offline' }, 'who syncs as offline is');

  await put(alice, 'online', 'At work\0');
  assert.equal((await quietly(bob, since)).presence, undefined, 'the same again is no news');
  await put(alice, 'unavailable');
  const away = await untilTold(bob, since, alice);
  assert.deepEqual(away.content, { presence: 'unavailable' }, 'without a message there is none any more');
  await put(alice, 'offline');
  assert.deepEqual((await untilTold(bob, away.since, alice)).content, { presence: 'offline' });
  assert.equal((await quietly(bob)).presence, undefined, 'a first sync does not tell of who is offline');

  ok(await bob.post(`/rooms/${enc(roomId)}/leave`));
  const gone = await quietly(bob);
  await put(alice, 'online');
  assert.equal((await quietly(bob, gone.next_batch)).presence, undefined, 'who has left is told no more');
  assertError(await bob.get(path(alice)), 403, 'M_FORBIDDEN');
});

onEachEngine('syncing makes users present, and the first answer says so', async (start) => {
  await using server = await start();
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  await createRoom(alice, bob);
  const { next_batch: before } = await quietly(bob);
  const first = ok(await alice.get<Synced>('/sync'));
  assert.deepEqual(ageless(contentIn(first, alice)), { presence: 'online', currently_active: true });
  assert.equal(ok(await alice.get<Synced>(`/sync?since=${first.next_batch}`)).presence, undefined, 'and the next does not');
  const { content, since } = await untilTold(bob, before, alice);
  assert.deepEqual(content, { presence: 'online', currently_active: true });
  ok(await alice.get(`/sync?set_presence=offline&since=${first.next_batch}`));
  assert.equal((await quietly(bob, since)).presence, undefined, 'to sync as offline changes nothing');
  ok(await alice.get(`/sync?set_presence=unavailable&since=${first.next_batch}`));
  assert.deepEqual((await untilTold(bob, since, alice)).content, { presence: 'unavailable' });
});

onEachEngine('filters choose what is told', async (start) => {
  await using server = await start();
  const [alice, bob, carol] = [await server.register('alice'), await server.register('bob'), await server.register('carol')];
  await createRoom(alice, bob, carol);
  await put(alice, 'online');
  await put(carol, 'unavailable');
  const told = async (filter: Json): Promise<string[]> =>
    namesOf(await quietly(bob, undefined, `&filter=${enc(JSON.stringify({ presence: filter }))}`));
  assert.deepEqual(await told({}), [alice.userId, carol.userId]);
  assert.deepEqual(await told({ types: [] }), []);
  assert.deepEqual(await told({ types: ['m.*'] }), [alice.userId, carol.userId]);
  assert.deepEqual(await told({ not_types: ['m.presence'] }), []);
  assert.deepEqual(await told({ senders: [carol.userId] }), [carol.userId]);
  assert.deepEqual(await told({ not_senders: [carol.userId] }), [alice.userId]);
  assert.equal((await told({ limit: 1 })).length, 1);
  assert.deepEqual(await told({ limit: 0 }), []);
});

onEachEngine('who comes into a room is told of those in it, and they of who comes', async (start) => {
  await using server = await start();
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const roomId = await createRoom(alice);
  await put(alice, 'unavailable', 'tea');
  await put(bob, 'online');
  const [{ next_batch: ofAlice }, { next_batch: ofBob }] = [await quietly(alice), await quietly(bob)];
  ok(await bob.post(`/join/${enc(roomId)}`));
  assert.deepEqual((await untilTold(bob, ofBob, alice)).content, { presence: 'unavailable', status_msg: 'tea' });
  const met = await untilTold(alice, ofAlice, bob);
  assert.deepEqual(met.content, { presence: 'online', currently_active: true });
  assert.equal((await quietly(alice, met.since)).presence, undefined);
  const { presence } = ok(await bob.get<{ presence: readonly PresenceEvent[] }>('/_matrix/client/r0/initialSync'));
  const inRoom = ok(await bob.get<{ presence: readonly PresenceEvent[] }>(`/rooms/${enc(roomId)}/initialSync`));
  for (const events of [presence, inRoom.presence])
    assert.deepEqual(events.map(({ content: { user_id: userId, presence: state } }) => [userId, state]).toSorted(), [
      [alice.userId, 'unavailable'],
      [bob.userId, 'online'],
    ]);
});

onEachEngine('who asks by the old event stream is present, and is told there', async (start) => {
  await using server = await start();
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  await createRoom(alice, bob);
  const { next_batch: from } = await quietly(bob);
  const { chunk } = ok(await alice.get<{ chunk: readonly PresenceEvent[] }>('/_matrix/client/r0/events?timeout=0'));
  assert.deepEqual(chunk, [], 'from now on nothing has happened yet');
  const waiting = ok(await bob.get<{ chunk: readonly PresenceEvent[] }>(`/_matrix/client/r0/events?timeout=10000&from=${from}`));
  const told = waiting.chunk.filter(({ type }) => type === 'm.presence').map(({ content }) => ageless(content));
  const online = { presence: 'online', currently_active: true };
  assert.deepEqual(
    told.toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b))),
    [
      { ...online, user_id: alice.userId },
      { ...online, user_id: bob.userId },
    ].toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b))),
  );
});

onEachEngine('devices of a user count together', async (start) => {
  await using server = await start({ settings: { experimental_features: { msc3026_enabled: true } } });
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const other = await secondDevice(server, alice);
  await createRoom(alice, bob);
  // The specification does not know who is busy yet: no client that holds answers against it.
  const headers = { authorization: `Bearer ${bob.accessToken}` };
  const stateOf = async (): Promise<unknown> => {
    const { body } = await server.pool.request({ method: 'GET', path: `/_matrix/client/v3${path(alice)}`, headers });
    return ((await body.json()) as Json)['presence'];
  };
  await put(alice, 'unavailable');
  assert.equal(await stateOf(), 'unavailable');
  ok(await other.get('/sync'));
  assert.equal(await stateOf(), 'online');
  await put(alice, 'online');
  ok(await other.get('/sync?set_presence=unavailable'));
  assert.equal(await stateOf(), 'online');
  await put(other, 'busy');
  ok(await other.get('/sync'));
  ok(await alice.get('/sync'));
  assert.equal(await stateOf(), 'busy', 'who is busy stays so while syncing');
  await put(other, 'offline');
  assert.equal(await stateOf(), 'online');
  await put(alice, 'offline');
  assert.equal(await stateOf(), 'offline');
});

const SHORT = { presence: { last_active_granularity: 300, sync_online_timeout: 600, idle_timeout: 1500 } };

onEachEngine('users grow idle and go offline with time, and doing something brings them back', async (start) => {
  await using server = await start({ settings: SHORT });
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const roomId = await createRoom(alice, bob);
  const before = await quietly(bob);
  const first = ok(await alice.get<Synced>('/sync'));
  const online = await untilTold(bob, before.next_batch, alice, is('online'));
  const offline = await untilTold(bob, online.since, alice, is('offline'));
  assert.deepEqual(offline.content, { presence: 'offline' });

  // While it waits, a device is there, but nobody does anything.
  const waiting = alice.get(`/sync?timeout=30000&since=${first.next_batch}&filter=${enc('{"presence":{"types":[]}}')}`);
  const passive = await untilTold(bob, offline.since, alice, (content) => content['currently_active'] === false);
  assert.deepEqual(passive.content, { presence: 'online', currently_active: false });
  const idle = await untilTold(bob, passive.since, alice, is('unavailable'));
  assert.deepEqual(idle.content, { presence: 'unavailable' });
  ok(await alice.put(`/rooms/${enc(roomId)}/typing/${enc(alice.userId)}`, { typing: true }));
  assert.deepEqual((await untilTold(bob, idle.since, alice)).content, { presence: 'online', currently_active: true });
  ok(await alice.put(`/rooms/${enc(roomId)}/send/m.room.message/1`, { msgtype: 'm.text', body: 'end of the waiting' }));
  ok(await waiting);
  await untilStatus(bob, alice, is('offline'));
});

onEachEngine('what was said before a restart is known after it', async (start) => {
  await using server = await start({ settings: { presence: { sync_online_timeout: 3000 } } });
  const [alice, bob, carol] = [await server.register('alice'), await server.register('bob'), await server.register('carol')];
  await createRoom(alice, bob, carol);
  const before = await quietly(bob);
  await put(alice, 'online', 'half a "surrogate" \ud800');
  await put(carol, 'unavailable', 'lunch');
  const told = await untilTold(bob, before.next_batch, carol);
  await put(carol, 'offline', 'out');
  await server.stop();
  await server.start();
  const status = await statusOf(bob, alice);
  assert.equal(status?.['presence'], 'online', 'who was online is until the time is up');
  assert.match(String(status?.['status_msg']), /^half a "surrogate" .$/u);
  const away = await quietly(bob, told.since);
  assert.deepEqual(ageless(contentIn(away, carol)), { presence: 'offline', status_msg: 'out' }, 'nothing is lost in between');
  assert.equal((await quietly(bob, away.next_batch)).presence, undefined);
  const gone = await untilTold(bob, away.next_batch, alice, is('offline'));
  assert.equal(gone.content?.['presence'], 'offline');
  assert.deepEqual(await statusOf(bob, carol), { presence: 'offline', status_msg: 'out' });
});

onEachEngine('a closed account is offline, and a first sync may tell of all', async (start) => {
  await using server = await start({ settings: { presence: { include_offline_users_on_sync: true } } });
  const [alice, bob, carol] = [await server.register('alice'), await server.register('bob'), await server.register('carol')];
  await createRoom(bob, alice, carol);
  await put(alice, 'online', 'bye');
  await put(carol, 'offline', 'gone');
  assert.deepEqual(namesOf(await quietly(bob)), [alice.userId, carol.userId]);
  const { next_batch: before } = await quietly(bob);
  const auth = { type: 'm.login.password', identifier: { type: 'm.id.user', user: alice.userId }, password: 'password of alice' };
  ok(await alice.post('/account/deactivate', { auth }));
  assert.deepEqual((await untilTold(bob, before, alice)).content, { presence: 'offline' });
});

onEachEngine('presence can be off, and is limited', async (start) => {
  {
    await using server = await start({ settings: { rc_presence: { per_user: { per_second: 0.001, burst_count: 1 } } } });
    const alice = await server.register('erin');
    await put(alice, 'unavailable');
    assertError(await alice.put(path(alice), { presence: 'online' }), 429, 'M_LIMIT_EXCEEDED');
    ok(await alice.get('/sync?set_presence=online'));
    assert.equal((await statusOf(alice, alice))?.['presence'], 'online', 'syncing is limited by itself');
    ok(await alice.get('/sync?set_presence=unavailable'));
    assert.equal((await statusOf(alice, alice))?.['presence'], 'online');
    await server.stop();
  }
  for (const [name, settings] of [
    ['off', { presence: { enabled: false } }],
    ['old', { use_presence: false }],
    ['untracked', { presence: { enabled: 'untracked' } }],
  ] as const) {
    await using server = await start({ settings });
    const [alice, bob] = [await server.register(`alice-${name}`), await server.register(`bob-${name}`)];
    await createRoom(alice, bob);
    const before = await quietly(bob);
    await put(alice, 'online', 'in vain');
    ok(await alice.get('/sync'));
    assert.deepEqual(await statusOf(bob, alice), { presence: 'offline' });
    assert.equal((await quietly(bob, before.next_batch)).presence, undefined);
    assert.equal((await quietly(bob)).presence, undefined);
    const unknown = await alice.get(path(`@nobody:${server.name}`));
    if (name === 'untracked') assertError(unknown, 403, 'M_FORBIDDEN');
    else assert.deepEqual(ok(unknown), { presence: 'offline' });
    await server.stop();
  }
});
