// Each reply that the test client gets is held against the specification's own schema; here the thin path is walked from end to end.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { assertError, ok, type Json, type Person } from './support/client.ts';
import { hasSpecification, SPECIFICATION_MISSING } from './support/openapi.ts';
import { startServer, type Server } from './support/server.ts';

const skip = hasSpecification ? false : SPECIFICATION_MISSING;

/** One server for a file's tests: each uses accounts and rooms of its own. */
let shared: Promise<Server> | undefined;
const server = (): Promise<Server> => (shared ??= startServer());
test.after(async () => (await shared)?.[Symbol.asyncDispose]());

const nameOf = (context: TestContext): string => context.name.toLowerCase().replaceAll(/[^a-z]+/g, '-');
const room = async (owner: Person, settings: Json = {}): Promise<string> =>
  encodeURIComponent(ok(await owner.post<{ room_id: string }>('/createRoom', settings)).room_id);

test('what the server can do', { skip }, async (context) => {
  const { anybody, register } = await server();
  ok(await anybody.get('/_matrix/client/versions'));
  ok(await anybody.get('/login'));
  const alice = await register(nameOf(context));
  ok(await alice.get('/capabilities'));
  ok(await alice.get('/pushrules/'));
});

test('an account and its sessions', { skip }, async (context) => {
  const { anybody, register, name } = await server();
  const user = nameOf(context);
  const alice = await register(user);
  assert.equal(alice.userId, `@${user}:${name}`);
  const who = ok(await alice.get<{ user_id: string; device_id: string }>('/account/whoami'));
  assert.deepEqual([who.user_id, who.device_id], [alice.userId, alice.deviceId]);

  assertError(await anybody.post('/register', { username: user, password: 'x', auth: { type: 'm.login.dummy' } }), 400, 'M_USER_IN_USE');
  assertError(await anybody.get(`/register/available?username=${user}`), 400, 'M_USER_IN_USE');
  ok(await anybody.get(`/register/available?username=${user}-2`));

  const identifier = { type: 'm.id.user', user };
  assertError(await anybody.post('/login', { type: 'm.login.password', identifier, password: 'wrong' }), 403, 'M_FORBIDDEN');
  assertError(await anybody.post('/login', { type: 'm.login.nonsense' }), 400, 'M_UNKNOWN');
  const session = ok(
    await anybody.post<{ access_token: string }>('/login', { type: 'm.login.password', identifier, password: `password of ${user}` }),
  );
  assert.notEqual(session.access_token, alice.accessToken);

  ok(await alice.post('/logout'));
  assertError(await alice.get('/account/whoami'), 401, 'M_UNKNOWN_TOKEN');
  assertError(await anybody.get('/account/whoami'), 401, 'M_MISSING_TOKEN');
});

test('a profile', { skip }, async (context) => {
  const { anybody, register, name } = await server();
  const alice = await register(nameOf(context));
  ok(await alice.put(`/profile/${alice.userId}/displayname`, { displayname: 'Alice' }));
  assert.deepEqual(ok(await anybody.get(`/profile/${alice.userId}/displayname`)), { displayname: 'Alice' });
  assert.equal(ok(await anybody.get(`/profile/${alice.userId}`))['displayname'], 'Alice');
  assertError(await anybody.get(`/profile/@nobody-at-all:${name}`), 404, 'M_NOT_FOUND');
});

test('a filter', { skip }, async (context) => {
  const { register } = await server();
  const alice = await register(nameOf(context));
  const filter = { room: { timeline: { limit: 3 } } };
  const { filter_id } = ok(await alice.post<{ filter_id: string }>(`/user/${alice.userId}/filter`, filter));
  assert.deepEqual(ok(await alice.get(`/user/${alice.userId}/filter/${filter_id}`)), filter);
  assertError(await alice.get(`/user/${alice.userId}/filter/987654`), 404, 'M_NOT_FOUND');
});

test('presets of a room', { skip }, async (context) => {
  const { register } = await server();
  const alice = await register(nameOf(context));
  const expected = {
    private_chat: ['invite', 'shared', 'can_join'],
    trusted_private_chat: ['invite', 'shared', 'can_join'],
    public_chat: ['public', 'shared', 'forbidden'],
  };
  for (const [preset, [joinRule, visibility, guests]] of Object.entries(expected)) {
    const id = await room(alice, { preset, name: preset, topic: 'about it' });
    assert.equal(ok(await alice.get(`/rooms/${id}/state/m.room.join_rules`))['join_rule'], joinRule);
    assert.equal(ok(await alice.get(`/rooms/${id}/state/m.room.history_visibility/`))['history_visibility'], visibility);
    // A public room says nothing of guests, and nothing is forbidden.
    const access = await alice.get(`/rooms/${id}/state/m.room.guest_access`);
    assert.equal(access.status === 404 ? 'forbidden' : access.body['guest_access'], guests);
    assert.equal(ok(await alice.get(`/rooms/${id}/state/m.room.topic`))['topic'], 'about it');
    assert.ok(Array.isArray(ok(await alice.get(`/rooms/${id}/state`))));
  }
  assertError(await alice.post('/createRoom', { room_version: 'no such version' }), 400, 'M_UNSUPPORTED_ROOM_VERSION');
});

test('joining, inviting and leaving', { skip }, async (context) => {
  const { register } = await server();
  const [alice, bob, eve] = [
    await register(`${nameOf(context)}-a`),
    await register(`${nameOf(context)}-b`),
    await register(`${nameOf(context)}-e`),
  ];
  const id = await room(alice, { preset: 'private_chat' });
  assertError(await bob.post(`/join/${id}`), 403, 'M_FORBIDDEN');
  ok(await alice.post(`/rooms/${id}/invite`, { user_id: bob.userId }));
  const invited = ok(await bob.get<{ rooms: { invite: Json } }>('/sync?timeout=0'));
  assert.deepEqual(Object.keys(invited.rooms.invite), [decodeURIComponent(id)]);
  ok(await bob.post(`/rooms/${id}/join`));
  assert.deepEqual(ok(await bob.get<{ joined_rooms: string[] }>('/joined_rooms')).joined_rooms, [decodeURIComponent(id)]);
  assertError(await bob.post(`/rooms/${id}/kick`, { user_id: alice.userId }), 403, 'M_FORBIDDEN');
  const { joined } = ok(await alice.get<{ joined: Json }>(`/rooms/${id}/joined_members`));
  assert.deepEqual(Object.keys(joined).toSorted(), [alice.userId, bob.userId]);
  assert.equal(ok(await alice.get<{ chunk: Json[] }>(`/rooms/${id}/members`)).chunk.length, 2);

  ok(await alice.post(`/rooms/${id}/kick`, { user_id: bob.userId, reason: 'noise' }));
  ok(await alice.post(`/rooms/${id}/ban`, { user_id: bob.userId }));
  assertError(await alice.post(`/rooms/${id}/invite`, { user_id: bob.userId }), 403, 'M_BAD_STATE');
  ok(await alice.post(`/rooms/${id}/unban`, { user_id: bob.userId }));
  assertError(await eve.get(`/rooms/${id}/members`), 403, 'M_FORBIDDEN');
  ok(await alice.post(`/rooms/${id}/leave`));
  ok(await alice.post(`/rooms/${id}/forget`));
});

test('sending and reading', { skip }, async (context) => {
  const { register } = await server();
  const [alice, eve] = [await register(`${nameOf(context)}-a`), await register(`${nameOf(context)}-e`)];
  const id = await room(alice);
  const say = async (body: string, transaction: string): Promise<string> =>
    ok(await alice.put<{ event_id: string }>(`/rooms/${id}/send/m.room.message/${transaction}`, { msgtype: 'm.text', body })).event_id;
  const sent = await say('hello', 't1');
  assert.equal(await say('hello', 't1'), sent, 'a transaction id makes a repeated request harmless');
  const other = await say('hello', 't2');
  assert.notEqual(other, sent);

  const event = ok(await alice.get<Json & { unsigned: Json }>(`/rooms/${id}/event/${encodeURIComponent(sent)}`));
  assert.deepEqual([event['event_id'], event['sender'], event.unsigned['transaction_id']], [sent, alice.userId, 't1']);
  assertError(await eve.get(`/rooms/${id}/event/${encodeURIComponent(sent)}`), 404, 'M_NOT_FOUND');
  assertError(await eve.put(`/rooms/${id}/send/m.room.message/t1`, { msgtype: 'm.text', body: 'x' }), 403, 'M_FORBIDDEN');
  ok(await alice.put(`/rooms/${id}/state/m.room.name`, { name: 'a name' }));
  ok(await alice.put(`/rooms/${id}/redact/${encodeURIComponent(other)}/t3`, { reason: 'twice' }));
  const redacted = ok(await alice.get<{ content: Json; unsigned: Json }>(`/rooms/${id}/event/${encodeURIComponent(other)}`));
  assert.deepEqual(redacted.content, {});
  assert.ok(redacted.unsigned['redacted_because']);

  const page = ok(await alice.get<{ chunk: { event_id: string }[]; end?: string }>(`/rooms/${id}/messages?dir=b&limit=2`));
  assert.equal(page.chunk.length, 2);
  const seen = page.chunk.map((each) => each.event_id);
  for (let from = page.end; from !== undefined;) {
    const next = ok(await alice.get<typeof page>(`/rooms/${id}/messages?dir=b&limit=2&from=${encodeURIComponent(from)}`));
    seen.push(...next.chunk.map((each) => each.event_id));
    from = next.end;
  }
  assert.equal(new Set(seen).size, seen.length, 'no event comes twice');
  assert.ok(seen.indexOf(other) < seen.indexOf(sent), 'newest first');
});

test('sync, first and further', { skip }, async (context) => {
  const { register } = await server();
  const alice = await register(nameOf(context));
  const id = await room(alice, { name: 'synced' });
  interface Answer {
    next_batch: string;
    rooms?: { join?: Record<string, { timeline: { events: { content: Json }[] } }> };
  }
  const first = ok(await alice.get<Answer>('/sync?timeout=0'));
  assert.ok(first.rooms?.join?.[decodeURIComponent(id)]);
  const since = encodeURIComponent(first.next_batch);
  assert.equal(Object.keys(ok(await alice.get<Answer>(`/sync?timeout=0&since=${since}`)).rooms?.join ?? {}).length, 0);

  const waiting = alice.get<Answer>(`/sync?timeout=20000&since=${since}`);
  ok(await alice.put(`/rooms/${id}/send/m.room.message/t`, { msgtype: 'm.text', body: 'awake' }));
  const events = ok(await waiting).rooms?.join?.[decodeURIComponent(id)]?.timeline.events ?? [];
  assert.deepEqual(
    events.map(({ content }) => content['body']),
    ['awake'],
  );
  const again = ok(await alice.get<Answer>(`/sync?timeout=0&since=${since}`));
  assert.ok(again.rooms?.join?.[decodeURIComponent(id)], 'a position can be asked for again');
  ok(await alice.get(`/sync?timeout=0&full_state=true&since=${since}`));
});
