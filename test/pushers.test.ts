// Pushers, and what push gateways are told.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { registerAdministrator } from '#test/support/administrator.ts';
import { assertError, ok, type Json, type Person, personOf, type Session } from '#test/support/client.ts';
import { onEachEngine } from '#test/support/engines.ts';
import { startServer } from '#test/support/server.ts';

interface Told {
  readonly event_id?: string;
  readonly id?: string;
  readonly counts?: { readonly unread: number };
  readonly devices: readonly Json[];
  readonly [key: string]: unknown;
}

/** A push gateway of this machine: what it was told, and what it answers. */
const startGateway = async () => {
  const told: Told[] = [];
  let answer: { status: number; body: unknown } = { status: 200, body: { rejected: [] } };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { notification } = JSON.parse(Buffer.concat(chunks).toString()) as { notification: Told };
      if (answer.status === 200) told.push(notification);
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/_matrix/push/v1/notify`,
    told,
    answerWith: (status: number, body: unknown = {}) => {
      answer = { status, body };
    },
    /** Waits until it has been told of so many events. */
    until: async (count: number): Promise<readonly Told[]> => {
      for (let tries = 0; tries < 400 && told.filter((each) => each.event_id !== undefined).length < count; tries += 1) await sleep(25);
      const events = told.filter((each) => each.event_id !== undefined);
      assert.equal(events.length, count, JSON.stringify(told));
      return events;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
};

const SETTINGS = { ip_range_blacklist: [] };

const pusher = (url: string, more: Json = {}): Json => ({
  kind: 'http',
  app_id: 'an.app',
  pushkey: 'a key',
  app_display_name: 'An app',
  device_display_name: 'A device',
  lang: 'en',
  data: { url, brand: 'x' },
  ...more,
});

const createRoom = async (creator: Person, settings: Json = {}): Promise<string> =>
  ok(await creator.post<{ room_id: string }>('/createRoom', { preset: 'private_chat', ...settings })).room_id;

let sent = 0;
const say = async (person: Person, roomId: string, content: Json): Promise<string> => {
  sent += 1;
  const path = `/rooms/${encodeURIComponent(roomId)}/send/m.room.message/${String(sent)}`;
  return ok(await person.put<{ event_id: string }>(path, { msgtype: 'm.text', ...content })).event_id;
};

const join = async (person: Person, roomId: string): Promise<void> =>
  void ok(await person.post(`/rooms/${encodeURIComponent(roomId)}/join`));

onEachEngine('pushers are set, listed, replaced and removed, and go with their session', async (start) => {
  await using server = await start({ settings: SETTINGS });
  const alice = await server.register('alice');
  const bob = await server.register('bob');
  const list = async (person: Person): Promise<unknown[]> => ok(await person.get<{ pushers: unknown[] }>('/pushers')).pushers;
  assert.deepEqual(await list(alice), []);
  const url = 'https://push.test/_matrix/push/v1/notify';
  ok(await alice.post('/pushers/set', pusher(url)));
  assert.deepEqual(await list(alice), [{ ...pusher(url), profile_tag: '' }]);
  ok(await alice.post('/pushers/set', pusher(url, { profile_tag: 'tag', lang: 'de' })));
  assert.deepEqual(await list(alice), [pusher(url, { profile_tag: 'tag', lang: 'de' })]);
  ok(await bob.post('/pushers/set', pusher(url, { append: true })));
  assert.equal((await list(alice)).length, 1, 'another user may use the same device');
  ok(await bob.post('/pushers/set', pusher(url)));
  assert.deepEqual(await list(alice), [], "the device is somebody else's now");
  ok(await bob.post('/pushers/set', { app_id: 'an.app', pushkey: 'a key', kind: null }));
  assert.deepEqual(await list(bob), []);
  ok(await bob.post('/pushers/set', { app_id: 'an.app', pushkey: 'none', kind: null }));

  assertError(await alice.post('/pushers/set', { kind: 'http' }), 400, 'M_MISSING_PARAM');
  assertError(await alice.post('/pushers/set', pusher(url, { data: {} })), 400, 'M_MISSING_PARAM');
  for (const wrong of ['https://push.test/notify', 'ftp://push.test/_matrix/push/v1/notify', 'nonsense'])
    assertError(await alice.post('/pushers/set', pusher(wrong)), 400, 'M_MISSING_PARAM');
  assertError(await alice.post('/pushers/set', pusher(url, { kind: 'pigeon' })), 400, 'M_INVALID_PARAM');
  assertError(await alice.post('/pushers/set', pusher(url, { pushkey: 'k'.repeat(513) })), 400, 'M_INVALID_PARAM');

  const login = { type: 'm.login.password', identifier: { type: 'm.id.user', user: 'alice' }, password: 'password of alice' };
  const other = personOf(server.pool, ok(await server.anybody.post<Session>('/login', login)));
  ok(await alice.post('/pushers/set', pusher(url, { pushkey: 'first' })));
  ok(await other.post('/pushers/set', pusher(url, { pushkey: 'second' })));
  const root = await registerAdministrator(server);
  const seen = ok(await root.get<{ total: number }>(`/_synapse/admin/v1/users/${encodeURIComponent(alice.userId)}/pushers`));
  assert.equal(seen.total, 2);
  ok(await other.post('/logout'));
  assert.deepEqual(
    (await list(alice)).map((each) => (each as Json)['pushkey']),
    ['first'],
  );
});

onEachEngine('push gateways are told of what notifies, and of how much is unread', async (start) => {
  await using server = await start({ settings: SETTINGS });
  await using gateway = await startGateway();
  const alice = await server.register('alice');
  const bob = await server.register('bob');
  ok(await bob.post('/pushers/set', pusher(gateway.url)));
  const roomId = await createRoom(alice, { name: 'The room', invite: [bob.userId] });
  const [invite] = await gateway.until(1);
  assert.ok(invite !== undefined);
  assert.deepEqual(
    [invite['type'], invite['membership'], invite['user_is_target'], invite.counts, invite['room_name'], invite['prio']],
    ['m.room.member', 'invite', true, { unread: 1 }, 'The room', 'high'],
  );
  await join(bob, roomId);
  const eventId = await say(alice, roomId, { body: 'hello' });
  await gateway.until(2);
  await say(bob, roomId, { body: 'one does not notify oneself' });
  const second = await say(alice, roomId, { body: 'hello bob', 'm.mentions': { user_ids: [bob.userId] } });
  const events = await gateway.until(3);
  const device = { app_id: 'an.app', pushkey: 'a key', data: { brand: 'x' } };
  const [first, mention] = events.slice(1);
  const {
    devices: [told],
    ...rest
  } = first ?? { devices: [] };
  assert.deepEqual(rest, {
    id: eventId,
    event_id: eventId,
    room_id: roomId,
    type: 'm.room.message',
    sender: alice.userId,
    prio: 'high',
    counts: { unread: 1 },
    content: { msgtype: 'm.text', body: 'hello' },
    sender_display_name: 'alice',
    room_name: 'The room',
  });
  const { pushkey_ts: ts, ...toldDevice } = told ?? {};
  assert.ok(Math.abs(Number(ts) - Date.now() / 1000) < 600);
  assert.deepEqual(toldDevice, { ...device, tweaks: { sound: 'default' } }, 'two people are alone in the room');
  assert.equal(mention?.event_id, second);
  assert.deepEqual(mention.devices[0]?.['tweaks'], { sound: 'default', highlight: true });

  const carol = await server.register('carol');
  ok(await alice.post(`/rooms/${encodeURIComponent(roomId)}/invite`, { user_id: carol.userId }));
  await join(carol, roomId);
  ok(await bob.put(`/pushrules/global/room/${encodeURIComponent(roomId)}`, { actions: ['dont_notify'] }));
  await say(alice, roomId, { body: 'muted' });
  ok(await bob.delete(`/pushrules/global/room/${encodeURIComponent(roomId)}`));
  ok(await bob.post('/pushers/set', pusher(gateway.url, { data: { url: gateway.url, format: 'event_id_only' } })));
  const short = await say(alice, roomId, { body: 'in short' });
  const last = (await gateway.until(4))[3];
  assert.deepEqual(last, {
    event_id: short,
    room_id: roomId,
    prio: 'low',
    counts: { unread: 1 },
    devices: [{ ...device, data: { format: 'event_id_only' }, pushkey_ts: last?.devices[0]?.['pushkey_ts'] }],
  });
  ok(await bob.post(`/rooms/${encodeURIComponent(roomId)}/receipt/m.read/${encodeURIComponent(short)}`));
  const cleared = async (): Promise<Told | undefined> => {
    for (let tries = 0; tries < 400; tries += 1) {
      const found = gateway.told.find((each) => each.id === '' && each.counts?.unread === 0);
      if (found !== undefined) return found;
      await sleep(25);
    }
    return undefined;
  };
  assert.deepEqual((await cleared())?.counts, { unread: 0 }, 'what is read is taken off the badge');
});

onEachEngine(
  'what a gateway does not take is tried again, also after the server was killed; a device that it rejects goes',
  async (start) => {
    await using server = await start({ settings: SETTINGS });
    await using gateway = await startGateway();
    const alice = await server.register('alice');
    const bob = await server.register('bob');
    const roomId = await createRoom(alice, { invite: [bob.userId] });
    await join(bob, roomId);
    ok(await bob.post('/pushers/set', pusher(gateway.url)));
    const taken = await say(alice, roomId, { body: 'taken' });
    await gateway.until(1);
    gateway.answerWith(503);
    const later = await say(alice, roomId, { body: 'later' });
    const redacted = await say(alice, roomId, { body: 'taken back' });
    ok(await alice.put(`/rooms/${encodeURIComponent(roomId)}/redact/${encodeURIComponent(redacted)}/x`, {}));
    await sleep(300);
    await server.kill();
    await server.start();
    gateway.answerWith(200, { rejected: [] });
    for (let tries = 0; tries < 400 && !gateway.told.some((each) => each.event_id === later); tries += 1) await sleep(25);
    // What was told within the last second before the crash may be told again.
    assert.deepEqual([...new Set(gateway.told.map((each) => each.event_id))], [taken, later]);
    gateway.answerWith(200, { rejected: ['a key', "somebody else's"] });
    await say(alice, roomId, { body: 'rejected' });
    for (let tries = 0; tries < 400; tries += 1) {
      const { pushers } = ok(await bob.get<{ pushers: unknown[] }>('/pushers'));
      if (pushers.length === 0) break;
      await sleep(25);
    }
    assert.deepEqual(ok(await bob.get<{ pushers: unknown[] }>('/pushers')).pushers, []);
  },
);

test('addresses that the server does not connect to are not told anything', async () => {
  await using server = await startServer({ settings: { ip_range_blacklist: ['127.0.0.0/8'] } });
  await using gateway = await startGateway();
  const alice = await server.register('alice');
  const bob = await server.register('bob');
  const roomId = await createRoom(alice, { invite: [bob.userId] });
  await join(bob, roomId);
  ok(await bob.post('/pushers/set', pusher(gateway.url)));
  await say(alice, roomId, { body: 'secret' });
  for (let tries = 0; tries < 400 && !server.output().includes('could not be told'); tries += 1) await sleep(25);
  assert.match(server.output(), /push gateway at 127\.0\.0\.1:\d+ could not be told/u);
  assert.deepEqual(gateway.told, []);
});
