import assert from 'node:assert/strict';
import { createKeyMemory, devicePort } from '#src/devices/index.ts';
import { systemClock } from '#src/platform/clock.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Database } from '#src/platform/database/types.ts';
import { confirmed, createTestAccounts, onBothDatabases, OPEN, register } from '../../test/support/accounts.ts';
import type { Reply, TestAccounts } from '../../test/support/accounts.ts';

const errorOf = ({ status, body }: Reply): string => `${String(status)} ${String(body['errcode'])}`;

const login = ({ call }: TestAccounts, user: string): Promise<Reply> =>
  call('POST', '/login', { type: 'm.login.password', identifier: { type: 'm.id.user', user }, password: `password of ${user}` });

const deactivate = (accounts: TestAccounts, token: string, user: string, body: Readonly<Record<string, unknown>> = {}): Promise<Reply> =>
  confirmed(accounts, 'POST', '/account/deactivate', body, { token, user });

const countOf = async (database: Database, table: 'sessions' | 'devices' | 'pending_partings' | 'erased_users'): Promise<number> => {
  const queries = {
    sessions: sql`SELECT COUNT(*) AS count FROM sessions`,
    devices: sql`SELECT COUNT(*) AS count FROM devices`,
    pending_partings: sql`SELECT COUNT(*) AS count FROM pending_partings`,
    erased_users: sql`SELECT COUNT(*) AS count FROM erased_users`,
  };
  return Number((await database.read('test', (reader) => reader.one<{ count: number }>(queries[table])))?.count);
};

onBothDatabases('a closed account stays closed', async (database, strings) => {
  const accounts = createTestAccounts(database, strings, OPEN, {
    devices: devicePort({ clock: systemClock, memory: createKeyMemory(database) }),
  });
  const { access_token: token } = (await register(accounts, 'alice')).body;
  const { access_token: other } = (await login(accounts, 'alice')).body;
  const { access_token: bobs } = (await register(accounts, 'bob')).body;
  assert.equal((await accounts.call('POST', '/account/deactivate', {}, token)).status, 401, 'only with the password');
  assert.equal(errorOf(await accounts.call('POST', '/account/deactivate', { erase: 'yes' }, token)), '400 M_BAD_JSON');
  assert.equal((await accounts.call('GET', '/account/whoami', undefined, other)).status, 200);

  assert.deepEqual((await deactivate(accounts, token, 'alice')).body, { id_server_unbind_result: 'success' });
  for (const gone of [token, other]) {
    assert.equal(errorOf(await accounts.call('GET', '/account/whoami', undefined, gone)), '401 M_UNKNOWN_TOKEN');
  }
  assert.equal(errorOf(await login(accounts, 'alice')), '403 M_USER_DEACTIVATED');
  assert.equal(errorOf(await accounts.call('GET', '/register/available?username=alice')), '400 M_USER_IN_USE');
  assert.equal((await accounts.call('GET', '/account/whoami', undefined, bobs)).status, 200);
  assert.deepEqual([await countOf(database, 'sessions'), await countOf(database, 'devices')], [1, 1]);
  assert.deepEqual([await countOf(database, 'erased_users'), accounts.names.size], [0, 2]);
});

onBothDatabases('with erasure, the profile goes and the wish is kept', async (database, strings) => {
  const told: boolean[] = [];
  const accounts = createTestAccounts(database, strings, OPEN, {
    onDeactivated: async (_tx, _userNum, erase) => {
      told.push(erase);
    },
  });
  const { access_token: token } = (await register(accounts, 'alice')).body;
  // What the first request asked for holds when the last has nothing but the password.
  const challenge = await accounts.call('POST', '/account/deactivate', { erase: true }, token);
  const identifier = { type: 'm.id.user', user: 'alice' };
  const auth = { type: 'm.login.password', session: challenge.body.session, identifier, password: 'password of alice' };
  assert.equal((await accounts.call('POST', '/account/deactivate', { auth }, token)).status, 200);
  assert.deepEqual([await countOf(database, 'erased_users'), accounts.names.size, told], [1, 0, [true]]);
});

onBothDatabases('a login that was on its way does not outlive the account', async (database, strings) => {
  const { promise: mayGoOn, resolve: goOn } = Promise.withResolvers<void>();
  const { promise: isVerifying, resolve: verifying } = Promise.withResolvers<void>();
  let isSlow = false;
  const passwords = {
    hash: (password: string) => Promise.resolve(password),
    verify: async (password: string, hash: string) => {
      if (isSlow) {
        isSlow = false;
        verifying();
        await mayGoOn;
      }
      return password === hash;
    },
  };
  const accounts = createTestAccounts(database, strings, OPEN, { passwords });
  const { access_token: token } = (await register(accounts, 'alice')).body;
  isSlow = true;
  const late = login(accounts, 'alice');
  await isVerifying;
  assert.equal((await deactivate(accounts, token, 'alice')).status, 200);
  goOn();
  assert.equal(errorOf(await late), '403 M_USER_DEACTIVATED');
  assert.equal(await countOf(database, 'sessions'), 0);
});

onBothDatabases('the deactivated leave their rooms, also after a restart or a failure', async (database, strings) => {
  const before = createTestAccounts(database, strings);
  for (const name of ['alice', 'bob']) await deactivate(before, (await register(before, name)).body.access_token, name);
  assert.equal(await countOf(database, 'pending_partings'), 2);

  const after = createTestAccounts(database, strings);
  const left: string[] = [];
  let fails = true;
  after.parting.start(async ({ userId }) => {
    if (userId === '@alice:test' && fails) throw new Error('not now');
    left.push(userId);
  });
  await after.parting.idle();
  assert.deepEqual(left, ['@bob:test'], 'one that fails does not hold up the others');
  assert.equal(await countOf(database, 'pending_partings'), 1);
  fails = false;
  for (const job of after.jobs) await job.run();
  await after.parting.idle();
  assert.deepEqual(left, ['@bob:test', '@alice:test']);
  assert.equal(await countOf(database, 'pending_partings'), 0);
  await deactivate(after, (await register(after, 'carl')).body.access_token, 'carl');
  await after.parting.idle();
  assert.equal(left.at(-1), '@carl:test', 'and at once while it runs');
});

onBothDatabases('there are no third-party identifiers, and it is said', async (database, strings) => {
  const accounts = createTestAccounts(database, strings);
  const { access_token: token } = (await register(accounts, 'alice')).body;
  const post = async (path: string, body: object = {}): Promise<string> => errorOf(await accounts.call('POST', path, body, token));
  assert.deepEqual((await accounts.call('GET', '/account/3pid', undefined, token)).body, { threepids: [] });
  for (const path of ['/register/email', '/account/password/msisdn', '/account/3pid/email']) {
    assert.equal(await post(`${path}/requestToken`), '400 M_THREEPID_MEDIUM_NOT_SUPPORTED');
  }
  for (const path of ['', '/add', '/bind', '/unbind', '/delete']) assert.equal(await post(`/account/3pid${path}`), '400 M_MISSING_PARAM');
  const validated = { client_secret: 'x', sid: 'y' };
  assert.equal(await post('/account/3pid', { three_pid_creds: validated }), '400 M_THREEPID_AUTH_FAILED');
  assert.equal(await post('/account/3pid/add', validated), '400 M_THREEPID_AUTH_FAILED');
  const bind = { ...validated, id_server: 'identity.test', id_access_token: 'z' };
  assert.equal(await post('/account/3pid/bind', bind), '403 M_SERVER_NOT_TRUSTED');
  const unbound = await accounts.call('POST', '/account/3pid/delete', { medium: 'email', address: 'a@b.c' }, token);
  assert.deepEqual(unbound.body, { id_server_unbind_result: 'no-support' });
  const closed = createTestAccounts(database, strings, { ...OPEN, enable_3pid_changes: false, enable_registration: false });
  assert.equal(errorOf(await closed.call('POST', '/account/3pid/add', validated, token)), '400 M_FORBIDDEN');
  assert.equal(errorOf(await closed.call('POST', '/register/email/requestToken', {})), '403 M_FORBIDDEN');
});
