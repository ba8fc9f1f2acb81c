import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { testConfig } from '#src/platform/config/index.ts';
import { registrationFlows } from '#src/accounts/registration.ts';
import { registrationMac } from '#src/accounts/shared-secret.ts';
import { createTestAccounts, onBothDatabases, OPEN, register } from '#test/support/accounts.ts';

const HOUR_MS = 3_600_000;

const errorOf = ({ status, body }: { status: number; body: Readonly<Record<string, unknown>> }): string =>
  `${String(status)} ${String(body['errcode'])} ${String(body['error'])}`;

test('the stages of registration follow the configuration', () => {
  const flows = (settings: object): unknown => registrationFlows(testConfig({ ...OPEN, ...settings }));
  assert.deepEqual(flows({}), [['m.login.dummy']]);
  assert.deepEqual(flows({ registration_requires_token: true }), [['m.login.registration_token', 'm.login.dummy']]);
  assert.deepEqual(flows({ enable_registration: false }), []);
  // Stages that cannot be asked for are not left out: nobody registers.
  assert.deepEqual(flows({ enable_registration_captcha: true }), []);
});

onBothDatabases('registering takes two requests and logs in', async (database, strings) => {
  const accounts = createTestAccounts(database, strings);
  const request = { username: 'Alice', password: 'secret', device_id: 'PHONE', initial_device_display_name: 'Phone' };
  const challenge = await accounts.call('POST', '/register', request);
  assert.equal(challenge.status, 401);
  const { session } = challenge.body;
  assert.deepEqual(challenge.body, { session, flows: [{ stages: ['m.login.dummy'] }], params: {} });

  const { status, body } = await accounts.call('POST', '/register', { ...request, auth: { type: 'm.login.dummy', session } });
  assert.equal(status, 200);
  assert.match(body['access_token'], /^syt_YWxpY2U_[A-Za-z]{20}_[0-9A-Za-z]{6}$/);
  assert.deepEqual(body, { user_id: '@alice:test', home_server: 'test', access_token: body['access_token'], device_id: 'PHONE' });
  const whoami = await accounts.call('GET', '/account/whoami', undefined, body['access_token']);
  assert.deepEqual(whoami.body, { user_id: '@alice:test', is_guest: false, device_id: 'PHONE' });
  assert.deepEqual([...accounts.names.values()], ['alice']);
});

onBothDatabases('the password may be left out of the last request', async (database, strings) => {
  const accounts = createTestAccounts(database, strings);
  const challenge = await accounts.call('POST', '/register', { username: 'alice', password: 'secret' });
  const auth = { type: 'm.login.dummy', session: challenge.body['session'] };
  // The name of the device alone does not replace what was asked for at first.
  const done = await accounts.call('POST', '/register', { auth, initial_device_display_name: 'Phone' });
  assert.equal(done.body['user_id'], '@alice:test');
  const login = { type: 'm.login.password', identifier: { type: 'm.id.user', user: 'alice' }, password: 'secret' };
  assert.equal((await accounts.call('POST', '/login', login)).status, 200);
  const rows = await database.read('test', (reader) =>
    reader.all<{ params: string }>({ parts: ['SELECT params FROM interactive_sessions'], values: [] }),
  );
  assert.ok(rows.length > 0 && rows.every((row) => !row.params.includes('secret')));
});

onBothDatabases('repeating a completed session logs in again', async (database, strings) => {
  const accounts = createTestAccounts(database, strings);
  const request = { username: 'alice', password: 'secret' };
  const challenge = await accounts.call('POST', '/register', request);
  const again = { ...request, auth: { type: 'm.login.dummy', session: challenge.body['session'] } };
  const [first, second] = [await accounts.call('POST', '/register', again), await accounts.call('POST', '/register', again)];
  assert.equal(second.status, 200);
  assert.equal(second.body['user_id'], '@alice:test');
  assert.notEqual(second.body['access_token'], first.body['access_token']);
  const other = await accounts.call('POST', '/register', { ...again, username: 'bob' });
  assert.match(errorOf(other), /^400 M_UNKNOWN A different user ID/);
});

onBothDatabases('names are taken once, whatever their case', async (database, strings) => {
  const accounts = createTestAccounts(database, strings);
  assert.equal((await register(accounts, 'alice')).status, 200);
  assert.equal(
    errorOf(await accounts.call('POST', '/register', { username: 'ALICE', password: 'x' })),
    '400 M_USER_IN_USE User ID already taken.',
  );
  assert.equal(errorOf(await accounts.call('GET', '/register/available?username=alice')), '400 M_USER_IN_USE User ID already taken.');
  assert.deepEqual((await accounts.call('GET', '/register/available?username=bob')).body, { available: true });
  assert.match(errorOf(await accounts.call('GET', '/register/available?username=123')), /^400 M_INVALID_USERNAME/);
});

onBothDatabases('two who register a name at once do not both get it', async (database, strings) => {
  const accounts = createTestAccounts(database, strings);
  const replies = await Promise.all([register(accounts, 'alice'), register(accounts, 'alice'), register(accounts, 'Alice')]);
  assert.deepEqual(replies.map(({ status }) => status).sort(), [200, 400, 400]);
});

onBothDatabases('the nameless are numbered', async (database, strings) => {
  const accounts = createTestAccounts(database, strings);
  const users = [await register(accounts, undefined), await register(accounts, undefined)].map(({ body }) => body['user_id']);
  assert.deepEqual(users, ['@1:test', '@2:test']);
});

onBothDatabases('a session is for one kind of request and ends after two days', async (database, strings) => {
  const accounts = createTestAccounts(database, strings);
  const { session } = (await accounts.call('POST', '/register', { username: 'alice', password: 'x' })).body;
  const auth = { type: 'm.login.dummy', session };
  assert.match(errorOf(await accounts.call('POST', '/register?kind=user', { auth })), /^403 M_FORBIDDEN Requested operation has changed/);
  assert.match(
    errorOf(await accounts.call('POST', '/register', { auth: { ...auth, session: 'nope' } })),
    /^400 M_UNKNOWN Unknown session ID/,
  );
  accounts.pass(48 * HOUR_MS + 1000);
  assert.match(errorOf(await accounts.call('POST', '/register', { auth })), /^400 M_UNKNOWN Unknown session ID/);
});

onBothDatabases('sessions outlive a restart', async (database, strings) => {
  const before = createTestAccounts(database, strings);
  const { session } = (await before.call('POST', '/register', { username: 'alice', password: 'x' })).body;
  const after = createTestAccounts(database, strings);
  assert.equal((await after.call('POST', '/register', { auth: { type: 'm.login.dummy', session } })).body['user_id'], '@alice:test');
});

onBothDatabases('malformed requests are refused by name', async (database, strings) => {
  const { call } = createTestAccounts(database, strings);
  const cases: readonly (readonly [object, string])[] = [
    [{ username: 5, password: 'x' }, '400 M_UNKNOWN Invalid username'],
    [{ username: 'x'.repeat(513) }, '400 M_UNKNOWN Invalid username'],
    [{ username: 'a b' }, "400 M_INVALID_USERNAME User ID can only contain characters a-z, 0-9, or '=_-./+'"],
    [{ username: 'a', password: 'x'.repeat(513) }, '400 M_UNKNOWN Invalid password'],
    [{ username: 'a', refresh_token: 'yes' }, '400 M_UNKNOWN `refresh_token` should be true or false.'],
    [{ username: 'a', device_id: 5 }, '400 M_INVALID_PARAM device_id must be a string'],
    [{ username: 'a', device_id: 'x'.repeat(513) }, '400 M_INVALID_PARAM device_id cannot be longer than 512 characters.'],
    [{ username: 'a', device_id: 'x\0' }, '400 M_INVALID_PARAM Null bytes are not allowed'],
    [{ auth: [] }, '400 M_INVALID_PARAM auth must be an object'],
    [{ auth: { session: 5 } }, '400 M_INVALID_PARAM Invalid session ID'],
    [{ auth: { session: 'a\0' } }, '400 M_UNKNOWN Unknown session ID: a\0'],
    [{ auth: { type: 'm.login.nothing' } }, '400 M_UNKNOWN Unknown login type m.login.nothing'],
    [{ auth: { type: 5 } }, '400 M_INVALID_PARAM Bad parameter: type'],
    [{ auth: { type: 'm.login.dummy' } }, '400 M_MISSING_PARAM Missing params: password'],
  ];
  for (const [body, expected] of cases) assert.equal(errorOf(await call('POST', '/register', body)), expected, JSON.stringify(body));
  assert.match(errorOf(await call('POST', '/register?kind=robot', {})), /^400 M_UNRECOGNIZED/);
  const service = { type: 'm.login.application_service', username: 'ghost' };
  for (const path of ['/register', '/login']) {
    assert.match(errorOf(await call('POST', path, service)), /^401 M_MISSING_TOKEN/);
    assert.match(errorOf(await call('POST', path, service, 'as_token')), /^401 M_UNKNOWN_TOKEN/);
  }
  assert.match(errorOf(await call('POST', '/register', {}, 'syt_x')), /^400 M_UNKNOWN An access token should not be provided/);
});

onBothDatabases('closed registration is refused', async (database, strings) => {
  const { call } = createTestAccounts(database, strings, { server_name: 'test' });
  const refused = '403 M_FORBIDDEN Registration has been disabled';
  assert.equal(errorOf(await call('POST', '/register', { username: 'alice', password: 'x' })), refused);
  assert.equal(errorOf(await call('GET', '/register/available?username=alice')), refused);
  const validity = await call('GET', '/_matrix/client/v1/register/m.login.registration_token/validity?token=x');
  assert.equal(errorOf(validity), refused);
  assert.equal(errorOf(await call('POST', '/register?kind=guest', {})), '403 M_FORBIDDEN Guest access is disabled');
});

onBothDatabases('a token lets as many register as it says', async (database, strings) => {
  const accounts = createTestAccounts(database, strings, { ...OPEN, registration_requires_token: true });
  const { call } = accounts;
  const token = await accounts.createRegistrationToken(1);
  const isValid = async (): Promise<unknown> =>
    (await call('GET', `/_matrix/client/v1/register/m.login.registration_token/validity?token=${token}`)).body['valid'];
  assert.match(token, /^[A-Za-z0-9._~-]{16}$/);
  assert.equal(await isValid(), true);

  const request = { username: 'alice', password: 'secret' };
  const { session } = (await call('POST', '/register', request)).body;
  const stage = { type: 'm.login.registration_token', session };
  const wrong = await call('POST', '/register', { ...request, auth: { ...stage, token: 'nope' } });
  assert.equal(errorOf(wrong), '401 M_UNAUTHORIZED Invalid registration token');
  assert.deepEqual(wrong.body['completed'], []);
  const half = await call('POST', '/register', { ...request, auth: { ...stage, token } });
  assert.deepEqual([half.status, half.body['completed'], half.body['errcode']], [401, ['m.login.registration_token'], undefined]);
  assert.equal(await isValid(), false, 'the use is held');
  const done = await call('POST', '/register', { ...request, auth: { type: 'm.login.dummy', session } });
  assert.equal(done.body['user_id'], '@alice:test');
  assert.equal(await isValid(), false);
});

onBothDatabases('a token may be given on the page of its stage', async (database, strings) => {
  const accounts = createTestAccounts(database, strings, { ...OPEN, registration_requires_token: true });
  const token = await accounts.createRegistrationToken(1);
  const { session } = (await accounts.call('POST', '/register', { username: 'alice', password: 'secret' })).body;
  const page = (type: string, of = session): string => `/auth/${type}/fallback/web?session=${of}`;
  const wrong = await accounts.call('POST', page('m.login.registration_token'), { token: 'nope' });
  assert.equal(errorOf(wrong), '401 M_UNAUTHORIZED Invalid registration token');
  assert.match(errorOf(await accounts.call('POST', page('m.login.registration_token', 'nosuch'), { token })), /^400 M_UNKNOWN/);
  assert.match(errorOf(await accounts.call('POST', page('m.login.dummy'), { token })), /^404 M_UNKNOWN/);
  assert.equal((await accounts.call('POST', page('m.login.registration_token'), { token })).status, 200);
  // The client only asks whether it is done, and goes on with what it can.
  const asked = await accounts.call('POST', '/register', { auth: { session } });
  assert.equal(asked.status, 401);
  const done = await accounts.call('POST', '/register', { auth: { type: 'm.login.dummy', session } });
  assert.equal(done.body['user_id'], '@alice:test');
});

onBothDatabases('a use that came to nothing is given back', async (database, strings) => {
  const accounts = createTestAccounts(database, strings, { ...OPEN, registration_requires_token: true });
  const token = await accounts.createRegistrationToken(1);
  const { session } = (await accounts.call('POST', '/register', { username: 'alice', password: 'x' })).body;
  await accounts.call('POST', '/register', { auth: { type: 'm.login.registration_token', session, token } });
  accounts.pass(49 * HOUR_MS);
  for (const job of accounts.jobs) await job.run();
  const validity = await accounts.call('GET', `/_matrix/client/v1/register/m.login.registration_token/validity?token=${token}`);
  assert.equal(validity.body['valid'], true);
});

onBothDatabases('guests are numbered users, and may become real ones', async (database, strings) => {
  const accounts = createTestAccounts(database, strings, { ...OPEN, allow_guest_access: true });
  const { call } = accounts;
  const guest = (await call('POST', '/register?kind=guest', { device_id: 'MINE' })).body;
  assert.deepEqual([guest['user_id'], guest['device_id']], ['@1:test', 'guest_device']);
  const token = guest['access_token'];
  assert.equal((await call('GET', '/account/whoami', undefined, token)).body['is_guest'], true);
  assert.match(errorOf(await call('POST', '/account/password', {}, token)), /^403 M_GUEST_ACCESS_FORBIDDEN/);

  const stranger = await register(accounts, '1', { guest_access_token: 'syt_x' });
  assert.match(errorOf(stranger), /^401 M_UNKNOWN_TOKEN/);
  const upgraded = await register(accounts, '1', { guest_access_token: token });
  assert.equal(upgraded.body['user_id'], '@1:test');
  assert.equal((await call('GET', '/account/whoami', undefined, token)).status, 401);
  const whoami = await call('GET', '/account/whoami', undefined, upgraded.body['access_token']);
  assert.equal(whoami.body['is_guest'], false);
});

onBothDatabases('registrations from one address are limited', async (database, strings) => {
  const accounts = createTestAccounts(database, strings, { ...OPEN, rc_registration: { per_second: 0.01, burst_count: 1 } });
  assert.equal((await register(accounts, 'alice')).status, 200);
  const { status, body } = await register(accounts, 'bob');
  assert.deepEqual([status, body['errcode']], [429, 'M_LIMIT_EXCEEDED']);
});

test('the proof of the shared secret is what Synapse makes', () => {
  const fields = { nonce: 'n', username: 'u', password: 'p', isAdmin: true, userType: undefined };
  assert.equal(registrationMac('s', fields), createHmac('sha1', 's').update('n\0u\0p\0admin').digest('hex'));
  assert.equal(
    registrationMac('s', { ...fields, isAdmin: false, userType: 'bot' }),
    createHmac('sha1', 's').update('n\0u\0p\0notadmin\0bot').digest('hex'),
  );
});

onBothDatabases('the shared secret registers administrators, once for each nonce', async (database, strings) => {
  const accounts = createTestAccounts(database, strings, { server_name: 'test', registration_shared_secret: 'sesame' });
  const path = '/_synapse/admin/v1/register';
  const nonceOf = async (): Promise<string> => (await accounts.call('GET', path)).body['nonce'];
  const request = async (username: string, secret = 'sesame'): Promise<Record<string, unknown>> => {
    const fields = { nonce: await nonceOf(), username, password: 'pass', isAdmin: true, userType: undefined };
    return { nonce: fields.nonce, username, password: 'pass', admin: true, mac: registrationMac(secret, fields) };
  };

  const body = await request('Root');
  assert.match(String(body['nonce']), /^[0-9a-f]{128}$/);
  const made = await accounts.call('POST', path, body);
  assert.equal(made.body['user_id'], '@root:test');
  assert.equal((await accounts.find('@root:test'))?.isAdmin, true);
  assert.equal(errorOf(await accounts.call('POST', path, body)), '400 M_UNKNOWN unrecognised nonce');
  assert.equal(errorOf(await accounts.call('POST', path, await request('eve', 'guess'))), '403 M_UNKNOWN HMAC incorrect');
  const late = await request('late');
  accounts.pass(61_000);
  assert.equal(errorOf(await accounts.call('POST', path, late)), '400 M_UNKNOWN unrecognised nonce');
  assert.equal(errorOf(await accounts.call('POST', path, {})), '400 M_BAD_JSON nonce must be specified');
});
