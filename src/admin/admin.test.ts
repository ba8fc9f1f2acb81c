import assert from 'node:assert/strict';
import { adminRoutes } from '#src/admin/index.ts';
import { createDevices, createKeyMemory, createSigningKeys, devicePort } from '#src/devices/index.ts';
import { systemClock } from '#src/platform/clock.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Database } from '#src/platform/database/types.ts';
import { createTestAccounts, onBothDatabases, OPEN, register } from '../../test/support/accounts.ts';
import type { Reply, TestAccounts } from '../../test/support/accounts.ts';

const errorOf = ({ status, body }: Reply): string => `${String(status)} ${String(body['errcode'])}`;

const create = (database: Database, strings: Strings): TestAccounts => {
  const memory = createKeyMemory(database);
  const port = devicePort({ clock: systemClock, memory });
  return createTestAccounts(database, strings, OPEN, {
    devices: port,
    routes: (accounts) =>
      adminRoutes({
        dehydratedDevices: { find: () => Promise.resolve(undefined) },
        access: accounts.access,
        accounts,
        devices: createDevices({ database, accounts, memory, port }),
        signingKeys: createSigningKeys({ database, clock: systemClock, memory }),
        serverName: 'test',
      }),
  });
};

/** Registers somebody who is an administrator, and answers the token. */
const registerAdmin = async (accounts: TestAccounts, database: Database): Promise<string> => {
  await register(accounts, 'root', { inhibit_login: true, password: 'rootpass' });
  await database.write('test', (tx) => tx.run(sql`UPDATE users SET is_admin = 1 WHERE localpart = ${'root'}`));
  const login = { type: 'm.login.password', user: 'root', password: 'rootpass', device_id: 'ROOTS' };
  return (await accounts.call('POST', '/login', login)).body.access_token;
};

const login = ({ call }: TestAccounts, password: string): Promise<Reply> =>
  call('POST', '/login', { type: 'm.login.password', user: 'alice', password });

const ALICE = '@alice:test';
const devicesPath = (userId: string): string => `/_synapse/admin/v2/users/${userId}/devices`;
const resetPath = (userId: string): string => `/_synapse/admin/v1/reset_password/${userId}`;
const dropPath = (userId: string): string => `/_synapse/admin/v2/users/${userId}/delete_devices`;

onBothDatabases('only administrators get in, and only to users who are here', async (database, strings) => {
  const accounts = create(database, strings);
  const root = await registerAdmin(accounts, database);
  const { access_token: alices } = (await register(accounts, 'alice')).body;
  assert.equal(errorOf(await accounts.call('GET', devicesPath(ALICE), undefined, alices)), '403 M_FORBIDDEN');
  assert.equal(errorOf(await accounts.call('POST', resetPath(ALICE), { new_password: 'x' }, alices)), '403 M_FORBIDDEN');
  assert.equal(errorOf(await accounts.call('POST', dropPath(ALICE), { devices: [] })), '401 M_MISSING_TOKEN');
  assert.equal(errorOf(await accounts.call('GET', devicesPath('@nobody:test'), undefined, root)), '404 M_NOT_FOUND');
  assert.equal(errorOf(await accounts.call('GET', devicesPath('@a:elsewhere'), undefined, root)), '400 M_UNKNOWN');
  assert.equal(errorOf(await accounts.call('GET', devicesPath('nonsense'), undefined, root)), '400 M_INVALID_PARAM');
});

onBothDatabases("a user's devices are listed and deleted", async (database, strings) => {
  const accounts = create(database, strings);
  const root = await registerAdmin(accounts, database);
  const { access_token: alices } = (await register(accounts, 'alice', { device_id: 'PHONE' })).body;
  const { body } = await accounts.call('GET', devicesPath(ALICE), undefined, root);
  const [{ last_seen_ts: seenAt, last_seen_user_agent: agent, ...phone } = {}] = body['devices'] as Record<string, unknown>[];
  assert.deepEqual(phone, { device_id: 'PHONE', display_name: null, last_seen_ip: '127.0.0.1', user_id: ALICE, dehydrated: false });
  assert.deepEqual([typeof seenAt, typeof agent, body['total']], ['number', 'string', 1]);
  assert.equal(errorOf(await accounts.call('POST', dropPath(ALICE), { devices: 'PHONE' }, root)), '400 M_BAD_JSON');
  assert.deepEqual((await accounts.call('POST', dropPath(ALICE), { devices: ['PHONE', 'ROOTS'] }, root)).body, {});
  assert.equal(errorOf(await accounts.call('GET', '/account/whoami', undefined, alices)), '401 M_UNKNOWN_TOKEN');
  assert.equal((await accounts.call('GET', devicesPath(ALICE), undefined, root)).body['total'], 0);
});

onBothDatabases('a password is reset, and devices are logged out unless they are to stay', async (database, strings) => {
  const accounts = create(database, strings);
  const root = await registerAdmin(accounts, database);
  const { access_token: alices } = (await register(accounts, 'alice')).body;
  const reset = (userId: string, body: object): Promise<Reply> => accounts.call('POST', resetPath(userId), body, root);
  assert.deepEqual((await reset(ALICE, { new_password: 'second', logout_devices: false })).body, {});
  assert.equal((await accounts.call('GET', '/account/whoami', undefined, alices)).status, 200);
  await reset(ALICE, { new_password: 'third' });
  assert.equal((await accounts.call('GET', '/account/whoami', undefined, alices)).status, 401);
  assert.equal((await login(accounts, 'second')).status, 403);
  assert.equal((await login(accounts, 'third')).status, 200);
  assert.equal(errorOf(await reset(ALICE, { new_password: 'x'.repeat(600) })), '400 M_UNKNOWN');
  assert.equal(errorOf(await reset(ALICE, {})), '400 M_MISSING_PARAM');
  assert.equal((await reset('@root:test', { new_password: 'mine' })).status, 200);
  assert.equal((await accounts.call('GET', '/account/whoami', undefined, root)).status, 200, 'one does not lock oneself out');
});
