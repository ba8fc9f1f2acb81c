// What users report, and what administrators read of it.

import assert from 'node:assert/strict';
import { registerAdministrator } from './support/administrator.ts';
import { assertError, ok, type Json, type Person } from './support/client.ts';
import { onEachEngine } from './support/engines.ts';

const id = encodeURIComponent;
const EVENTS = '/_synapse/admin/v1/event_reports';
const USERS = '/_synapse/admin/v1/user_reports';

interface Page {
  readonly event_reports: readonly Json[];
  readonly user_reports: readonly Json[];
  readonly total: number;
  readonly next_token?: number;
}

const createRoom = async (creator: Person, settings: Json = {}): Promise<string> =>
  ok(await creator.post<{ room_id: string }>('/createRoom', { preset: 'public_chat', ...settings })).room_id;

const say = async (person: Person, roomId: string, body: string): Promise<string> =>
  ok(await person.put<{ event_id: string }>(`/rooms/${id(roomId)}/send/m.room.message/${id(body)}`, { msgtype: 'm.text', body })).event_id;

onEachEngine('reported events are read in pages by administrators, and put away', async (startOnEngine) => {
  await using server = await startOnEngine();
  const root = await registerAdministrator(server);
  const [alice, bob, carol] = [await server.register('alice'), await server.register('bob'), await server.register('carol')];
  const named = await createRoom(alice, { name: 'Named', room_alias_name: 'named' });
  const other = await createRoom(bob);
  for (const [person, roomId] of [
    [bob, named],
    [carol, named],
    [alice, other],
  ] as const)
    ok(await person.post(`/join/${id(roomId)}`));
  const report = async (person: Person, roomId: string, eventId: string, body: Json): Promise<void> => {
    ok(await person.post(`/rooms/${id(roomId)}/report/${id(eventId)}`, body));
  };
  const rude = await say(alice, named, 'rude');
  const ruder = await say(bob, other, 'ruder');
  await report(bob, named, rude, { reason: 'zero \0 and \ud800', score: -100, more: 'left out' });
  await report(carol, named, rude, {});
  await report(alice, other, ruder, { reason: 'third' });

  const list = async (query = ''): Promise<Page> => ok(await root.get<Page>(`${EVENTS}${query}`));
  const all = await list();
  assert.equal(all.total, 3);
  assert.equal(all.next_token, undefined);
  const [third, second, first] = all.event_reports;
  const { id: number, received_ts: ts, ...rest } = first ?? {};
  assert.ok(Number.isSafeInteger(number) && Math.abs(Number(ts) - Date.now()) < 600_000);
  assert.deepEqual(rest, {
    room_id: named,
    event_id: rude,
    user_id: bob.userId,
    score: -100,
    reason: 'zero \0 and \ud800',
    sender: alice.userId,
    canonical_alias: `#named:${server.name}`,
    name: 'Named',
  });
  assert.deepEqual([second?.['user_id'], second?.['score'], second?.['reason']], [carol.userId, null, null]);
  assert.deepEqual([third?.['sender'], third?.['name'], third?.['canonical_alias']], [bob.userId, null, null]);

  const numbers = ({ event_reports: reports }: Page): unknown[] => reports.map((each) => each['id']);
  const ids = numbers(all);
  assert.deepEqual(numbers(await list('?dir=f')), ids.toReversed());
  const page = await list('?limit=2');
  assert.deepEqual([numbers(page), page.total, page.next_token], [ids.slice(0, 2), 3, 2]);
  const last = await list(`?limit=2&from=${String(page.next_token)}`);
  assert.deepEqual([numbers(last), last.total, last.next_token], [ids.slice(2), 3, undefined]);
  assert.deepEqual((await list('?limit=0')).event_reports, []);
  assert.deepEqual(numbers(await list(`?user_id=${id('carol')}`)), [second?.['id']]);
  assert.deepEqual(numbers(await list(`?room_id=${id(other)}`)), [third?.['id']]);
  assert.deepEqual(numbers(await list(`?event_sender_user_id=${id(alice.userId)}`)), [second?.['id'], first?.['id']]);
  assert.deepEqual(await list(`?event_sender_user_id=alice&user_id=%25`), { event_reports: [], total: 0 });
  for (const query of ['?from=-1', '?limit=-1', '?limit=x', '?dir=x'])
    assertError(await root.get(`${EVENTS}${query}`), 400, 'M_INVALID_PARAM');

  const one = ok(await root.get<Json & { event_json: Json }>(`${EVENTS}/${String(number)}`));
  const { event_json: pdu, ...described } = one;
  assert.deepEqual(described, first);
  assert.deepEqual([pdu['type'], pdu['sender'], (pdu['content'] as Json)['body']], ['m.room.message', alice.userId, 'rude']);
  ok(await root.delete(`${EVENTS}/${String(number)}`));
  for (const which of [String(number), '99999999999999999999']) {
    assertError(await root.get(`${EVENTS}/${which}`), 404, 'M_NOT_FOUND');
    assertError(await root.delete(`${EVENTS}/${which}`), 404, 'M_NOT_FOUND');
  }
  for (const which of ['x', '-1', '1.5']) assertError(await root.get(`${EVENTS}/${which}`), 400, 'M_INVALID_PARAM');
  assert.equal((await list()).total, 2);
});

onEachEngine('what one cannot see cannot be reported; rooms and users can', async (startOnEngine) => {
  await using server = await startOnEngine();
  const root = await registerAdministrator(server);
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const roomId = await createRoom(alice, {
    initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: 'joined' } }],
  });
  const hidden = await say(alice, roomId, 'hidden');
  const reportEvent = async (eventId: string) => bob.post(`/rooms/${id(roomId)}/report/${id(eventId)}`, {});
  assertError(await reportEvent(hidden), 404, 'M_NOT_FOUND');
  ok(await bob.post(`/join/${id(roomId)}`));
  assertError(await reportEvent(hidden), 404, 'M_NOT_FOUND');
  const elsewhere = await say(alice, await createRoom(alice), 'elsewhere');
  assertError(await reportEvent(elsewhere), 404, 'M_NOT_FOUND');
  ok(await reportEvent(await say(alice, roomId, 'seen')));
  assert.equal(ok(await root.get(EVENTS))['total'], 1);

  ok(await bob.post(`/rooms/${id(await createRoom(alice, { preset: 'private_chat' }))}/report`, { reason: 'not in it' }));
  assertError(await bob.post(`/rooms/${id('!none:test.example')}/report`, { reason: '' }), 404, 'M_NOT_FOUND');

  const reportUser = async (userId: string, reason: string) => bob.post(`/users/${id(userId)}/report`, { reason });
  ok(await reportUser(alice.userId, 'rude'));
  for (const userId of [`@none:${server.name}`, '@a:elsewhere.example', 'nonsense']) ok(await reportUser(userId, 'nobody here'));
  assertError(await reportUser(alice.userId, 'x'.repeat(1001)), 400, 'M_BAD_JSON');
  ok(await alice.post(`/users/${id(bob.userId)}/report`, { reason: 'ruder' }));
  const users = ok(await root.get<Page>(USERS));
  assert.equal(users.total, 2);
  const [second, first] = users.user_reports;
  const path = `${USERS}/${String(first?.['id'])}`;
  assert.deepEqual(first, { ...first, target_user_id: alice.userId, user_id: bob.userId, reason: 'rude' });
  assert.deepEqual(Object.keys(first ?? {}).sort(), ['id', 'reason', 'received_ts', 'target_user_id', 'user_id']);
  assert.deepEqual(ok(await root.get<Page>(`${USERS}?target_user_id=bob`)).user_reports, [second]);
  assert.deepEqual(ok(await root.get<Page>(`${USERS}?user_id=bob&dir=f`)).user_reports, [first]);
  const page = ok(await root.get<Page>(`${USERS}?limit=1`));
  assert.deepEqual([page.user_reports, page.next_token], [[second], 1]);
  assert.deepEqual(ok(await root.get(path)), first);
  ok(await root.delete(path));
  assertError(await root.get(path), 404, 'M_NOT_FOUND');
  assertError(await root.delete(path), 404, 'M_NOT_FOUND');
});

onEachEngine('reports of one user are limited', async (startOnEngine) => {
  await using server = await startOnEngine({ settings: { rc_reports: { per_second: 0.001, burst_count: 2 } } });
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const roomId = await createRoom(alice);
  const eventId = await say(alice, roomId, 'said');
  ok(await alice.post(`/rooms/${id(roomId)}/report/${id(eventId)}`, {}));
  ok(await alice.post(`/rooms/${id(roomId)}/report`, { reason: '' }));
  assertError(await alice.post(`/users/${id(bob.userId)}/report`, { reason: '' }), 429, 'M_LIMIT_EXCEEDED');
  ok(await bob.post(`/users/${id(alice.userId)}/report`, { reason: '' }));
});
