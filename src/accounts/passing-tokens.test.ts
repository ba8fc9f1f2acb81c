import assert from 'node:assert/strict';
import type { Strings } from '#src/platform/database/strings.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Database } from '#src/platform/database/types.ts';
import { confirmed, createTestAccounts, onBothDatabases, OPEN, register } from '../../test/support/accounts.ts';
import type { Reply, TestAccounts } from '../../test/support/accounts.ts';

const errorOf = ({ status, body }: Reply): string => `${String(status)} ${String(body['errcode'])}`;

const create = (database: Database, strings: Strings, settings: object = {}): TestAccounts =>
  createTestAccounts(database, strings, { ...OPEN, login_via_existing_session: { enabled: true, ...settings } });

const GET_TOKEN = '/_matrix/client/v1/login/get_token';

const loginWith = ({ call }: TestAccounts, token: unknown): Promise<Reply> => call('POST', '/login', { type: 'm.login.token', token });

onBothDatabases('a user lets another device in, once', async (database, strings) => {
  const accounts = create(database, strings, { token_timeout: '2m' });
  const { access_token: token } = (await register(accounts, 'alice')).body;
  const { flows } = (await accounts.call('GET', '/login')).body as unknown as { flows: object[] };
  assert.deepEqual(flows[0], { type: 'm.login.token', get_login_token: true });
  assert.equal((await accounts.call('POST', GET_TOKEN, {}, token)).status, 401, 'only with the password');

  const { status, body } = await confirmed(accounts, 'POST', GET_TOKEN, {}, { token, user: 'alice' });
  assert.deepEqual([status, body.expires_in_ms], [200, 120_000]);
  assert.match(String(body['login_token']), /^syl_[A-Za-z]{20}_[0-9A-Za-z]{6}$/);
  const login = await loginWith(accounts, body['login_token']);
  assert.deepEqual([login.status, login.body.user_id], [200, '@alice:test']);
  assert.equal((await accounts.call('GET', '/account/whoami', undefined, login.body.access_token)).status, 200);
  assert.equal(errorOf(await loginWith(accounts, body['login_token'])), '403 M_FORBIDDEN', 'spent');

  const soon = await confirmed(accounts, 'POST', GET_TOKEN, {}, { token, user: 'alice' });
  assert.equal(errorOf(soon), '429 M_LIMIT_EXCEEDED', 'one a minute');
  accounts.pass(60_000);
  const second = (await confirmed(accounts, 'POST', GET_TOKEN, {}, { token, user: 'alice' })).body['login_token'];
  accounts.pass(120_001);
  assert.equal(errorOf(await loginWith(accounts, second)), '403 M_FORBIDDEN', 'too old');
});

onBothDatabases('where it is configured so, making a login token needs no password', async (database, strings) => {
  const accounts = create(database, strings, { require_ui_auth: false });
  const { access_token: token } = (await register(accounts, 'alice')).body;
  assert.equal((await accounts.call('POST', GET_TOKEN, {}, token)).body.expires_in_ms, 300_000);
});

onBothDatabases('what is no login token is refused', async (database, strings) => {
  const accounts = createTestAccounts(database, strings);
  const { access_token: token } = (await register(accounts, 'alice')).body;
  assert.equal(errorOf(await loginWith(accounts, 'syl_x')), '403 M_FORBIDDEN');
  assert.equal(errorOf(await loginWith(accounts, undefined)), '400 M_UNKNOWN');
  assert.equal(errorOf(await loginWith(accounts, 5)), '400 M_INVALID_PARAM');
  assert.equal(errorOf(await accounts.call('POST', GET_TOKEN, {}, token)), '404 M_UNRECOGNIZED', 'unless it is enabled');
});

const USERINFO = '/_matrix/federation/v1/openid/userinfo';

onBothDatabases('a user proves to a third party who it is', async (database, strings) => {
  const accounts = createTestAccounts(database, strings);
  const { access_token: token } = (await register(accounts, 'alice')).body;
  const { body } = await accounts.call('POST', '/user/@alice:test/openid/request_token', {}, token);
  const { access_token: proof, ...rest } = body;
  assert.deepEqual(rest, { token_type: 'Bearer', matrix_server_name: 'test', expires_in: 3600 });
  assert.deepEqual((await accounts.call('GET', `${USERINFO}?access_token=${proof}`)).body, { sub: '@alice:test' });
  assert.equal((await accounts.call('GET', '/account/whoami', undefined, proof)).status, 401, 'it is good for nothing else');

  assert.equal(errorOf(await accounts.call('POST', '/user/@bob:test/openid/request_token', {}, token)), '403 M_FORBIDDEN');
  assert.equal(errorOf(await accounts.call('GET', USERINFO)), '401 M_MISSING_TOKEN');
  assert.equal(errorOf(await accounts.call('GET', `${USERINFO}?access_token=x`)), '401 M_UNKNOWN_TOKEN');
  accounts.pass(3_600_001);
  assert.equal(errorOf(await accounts.call('GET', `${USERINFO}?access_token=${proof}`)), '401 M_UNKNOWN_TOKEN');
  for (const job of accounts.jobs) await job.run();
  const left = await database.read('test', (reader) => reader.one<{ count: number }>(sql`SELECT COUNT(*) AS count FROM openid_tokens`));
  assert.equal(Number(left?.count), 0);
});
