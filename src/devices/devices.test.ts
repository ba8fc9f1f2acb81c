import assert from 'node:assert/strict';
import { createDevices, createKeyMemory, devicePort, deviceRoutes } from '#src/devices/index.ts';
import { systemClock } from '#src/platform/clock.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import { confirmed, createTestAccounts, onBothDatabases, OPEN, register } from '../../test/support/accounts.ts';
import type { Reply, TestAccounts } from '../../test/support/accounts.ts';

const create = (database: Database, strings: Strings, settings: object = {}): TestAccounts => {
  const memory = createKeyMemory(database);
  const port = devicePort({ clock: systemClock, memory });
  return createTestAccounts(
    database,
    strings,
    { ...OPEN, ...settings },
    {
      devices: port,
      routes: (accounts) => deviceRoutes({ ...accounts, devices: createDevices({ database, accounts, memory, port }) }),
    },
  );
};

const errorOf = ({ status, body }: Reply): string => `${String(status)} ${String(body['errcode'])}`;

/** Logs alice in on a device, and answers the token. */
const loginOn = async ({ call }: TestAccounts, deviceId: string): Promise<string> => {
  const identifier = { type: 'm.id.user', user: 'alice' };
  const login = { type: 'm.login.password', identifier, password: 'password of alice', device_id: deviceId };
  return (await call('POST', '/login', { ...login, initial_device_display_name: `alice's ${deviceId}` })).body.access_token;
};

const idsOf = (reply: Reply): unknown[] => (reply.body['devices'] as { device_id: string }[]).map((device) => device.device_id);

onBothDatabases('devices are listed with where they were last seen', async (database, strings) => {
  const accounts = create(database, strings);
  await register(accounts, 'alice', { device_id: 'FIRST' });
  const before = Date.now() - 1;
  const token = await loginOn(accounts, 'PHONE');
  await register(accounts, 'bob', { device_id: 'BOBS' });
  const { body } = await accounts.call('GET', '/devices', undefined, token);
  const [first, phone] = body['devices'] as { [name: string]: unknown }[];
  assert.deepEqual([first?.['device_id'], first?.['last_seen_ip']], ['FIRST', '127.0.0.1'], 'registering counts');
  const { last_seen_ts: seenTs, ...rest } = phone ?? {};
  assert.deepEqual(rest, { device_id: 'PHONE', display_name: "alice's PHONE", last_seen_ip: '127.0.0.1' });
  assert.ok(Number(seenTs) >= before, 'what is not yet written counts');
  await accounts.close();
  const one = await accounts.call('GET', '/devices/PHONE', undefined, token);
  assert.deepEqual(one.body, phone, 'and it stays when it is written');
  assert.equal(errorOf(await accounts.call('GET', '/devices/BOBS', undefined, token)), '404 M_NOT_FOUND');
});

onBothDatabases('a device is named', async (database, strings) => {
  const accounts = create(database, strings);
  const { access_token: token } = (await register(accounts, 'alice', { device_id: 'PHONE' })).body;
  const rename = (id: string, body: object): Promise<Reply> => accounts.call('PUT', `/devices/${id}`, body, token);
  assert.equal((await rename('PHONE', { display_name: 'Pocket' })).status, 200);
  assert.equal((await rename('PHONE', {})).status, 200);
  assert.equal((await accounts.call('GET', '/devices/PHONE', undefined, token)).body['display_name'], 'Pocket');
  assert.equal(errorOf(await rename('PHONE', { display_name: 'x'.repeat(101) })), '400 M_TOO_LARGE');
  assert.equal(errorOf(await rename('PHONE', { display_name: 5 })), '400 M_BAD_JSON');
  assert.equal(errorOf(await rename('NOPE', { display_name: 'x' })), '404 M_NOT_FOUND');
  assert.equal(errorOf(await rename('NOPE', {})), '404 M_NOT_FOUND');
});

onBothDatabases('deleting a device needs the password and ends its sessions', async (database, strings) => {
  const accounts = create(database, strings);
  const { access_token: token } = (await register(accounts, 'alice', { device_id: 'FIRST' })).body;
  const phone = await loginOn(accounts, 'PHONE');
  assert.equal((await accounts.call('GET', '/account/whoami', undefined, phone)).status, 200);
  const challenge = await accounts.call('DELETE', '/devices/PHONE', undefined, token);
  assert.deepEqual([challenge.status, challenge.body['flows']], [401, [{ stages: ['m.login.password'] }]]);
  const wrong = await confirmed(accounts, 'DELETE', '/devices/PHONE', {}, { token, user: 'alice', password: 'wrong' });
  assert.equal(errorOf(wrong), '401 M_FORBIDDEN');
  assert.deepEqual(idsOf(await accounts.call('GET', '/devices', undefined, token)), ['FIRST', 'PHONE']);

  assert.deepEqual((await confirmed(accounts, 'DELETE', '/devices/PHONE', {}, { token, user: 'alice' })).body, {});
  assert.equal(errorOf(await accounts.call('GET', '/account/whoami', undefined, phone)), '401 M_UNKNOWN_TOKEN');
  assert.deepEqual(idsOf(await accounts.call('GET', '/devices', undefined, token)), ['FIRST']);
  const other = await confirmed(accounts, 'DELETE', '/devices/FIRST', {}, { token, user: 'alice' });
  assert.equal(other.status, 200, 'also the one that asks');
  assert.equal((await accounts.call('GET', '/devices', undefined, token)).status, 401);
});

onBothDatabases('several devices are deleted at once', async (database, strings) => {
  const accounts = create(database, strings);
  const { access_token: token } = (await register(accounts, 'alice', { device_id: 'FIRST' })).body;
  const { access_token: bobs } = (await register(accounts, 'bob', { device_id: 'A' })).body;
  const gone = [await loginOn(accounts, 'A'), await loginOn(accounts, 'B')];
  for (const devices of [undefined, 'A', [5]]) {
    const body = devices === undefined ? {} : { devices };
    const reply = await confirmed(accounts, 'POST', '/delete_devices', body, { token, user: 'alice' });
    assert.equal(errorOf(reply), devices === undefined ? '400 M_MISSING_PARAM' : '400 M_BAD_JSON', JSON.stringify(devices));
  }
  const reply = await confirmed(accounts, 'POST', '/delete_devices', { devices: ['A', 'B', 'NOPE'] }, { token, user: 'alice' });
  assert.equal(reply.status, 200);
  for (const ended of gone) assert.equal((await accounts.call('GET', '/devices', undefined, ended)).status, 401);
  assert.deepEqual(idsOf(await accounts.call('GET', '/devices', undefined, token)), ['FIRST']);
  assert.deepEqual(idsOf(await accounts.call('GET', '/devices', undefined, bobs)), ['A'], "others' devices of that name stay");
});

onBothDatabases('logging out deletes the device with its keys, and is told on the stream', async (database, strings) => {
  const accounts = create(database, strings);
  const { access_token: token, user_id: userId } = (await register(accounts, 'alice', { device_id: 'FIRST' })).body;
  await loginOn(accounts, 'PHONE');
  const userNum = (await strings.numOf(userId)) ?? 0;
  await database.write('test', (tx) =>
    tx.run(sql`INSERT INTO device_keys (user_num, device_id, json) VALUES (${userNum}, ${'FIRST'}, '{}'), (${userNum}, ${'PHONE'}, '{}')`),
  );
  const before = database.positions.current('device_lists').min;
  await accounts.call('POST', '/logout', undefined, token);
  const keys = await database.read('test', (reader) => reader.all<{ device_id: string }>(sql`SELECT device_id FROM device_keys`));
  assert.deepEqual(
    keys.map((row) => row.device_id),
    ['PHONE'],
  );
  assert.equal(database.positions.current('device_lists').min, before + 1);
});

onBothDatabases('who has confirmed lately deletes devices without confirming again', async (database, strings) => {
  const accounts = create(database, strings, { ui_auth: { session_timeout: '1m' } });
  await register(accounts, 'alice', { device_id: 'FIRST' });
  const token = await loginOn(accounts, 'PHONE');
  const remove = (id: string): Promise<Reply> => accounts.call('DELETE', `/devices/${id}`, {}, token);
  assert.equal((await remove('FIRST')).status, 200, 'logging in counts');
  accounts.pass(61_000);
  assert.equal((await remove('FIRST')).status, 401);
  const deletion = { devices: ['FIRST'] };
  assert.equal((await confirmed(accounts, 'POST', '/delete_devices', deletion, { token, user: 'alice' })).status, 200);
  assert.equal((await accounts.call('POST', '/delete_devices', deletion, token)).status, 200);
  assert.equal(errorOf(await accounts.call('POST', '/delete_devices', {}, token)), '400 M_MISSING_PARAM');
  assert.equal((await accounts.call('POST', '/account/deactivate', {}, token)).status, 401, 'nothing but devices');
});
