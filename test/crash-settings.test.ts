// The homeserver is killed in the middle of everything that people change beside talking. Whatever it had answered for is there afterwards.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { ok, type Json, type Person, type Session } from './support/client.ts';
import { onEachEngine } from './support/engines.ts';
import type { Server } from './support/server.ts';

const ROUNDS = process.env['MYELIN_LONG'] === '1' ? 20 : 3;
const KEY = 'c2lnbmVkIGtleSBvZiBhIHRlc3QsIDMyIGJ5dGVzIQ';

const id = encodeURIComponent;

/** Something that is changed again and again; the nth change can be told from the others. */
interface Kind {
  readonly name: string;
  /** True where each change stays beside those before it; else the last one is what there is. */
  readonly keepsAll: boolean;
  /** Makes the nth change; made again, it is the same change. */
  write(n: number): Promise<void>;
  /** The number of the change that is there, of `n` where all are kept. */
  stored(n: number): Promise<unknown>;
}

/** A kind at work: up to which change it was answered for, and whether one is without an answer. */
interface Writer {
  readonly kind: Kind;
  answered: number;
  isInDoubt: boolean;
}

const last = (name: string, write: Kind['write'], stored: Kind['stored']): Kind => ({ name, keepsAll: false, write, stored });
const each = (name: string, write: Kind['write'], stored: Kind['stored']): Kind => ({ name, keepsAll: true, write, stored });

const roomKinds = (alice: Person, bob: Person, roomId: string): Kind[] => {
  const room = `/rooms/${id(roomId)}`;
  const alices = `/user/${id(alice.userId)}`;
  const sent = new Map<string, number>();
  const eventIds = new Map<number, string>();
  const say = async (name: string, n: number): Promise<string> => {
    const path = `${room}/send/m.room.message/${id(`${name} ${String(n)}`)}`;
    const { event_id: eventId } = ok(await alice.put<{ event_id: string }>(path, { msgtype: 'm.text', body: String(n) }));
    sent.set(eventId, n);
    return eventId;
  };
  const receiptOf = async (person: Person): Promise<number | undefined> => {
    type Ephemeral = { type: string; content: Record<string, Record<string, Json>> };
    type Sync = { rooms?: { join?: Record<string, { ephemeral: { events: Ephemeral[] } }> } };
    const events = ok(await person.get<Sync>('/sync?timeout=0')).rooms?.join?.[roomId]?.ephemeral.events ?? [];
    const receipts = events.find((event) => event.type === 'm.receipt')?.content ?? {};
    const [eventId = ''] = Object.entries(receipts).find(([, byType]) => byType['m.read']?.[person.userId] !== undefined) ?? [];
    return sent.get(eventId);
  };
  return [
    each(
      'message',
      async (n) => void eventIds.set(n, await say('message', n)),
      async (n) => Number(ok(await bob.get<{ content: Json }>(`${room}/event/${id(eventIds.get(n) ?? '')}`)).content['body']),
    ),
    last(
      'state',
      async (n) => void ok(await alice.put(`${room}/state/org.example.counter/`, { n })),
      async () => ok(await bob.get(`${room}/state/org.example.counter/`))['n'],
    ),
    last(
      'membership',
      async (n) => void ok(await bob.put(`${room}/state/m.room.member/${id(bob.userId)}`, { membership: 'join', displayname: String(n) })),
      async () => Number(ok(await alice.get(`${room}/state/m.room.member/${id(bob.userId)}`))['displayname']),
    ),
    last(
      'account data of a room',
      async (n) => void ok(await alice.put(`${alices}${room}/account_data/org.example.counter`, { n })),
      async () => ok(await alice.get(`${alices}${room}/account_data/org.example.counter`))['n'],
    ),
    each(
      'tag',
      async (n) => void ok(await alice.put(`${alices}${room}/tags/u.${String(n)}`, { order: 1 / n })),
      async (n) =>
        Math.round(
          1 / Number(ok(await alice.get<{ tags: Record<string, Json> }>(`${alices}${room}/tags`)).tags[`u.${String(n)}`]?.['order']),
        ),
    ),
    last(
      'receipt',
      async (n) => void ok(await bob.post(`${room}/receipt/m.read/${id(await say('to be read', n))}`)),
      async () => receiptOf(bob),
    ),
    last(
      'read marker',
      async (n) => void ok(await alice.post(`${room}/read_markers`, { 'm.fully_read': await say('to be marked', n) })),
      async () => sent.get(String(ok(await alice.get(`${alices}${room}/account_data/m.fully_read`))['event_id'])),
    ),
    each(
      'alias',
      async (n) => {
        const { status } = await alice.put(`/directory/room/${id(`#n${String(n)}:test.example`)}`, { room_id: roomId });
        assert.ok(status === 200 || status === 409, 'the answer to the first was lost');
      },
      async (n) => (ok(await bob.get(`/directory/room/${id(`#n${String(n)}:test.example`)}`))['room_id'] === roomId ? n : undefined),
    ),
  ];
};

const accountKinds = (server: Server, alice: Person, dora: Person): Kind[] => {
  const alices = `/user/${id(alice.userId)}`;
  const filters = new Map<number, string>();
  const sessions = new Map<number, Session>();
  const device = { user_id: dora.userId, device_id: dora.deviceId };
  const whoami = async ({ access_token: token }: Session): Promise<number> => {
    const { statusCode, body } = await server.pool.request({
      method: 'GET',
      path: '/_matrix/client/v3/account/whoami',
      headers: { authorization: `Bearer ${token}` },
    });
    await body.dump();
    return statusCode;
  };
  return [
    last(
      'account data',
      async (n) => void ok(await alice.put(`${alices}/account_data/org.example.counter`, { n })),
      async () => ok(await alice.get(`${alices}/account_data/org.example.counter`))['n'],
    ),
    last(
      'push rule',
      async (n) => void ok(await alice.put('/pushrules/global/content/counter', { pattern: String(n), actions: [] })),
      async () => Number(ok(await alice.get('/pushrules/global/content/counter'))['pattern']),
    ),
    each(
      'filter',
      async (n) =>
        void filters.set(
          n,
          ok(await alice.post<{ filter_id: string }>(`${alices}/filter`, { room: { timeline: { limit: n } } })).filter_id,
        ),
      async (n) => ok(await alice.get<{ room: { timeline: Json } }>(`${alices}/filter/${filters.get(n) ?? ''}`)).room.timeline['limit'],
    ),
    last(
      'profile',
      async (n) => void ok(await dora.put(`/profile/${id(dora.userId)}/displayname`, { displayname: String(n) })),
      async () => Number(ok(await alice.get(`/profile/${id(dora.userId)}/displayname`))['displayname']),
    ),
    last(
      'device name',
      async (n) => void ok(await dora.put(`/devices/${dora.deviceId}`, { display_name: String(n) })),
      async () => Number(ok(await dora.get(`/devices/${dora.deviceId}`))['display_name']),
    ),
    last(
      'one-time key',
      async (n) => {
        const key = { key: KEY, signatures: { [dora.userId]: { [`ed25519:${dora.deviceId}`]: 'signature' } } };
        ok(await dora.post('/keys/upload', { one_time_keys: { [`signed_curve25519:K${String(n)}`]: key } }));
      },
      async () => ok(await dora.post<{ one_time_key_counts: Json }>('/keys/upload')).one_time_key_counts['signed_curve25519'],
    ),
    last(
      'device keys',
      async (n) => {
        const keys = { [`ed25519:${dora.deviceId}`]: KEY };
        const signatures = { [dora.userId]: { [`ed25519:${dora.deviceId}`]: `signature ${String(n)}` } };
        ok(await dora.post('/keys/upload', { device_keys: { ...device, algorithms: ['m.megolm.v1.aes-sha2'], keys, signatures } }));
      },
      async () => {
        type Query = { device_keys: Record<string, Record<string, { signatures: Record<string, Record<string, string>> }>> };
        const found = ok(await alice.post<Query>('/keys/query', { device_keys: { [dora.userId]: [] } }));
        const signature = found.device_keys[dora.userId]?.[dora.deviceId]?.signatures[dora.userId]?.[`ed25519:${dora.deviceId}`];
        return Number(signature?.replace('signature ', ''));
      },
    ),
    each(
      'backed up key',
      async (n) => {
        const key = { first_message_index: 0, forwarded_count: 0, is_verified: true, session_data: { n } };
        ok(await alice.put(`/room_keys/keys/${id('!room:test')}/${String(n)}?version=1`, key));
      },
      async (n) =>
        ok(await alice.get<{ session_data: Json }>(`/room_keys/keys/${id('!room:test')}/${String(n)}?version=1`)).session_data['n'],
    ),
    each(
      'login',
      async (n) => {
        const request = { type: 'm.login.password', identifier: { type: 'm.id.user', user: 'dora' }, password: 'password of dora' };
        sessions.set(n, ok(await server.anybody.post<Session>('/login', { ...request, device_id: `N${String(n)}` })));
      },
      async (n) => ((await whoami(sessions.get(n) as Session)) === 200 ? n : undefined),
    ),
  ];
};

const writeNext = async (writer: Writer): Promise<void> => {
  writer.isInDoubt = true;
  await writer.kind.write(writer.answered + 1);
  writer.answered++;
  writer.isInDoubt = false;
};

/** Writes until the server is gone. */
const burst = async (writer: Writer): Promise<void> => {
  try {
    for (;;) await writeNext(writer);
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
  }
};

const check = async ({ kind, answered, isInDoubt }: Writer): Promise<void> => {
  if (kind.keepsAll) {
    for (let n = 1; n <= answered; n++) assert.equal(await kind.stored(n), n, `${kind.name} ${String(n)} of ${String(answered)}`);
    return;
  }
  const stored = await kind.stored(answered);
  const may = isInDoubt ? [answered, answered + 1] : [answered];
  assert.ok(may.includes(stored as number), `${kind.name}: ${String(stored)} is there, ${String(answered)} was answered for`);
};

onEachEngine(`killed while everything changes, ${String(ROUNDS)} times`, async (startOnEngine) => {
  await using server = await startOnEngine();
  const [alice, bob, dora] = [await server.register('alice'), await server.register('bob'), await server.register('dora')];
  const { room_id: roomId } = ok(await alice.post<{ room_id: string }>('/createRoom', { preset: 'public_chat' }));
  ok(await bob.post(`/join/${id(roomId)}`));
  ok(await alice.post('/room_keys/version', { algorithm: 'm.megolm_backup.v1.curve25519-aes-sha2', auth_data: {} }));
  const kinds = [...roomKinds(alice, bob, roomId), ...accountKinds(server, alice, dora)];
  const writers = kinds.map((kind): Writer => ({ kind, answered: 0, isInDoubt: false }));
  for (let round = 0; round < ROUNDS; round++) {
    const before = writers.map(({ answered }) => answered);
    const bursts = writers.map(burst);
    while (writers.some(({ answered }, index) => answered < (before[index] ?? 0) + 3)) await sleep(5);
    await sleep(Math.random() * 200); // so that the kill falls anywhere
    await server.kill();
    await Promise.all(bursts);
    await server.start();
    for (const writer of writers) await check(writer);
    for (const writer of writers) await writeNext(writer);
    for (const writer of writers) await check(writer);
  }
});
