// What has to do with accounts and devices, seen from other people's clients.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { main } from '#src/cli/index.ts';
import { assertError, createClient, ok, type Json, type Person } from './support/client.ts';
import { onEachEngine } from './support/engines.ts';

const DEADLINE_MS = 10_000;

/** Makes a request of somebody who confirms it with the password. */
const confirmed = async (person: Person, name: string, path: string, body: Json): Promise<Json> => {
  const { session } = (await person.post<{ session: string }>(path, body)).body;
  const identifier = { type: 'm.id.user', user: name };
  return ok(await person.post(path, { ...body, auth: { type: 'm.login.password', session, identifier, password: `password of ${name}` } }));
};

/** Asks again and again until the answer is the expected one. */
const becomes = async (expected: unknown, ask: () => Promise<unknown>): Promise<void> => {
  for (const start = performance.now(); ; await sleep(20)) {
    const found = await ask();
    if (JSON.stringify(found) === JSON.stringify(expected)) return;
    assert.ok(performance.now() - start < DEADLINE_MS, `still ${JSON.stringify(found)}`);
  }
};

const newRoom = async (person: Person, more: Json = {}): Promise<string> =>
  ok(await person.post<{ room_id: string }>('/createRoom', { preset: 'public_chat', ...more })).room_id;

const membershipOf = async (watcher: Person, room: string, userId: string): Promise<unknown> =>
  (await watcher.get(`/rooms/${encodeURIComponent(room)}/state/m.room.member/${userId}`)).body['membership'];

onEachEngine('who closes the account leaves all rooms', async (startOnEngine) => {
  // Leaving is no sending: the limit of messages does not hold it up.
  await using server = await startOnEngine({ settings: { rc_message: { per_second: 0.001, burst_count: 20 } } });
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const rooms: string[] = [];
  for (let index = 0; index < 4; index += 1) {
    const room = await newRoom(alice);
    ok(await bob.post(`/join/${encodeURIComponent(room)}`));
    rooms.push(room);
  }
  rooms.push(await newRoom(alice, { preset: 'private_chat', invite: [bob.userId] }));
  for (let index = 0; index < 16; index += 1) {
    ok(
      await bob.put(`/rooms/${encodeURIComponent(rooms[0] ?? '')}/send/m.room.message/${String(index)}`, { msgtype: 'm.text', body: 'x' }),
    );
  }
  assert.deepEqual(await confirmed(bob, 'bob', '/account/deactivate', { erase: true }), { id_server_unbind_result: 'success' });
  assertError(await bob.get('/sync'), 401, 'M_UNKNOWN_TOKEN');
  // Whatever is not done yet goes on after the restart.
  await server.kill();
  await server.start();
  for (const room of rooms) await becomes('leave', () => membershipOf(alice, room, bob.userId));
  assertError(await alice.get(`/profile/${bob.userId}`), 404, 'M_NOT_FOUND');
  assertError(
    await server.anybody.post('/login', { type: 'm.login.password', user: 'bob', password: 'password of bob' }),
    403,
    'M_USER_DEACTIVATED',
  );
});

interface SyncAnswer {
  readonly next_batch: string;
  readonly device_lists?: { readonly changed?: readonly string[]; readonly left?: readonly string[] };
  readonly device_one_time_keys_count: Readonly<Record<string, number>>;
}

const keysOf = ({ userId, deviceId }: Person, key: string): Json => ({
  user_id: userId,
  device_id: deviceId,
  algorithms: ['m.megolm.v1.aes-sha2'],
  keys: { [`ed25519:${deviceId}`]: key },
  signatures: { [userId]: { [`ed25519:${deviceId}`]: 'signature' } },
});

onEachEngine('those who share a room are told of changed devices', async (startOnEngine) => {
  await using server = await startOnEngine();
  const [alice, bob, eve] = [await server.register('alice'), await server.register('bob'), await server.register('eve')];
  const room = encodeURIComponent(await newRoom(alice));
  ok(await bob.post(`/join/${room}`));
  const sync = async (person: Person, since?: string, timeoutMs = 0): Promise<SyncAnswer> =>
    ok(
      await person.get<SyncAnswer>(`/sync?timeout=${String(timeoutMs)}${since === undefined ? '' : `&since=${encodeURIComponent(since)}`}`),
    );
  const [first, eves] = [await sync(bob), await sync(eve)];
  assert.deepEqual(first.device_one_time_keys_count, { signed_curve25519: 0 });

  const waiting = sync(bob, first.next_batch, 20_000);
  ok(await alice.post('/keys/upload', { device_keys: keysOf(alice, 'one'), one_time_keys: { 'curve25519:A': 'x' } }));
  assert.deepEqual((await waiting).device_lists, { changed: [alice.userId], left: [] });
  assert.equal((await sync(eve, eves.next_batch)).device_lists, undefined, 'nobody else');
  assert.deepEqual((await sync(alice)).device_one_time_keys_count, { signed_curve25519: 0, curve25519: 1 });
  const from = encodeURIComponent(first.next_batch);
  assert.deepEqual(ok(await bob.get(`/keys/changes?from=${from}&to=${from}`)), { changed: [alice.userId], left: [] });

  const { next_batch: before } = await sync(eve);
  ok(await eve.post(`/join/${room}`));
  const joined = await sync(eve, before);
  assert.deepEqual(joined.device_lists?.changed?.toSorted(), [alice.userId, bob.userId, eve.userId].toSorted());
  // Those who were there are told of who came, of a new name not, and of who went.
  const met = await sync(bob, (await waiting).next_batch);
  assert.deepEqual(met.device_lists, { changed: [eve.userId], left: [] });
  ok(await eve.put(`/rooms/${room}/state/m.room.member/${encodeURIComponent(eve.userId)}`, { membership: 'join', displayname: 'E' }));
  const named = await sync(bob, met.next_batch);
  assert.equal(named.device_lists, undefined);
  ok(await eve.post(`/rooms/${room}/leave`));
  assert.deepEqual((await sync(bob, named.next_batch)).device_lists, { changed: [], left: [eve.userId] });
  const since = encodeURIComponent(met.next_batch);
  assert.deepEqual(ok(await bob.get(`/keys/changes?from=${since}&to=${since}`)), { changed: [], left: [eve.userId] });
  const left = await sync(eve, joined.next_batch);
  assert.deepEqual(left.device_lists?.left?.toSorted(), [alice.userId, bob.userId].toSorted());
  const changes = ok(await eve.get<{ left: string[] }>(`/keys/changes?from=${encodeURIComponent(joined.next_batch)}&to=x`));
  assert.deepEqual(changes.left.toSorted(), [alice.userId, bob.userId].toSorted());
});

onEachEngine('a device is deleted, and another let in by a token', async (startOnEngine) => {
  await using server = await startOnEngine({ settings: { login_via_existing_session: { enabled: true } } });
  const alice = await server.register('alice');
  const { capabilities } = ok(await alice.get<{ capabilities: Json }>('/capabilities'));
  assert.deepEqual(capabilities['m.get_login_token'], { enabled: true });
  const { login_token: token } = await confirmed(alice, 'alice', '/_matrix/client/v1/login/get_token', {});
  const session = ok(await server.anybody.post<{ access_token: string; device_id: string }>('/login', { type: 'm.login.token', token }));
  const laptop = createClient(server.pool, session.access_token);
  assert.equal(ok(await laptop.get<{ devices: Json[] }>('/devices')).devices.length, 2);
  await confirmed(alice, 'alice', '/delete_devices', { devices: [session.device_id] });
  assertError(await laptop.get('/account/whoami'), 401, 'M_UNKNOWN_TOKEN');
  assert.deepEqual(ok(await alice.get('/account/3pid')), { threepids: [] });
  assert.equal(ok(await alice.post(`/user/${alice.userId}/openid/request_token`))['expires_in'], 3600);
});

/** Runs a command as on a terminal where these answers are typed. */
const myelin = async (args: readonly string[], answers: readonly string[] = []): Promise<{ code: number; out: string; err: string }> => {
  const left = [...answers];
  const [out, err]: [string[], string[]] = [[], []];
  const ask = (): Promise<string> => Promise.resolve(left.shift() ?? '');
  const io = {
    cwd: '/',
    env: {},
    print: (line: string) => out.push(line),
    complain: (line: string) => err.push(line),
    ask,
    askSecret: ask,
  };
  return { code: await main(args, io), out: out.join('\n'), err: err.join('\n') };
};

onEachEngine('an administrator helps from the command line', async (startOnEngine) => {
  await using server = await startOnEngine();
  const { origin, anybody } = server;
  const alice = await server.register('alice');
  const registered = await myelin(['register-user', '-k', 'test', '-a', '-u', 'root', '-p', 'root password', origin]);
  assert.equal(registered.code, 0, registered.err);
  const asRoot = ['--server', origin, '-u', 'root', '--admin-password', 'root password'];
  const login = (password: string) => anybody.post<{ device_id: string }>('/login', { type: 'm.login.password', user: 'alice', password });

  const { device_id: laptop } = ok(await login('password of alice'));
  const listed = await myelin(['list-sessions', ...asRoot, 'alice']);
  assert.deepEqual([listed.code, listed.err], [0, '']);
  assert.deepEqual(
    listed.out.split('\n').map((line) => line.split('\t')[0]),
    [alice.deviceId, laptop].toSorted(),
  );
  const wrong = await myelin(['drop-sessions', ...asRoot, alice.userId, laptop, 'NOSUCH']);
  assert.deepEqual([wrong.code, wrong.err], [1, `myelin: ${alice.userId} has no such device: NOSUCH`]);
  assert.match((await myelin(['drop-sessions', ...asRoot, alice.userId, laptop])).out, /was logged out of 1 device\.$/u);
  assert.equal(ok(await alice.get<{ devices: Json[] }>('/devices')).devices.length, 1);

  const reset = await myelin(['reset-password', '--server', origin, '@alice:test.example'], ['root', 'root password', 'new', 'new']);
  assert.deepEqual([reset.code, reset.err], [0, '']);
  assertError(await alice.get('/account/whoami'), 401, 'M_UNKNOWN_TOKEN');
  assertError(await login('password of alice'), 403, 'M_FORBIDDEN');
  const { device_id: phone } = ok(await login('new'));
  assert.equal((await myelin(['reset-password', ...asRoot, '--keep-sessions', '-p', 'newer', 'alice'])).code, 0);
  assert.match((await myelin(['list-sessions', ...asRoot, 'alice'])).out, new RegExp(`^${phone}\t`, 'u'));
  assert.match((await myelin(['drop-sessions', ...asRoot, '--all', 'alice'])).out, /of 1 device\.$/u);

  // The command's own session does not stay behind.
  assert.match((await myelin(['list-sessions', ...asRoot, 'root'])).out, /^[^\n]+\n[^\n]+$/u, 'the one of registering, and this one');
  for (const args of [
    ['list-sessions'],
    ['reset-password'],
    ['drop-sessions', 'alice'],
    ['drop-sessions', '--all', 'alice', 'X'],
    ['list-sessions', 'alice'],
  ]) {
    assert.equal((await myelin(args)).code, 2, args.join(' '));
  }
  const nobody = await myelin(['list-sessions', ...asRoot, 'nobody']);
  assert.deepEqual([nobody.code, nobody.err], [1, 'myelin: The server answered 404: Unknown user']);
  const plain = await myelin(['list-sessions', '--server', origin, '-u', 'alice', '--admin-password', 'newer', 'root']);
  assert.deepEqual([plain.code, plain.err], [1, 'myelin: The server answered 403: You are not a server admin']);
});
