import assert from 'node:assert/strict';
import type { Database } from '#src/platform/database/types.ts';
import { sql } from '#src/platform/database/sql.ts';
import { createTestAccounts, onBothDatabases, OPEN, register } from '#test/support/accounts.ts';
import type { Reply, TestAccounts } from '#test/support/accounts.ts';

const errorOf = ({ status, body }: Reply): string => `${String(status)} ${String(body['errcode'])} ${String(body['error'])}`;

const login = ({ call }: TestAccounts, user: string, more: object = {}): Promise<Reply> =>
  call('POST', '/login', { type: 'm.login.password', identifier: { type: 'm.id.user', user }, password: 'password of alice', ...more });

const whoami = ({ call }: TestAccounts, token: unknown): Promise<Reply> => call('GET', '/account/whoami', undefined, String(token));

const alice = async (accounts: TestAccounts): Promise<string> => (await register(accounts, 'alice')).body['access_token'];

const MISSES = '403 M_FORBIDDEN Invalid username or password';

/** Counts the reads that reach a database. */
const counting = (database: Database): { database: Database; reads: () => number } => {
  let reads = 0;
  const read: Database['read'] = (name, body) => {
    reads += 1;
    return database.read(name, body);
  };
  return { database: { ...database, read }, reads: () => reads };
};

onBothDatabases('one logs in by name or id, in any case, in the new way or the old', async (database, strings) => {
  const accounts = createTestAccounts(database, strings);
  await alice(accounts);
  assert.deepEqual((await accounts.call('GET', '/login')).body, { flows: [{ type: 'm.login.password' }] });
  for (const user of ['alice', 'ALICE', '@alice:test', '@Alice:test']) {
    const { status, body } = await login(accounts, user);
    assert.deepEqual([status, body['user_id'], body['home_server']], [200, '@alice:test', 'test'], user);
    assert.match(body['device_id'], /^[A-Z]{10}$/);
  }
  const old = await accounts.call('POST', '/login', { type: 'm.login.password', user: 'alice', password: 'password of alice' });
  assert.equal(old.status, 200);
});

onBothDatabases('whoever is not there is refused like a wrong password', async (database, strings) => {
  const accounts = createTestAccounts(database, strings);
  await alice(accounts);
  assert.equal(errorOf(await login(accounts, 'alice', { password: 'wrong' })), MISSES);
  for (const user of ['bob', '@alice:elsewhere', '@alice', 'al\0ice']) assert.equal(errorOf(await login(accounts, user)), MISSES, user);
  const byMail = { identifier: { type: 'm.id.thirdparty', medium: 'email', address: 'a@x' } };
  assert.equal(errorOf(await login(accounts, '', byMail)), MISSES);
});

onBothDatabases('malformed log-ins are refused by name', async (database, strings) => {
  const { call } = createTestAccounts(database, strings);
  const cases: readonly (readonly [object, string])[] = [
    [{}, '400 M_UNKNOWN Missing JSON keys.'],
    [{ type: 5 }, '400 M_INVALID_PARAM Bad parameter: type'],
    [{ type: 'm.login.magic' }, '400 M_UNKNOWN Unknown login type m.login.magic'],
    [{ type: 'm.login.password', user: 'a' }, '400 M_INVALID_PARAM Bad parameter: password'],
    [{ type: 'm.login.password', password: 'x' }, '400 M_INVALID_PARAM Invalid login submission'],
    [{ type: 'm.login.password', password: 'x', identifier: {} }, "400 M_UNKNOWN Invalid legacy identifier: missing 'type'"],
    [{ type: 'm.login.password', password: 'x', identifier: { type: 'x' } }, '400 M_UNKNOWN Unknown login identifier type'],
    [{ type: 'm.login.password', password: 'x', user: { a: 1 } }, "400 M_UNKNOWN User identifier is missing 'user' key"],
  ];
  for (const [body, expected] of cases) assert.equal(errorOf(await call('POST', '/login', body)), expected, JSON.stringify(body));
});

onBothDatabases('the deactivated are told so', async (database, strings) => {
  const accounts = createTestAccounts(database, strings);
  await alice(accounts);
  await database.write('test', (tx) => tx.run(sql`UPDATE users SET deactivated = 1, password_hash = NULL`));
  assert.equal(errorOf(await login(accounts, 'alice')), '403 M_USER_DEACTIVATED This account has been deactivated');
});

onBothDatabases('failed attempts are limited for each account', async (database, strings) => {
  const few = { per_second: 0.01, burst_count: 2 };
  const accounts = createTestAccounts(database, strings, { ...OPEN, rc_login: { ...OPEN.rc_login, failed_attempts: few } });
  await alice(accounts);
  for (let tries = 0; tries < 5; tries += 1) assert.equal((await login(accounts, 'alice')).status, 200);
  for (const user of ['alice', '@Alice:test']) assert.equal(errorOf(await login(accounts, user, { password: 'x' })), MISSES);
  assert.equal((await login(accounts, 'alice')).status, 429);
  assert.equal(errorOf(await login(accounts, 'bob')), MISSES);
});

onBothDatabases('a known token costs no read', async (original, strings) => {
  const { database, reads } = counting(original);
  const accounts = createTestAccounts(database, strings);
  const token = await alice(accounts);
  await whoami(accounts, token);
  const before = reads();
  for (let request = 0; request < 10; request += 1) assert.equal((await whoami(accounts, token)).status, 200);
  assert.equal(reads(), before);
});

onBothDatabases('tokens are stored as hashes', async (database, strings) => {
  const accounts = createTestAccounts(database, strings);
  await alice(accounts);
  const rows = await database.read('test', (reader) => reader.all<{ hash: Uint8Array }>(sql`SELECT hash FROM access_tokens`));
  assert.deepEqual(
    rows.map(({ hash }) => hash.byteLength),
    [32],
  );
});

onBothDatabases('logging out ends the session and deletes its device', async (database, strings) => {
  const accounts = createTestAccounts(database, strings);
  const [phone, laptop] = [await alice(accounts), (await login(accounts, 'alice')).body['access_token']];
  await whoami(accounts, phone);
  assert.deepEqual((await accounts.call('POST', '/logout', undefined, phone)).body, {});
  const { status, body } = await whoami(accounts, phone);
  assert.deepEqual([status, body['errcode'], body['soft_logout']], [401, 'M_UNKNOWN_TOKEN', false]);
  assert.equal((await whoami(accounts, laptop)).status, 200);
  assert.equal(accounts.deviceKeys.size, 1);

  await accounts.call('POST', '/logout/all', undefined, laptop);
  assert.equal((await whoami(accounts, laptop)).status, 401);
  assert.equal(accounts.deviceKeys.size, 0);
});

onBothDatabases('logging in on a device again ends its earlier session', async (database, strings) => {
  const accounts = createTestAccounts(database, strings);
  await alice(accounts);
  const first = (await login(accounts, 'alice', { device_id: 'PHONE' })).body['access_token'];
  await whoami(accounts, first);
  const second = (await login(accounts, 'alice', { device_id: 'PHONE' })).body['access_token'];
  assert.equal((await whoami(accounts, first)).status, 401);
  assert.equal((await whoami(accounts, second)).body['device_id'], 'PHONE');
});

onBothDatabases('requests without a good token are told why', async (database, strings) => {
  const accounts = createTestAccounts(database, strings);
  assert.equal(errorOf(await accounts.call('GET', '/account/whoami')), '401 M_MISSING_TOKEN Missing access token');
  assert.equal(errorOf(await whoami(accounts, 'syt_x')), '401 M_UNKNOWN_TOKEN Unrecognised access token');
  const token = await alice(accounts);
  assert.equal((await accounts.call('GET', `/account/whoami?access_token=${token}`)).status, 200);
  assert.match(
    errorOf(await accounts.call('GET', `/account/whoami?access_token=${token}`, undefined, token)),
    /^401 M_MISSING_TOKEN Mixing/,
  );
});

onBothDatabases('an expired token asks for a soft logout', async (database, strings) => {
  const accounts = createTestAccounts(database, strings, { ...OPEN, nonrefreshable_access_token_lifetime: '1h' });
  const { body } = await register(accounts, 'alice');
  assert.ok(body['expires_in_ms'] > 3_590_000 && body['expires_in_ms'] <= 3_600_000);
  assert.equal((await whoami(accounts, body['access_token'])).status, 200);
  accounts.pass(3_600_001);
  const expired = await whoami(accounts, body['access_token']);
  assert.equal(errorOf(expired), '401 M_UNKNOWN_TOKEN Access token has expired');
  assert.equal(expired.body['soft_logout'], true);
});

onBothDatabases('a refresh token is good until the new pair is used', async (database, strings) => {
  const accounts = createTestAccounts(database, strings);
  const refresh = (token: unknown): Promise<Reply> => accounts.call('POST', '/refresh', { refresh_token: token });
  await alice(accounts);
  const { body: first } = await login(accounts, 'alice', { refresh_token: true });
  assert.match(first['refresh_token'], /^syr_YWxpY2U_/);
  assert.ok(first['expires_in_ms'] <= 300_000);

  const lost = (await refresh(first['refresh_token'])).body;
  const second = (await refresh(first['refresh_token'])).body;
  assert.equal((await whoami(accounts, lost['access_token'])).status, 401, 'the pair nobody used is gone');
  assert.equal((await whoami(accounts, first['access_token'])).status, 200, 'the old access token lives on');
  assert.equal((await whoami(accounts, second['access_token'])).status, 200);
  assert.equal(errorOf(await refresh(first['refresh_token'])), "403 M_FORBIDDEN refresh token isn't valid anymore");

  const third = (await refresh(second['refresh_token'])).body;
  assert.equal((await whoami(accounts, first['access_token'])).status, 401);
  const fourth = await refresh(third['refresh_token']);
  assert.equal(errorOf(await refresh(second['refresh_token'])), '401 M_UNKNOWN_TOKEN refresh token does not exist');
  assert.equal(errorOf(await refresh(third['refresh_token'])).slice(0, 3), '200');
  assert.equal(fourth.status, 200);
});

onBothDatabases('using the new refresh token spends the old one too', async (database, strings) => {
  const accounts = createTestAccounts(database, strings);
  const refresh = (token: unknown): Promise<Reply> => accounts.call('POST', '/refresh', { refresh_token: token });
  await alice(accounts);
  const { body: first } = await login(accounts, 'alice', { refresh_token: true });
  const second = (await refresh(first['refresh_token'])).body;
  assert.equal((await refresh(second['refresh_token'])).status, 200);
  assert.equal(errorOf(await refresh(first['refresh_token'])), '401 M_UNKNOWN_TOKEN refresh token does not exist');
});

onBothDatabases('what is no refresh token is refused', async (database, strings) => {
  const { call } = createTestAccounts(database, strings);
  const refresh = (token: unknown): Promise<Reply> => call('POST', '/refresh', { refresh_token: token });
  assert.equal(errorOf(await refresh('syr_a_b_c')), '401 M_UNKNOWN_TOKEN invalid refresh token');
  assert.equal((await refresh(5)).status, 400);
  assert.equal((await call('POST', '/refresh', {})).body['errcode'], 'M_MISSING_PARAM');
});

onBothDatabases('a session ends when its lifetime is over, however often it is refreshed', async (database, strings) => {
  const accounts = createTestAccounts(database, strings, { ...OPEN, session_lifetime: '10m' });
  await alice(accounts);
  const { body: first } = await login(accounts, 'alice', { refresh_token: true });
  accounts.pass(8 * 60_000);
  const second = (await accounts.call('POST', '/refresh', { refresh_token: first['refresh_token'] })).body;
  assert.ok(second['expires_in_ms'] <= 120_000);
  accounts.pass(3 * 60_000);
  const third = await accounts.call('POST', '/refresh', { refresh_token: second['refresh_token'] });
  assert.equal(third.status, 403);
  assert.equal((await whoami(accounts, second['access_token'])).body['soft_logout'], true);
  accounts.pass(31 * 24 * 3_600_000);
  for (const job of accounts.jobs) await job.run();
  assert.equal((await whoami(accounts, second['access_token'])).body['soft_logout'], false);
});

onBothDatabases('a new password needs the old one and logs other devices out', async (database, strings) => {
  const accounts = createTestAccounts(database, strings);
  const [phone, laptop] = [await alice(accounts), (await login(accounts, 'alice')).body['access_token']];
  await register(accounts, 'bob');
  await whoami(accounts, laptop);
  const change = (body: object): Promise<Reply> => accounts.call('POST', '/account/password', body, phone);

  const challenge = await change({ new_password: 'new' });
  assert.deepEqual([challenge.status, challenge.body['flows']], [401, [{ stages: ['m.login.password'] }]]);
  const auth = { type: 'm.login.password', session: challenge.body['session'], identifier: { type: 'm.id.user', user: 'alice' } };
  const wrong = await change({ new_password: 'new', auth: { ...auth, password: 'x' } });
  assert.deepEqual([wrong.status, wrong.body['errcode'], wrong.body['completed']], [401, 'M_FORBIDDEN', []]);
  const bobs = { ...auth, identifier: { type: 'm.id.user', user: 'bob' }, password: 'password of bob' };
  assert.equal(errorOf(await change({ new_password: 'new', auth: bobs })), '403 M_FORBIDDEN Invalid auth');

  assert.deepEqual((await change({ auth: { ...auth, password: 'password of alice' }, new_password: 'new' })).body, {});
  assert.equal((await whoami(accounts, phone)).status, 200);
  assert.equal((await whoami(accounts, laptop)).status, 401);
  assert.equal((await login(accounts, 'alice')).status, 403);
  assert.equal((await login(accounts, 'alice', { password: 'new' })).status, 200);
});

onBothDatabases('where a device was seen is written in one go', async (database, strings) => {
  const accounts = createTestAccounts(database, strings);
  const token = await alice(accounts);
  for (let request = 0; request < 3; request += 1) await whoami(accounts, token);
  await accounts.close();
  const seen = (): Promise<{ ip: string; device_id: string }[]> =>
    database.read('test', (reader) => reader.all(sql`SELECT ip, device_id FROM client_ips`));
  assert.deepEqual(
    (await seen()).map(({ ip }) => ip),
    ['127.0.0.1'],
  );

  // Old rows go, but for the last of a device that is logged in.
  accounts.pass(29 * 24 * 3_600_000);
  for (const job of accounts.jobs) await job.run();
  assert.equal((await seen()).length, 1);
  await accounts.call('POST', '/logout', undefined, token);
  await accounts.close();
  accounts.pass(29 * 24 * 3_600_000);
  for (const job of accounts.jobs) await job.run();
  assert.deepEqual(await seen(), []);
});
