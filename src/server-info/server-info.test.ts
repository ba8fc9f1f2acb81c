import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccountAccess, Requester } from '#src/accounts/index.ts';
import { systemClock } from '#src/platform/clock.ts';
import { testConfig } from '#src/platform/config/index.ts';
import type { Access } from '#src/platform/http/route.ts';
import { createTestedApp } from '#src/platform/http/testing.ts';
import type { TestedApp } from '#src/platform/http/testing.ts';
import { createLogging } from '#src/platform/logging/index.ts';
import { createMetrics } from '#src/platform/metrics/index.ts';
import { serverInfoRoutes } from '#src/server-info/index.ts';
import { welcomePage } from '#src/server-info/page.ts';
import { turnCredentials } from '#src/server-info/turn.ts';
import { clientWellKnown, serverWellKnown } from '#src/server-info/well-known.ts';

const TURN = {
  turn_uris: ['turn:x'],
  turn_shared_secret: undefined,
  turn_username: undefined,
  turn_password: undefined,
  turn_user_lifetime: 3_600_000,
};

test('TURN credentials are made of the shared secret, and end', () => {
  assert.deepEqual(turnCredentials({ ...TURN, turn_shared_secret: 'a secret shared with the TURN server' }, '@a:x', 1_443_775_491_500), {
    username: '1443779091:@a:x',
    password: 'g45CEfD0TFXHBVTw/UphxQogV/4=',
    ttl: 3600,
    uris: ['turn:x'],
  });
});

test('a fixed TURN user is the second choice, and nothing the last', () => {
  const fixed = { ...TURN, turn_username: 'u', turn_password: 'p' };
  assert.deepEqual(turnCredentials(fixed, '@a:x', 0), { username: 'u', password: 'p', ttl: 3600, uris: ['turn:x'] });
  assert.deepEqual(turnCredentials(TURN, '@a:x', 0), {});
  assert.deepEqual(turnCredentials({ ...fixed, turn_uris: [] }, '@a:x', 0), {});
});

test('clients are told where the server is, once the operator has said so', () => {
  const config = {
    public_baseurl: 'https://m.example.org/',
    public_baseurl_is_set: true,
    default_identity_server: 'https://id.example.org',
    extra_well_known_client_content: { 'org.example': { a: 1 } },
  };
  assert.deepEqual(clientWellKnown(config), {
    'm.homeserver': { base_url: 'https://m.example.org/' },
    'm.identity_server': { base_url: 'https://id.example.org' },
    'org.example': { a: 1 },
  });
  assert.equal(clientWellKnown({ ...config, public_baseurl_is_set: false }), undefined);
});

test('servers are sent to the port of the name, or to 443', () => {
  assert.deepEqual(serverWellKnown('example.org'), { 'm.server': 'example.org:443' });
  assert.deepEqual(serverWellKnown('example.org:8448'), { 'm.server': 'example.org:8448' });
  assert.deepEqual(serverWellKnown('[::1]'), { 'm.server': '[::1]:443' });
});

test('the page names the server and nothing else of its text is markup', () => {
  assert.match(welcomePage('example.org'), /<code>example\.org<\/code>/);
  assert.doesNotMatch(welcomePage('<script>'), /<script>/);
});

const ALICE: Requester = { userId: '@alice:test', userNum: 1, deviceId: 'D', sessionNum: 1, isGuest: false, isAdmin: false };
const alice: Access<Requester> = { identify: () => Promise.resolve(ALICE) };
const access: AccountAccess = { user: alice, guest: alice, admin: alice, optional: alice };

const serve = (settings: object = {}): TestedApp => {
  const logging = createLogging({ clock: systemClock, sink: { write: () => undefined, flush: () => undefined, close: () => undefined } });
  const routes = serverInfoRoutes({ access, clock: systemClock, config: testConfig(settings), serverVersion: '1.2.3' });
  return createTestedApp({ routes, clock: systemClock, logging, metrics: createMetrics(), serverHeader: 'test' });
};

test('the root leads to the page, or to a web client', async () => {
  const app = serve();
  const root = await app.inject({ method: 'GET', url: '/' });
  assert.deepEqual([root.statusCode, root.headers.location], [302, '/_matrix/static/']);
  const page = await app.inject({ method: 'GET', url: '/_matrix/static/' });
  assert.deepEqual([page.statusCode, page.headers['content-type']], [200, 'text/html; charset=utf-8']);
  assert.match(page.body, /It works/);
  const elsewhere = await serve({ web_client_location: 'https://chat.example.org/' }).inject({ method: 'GET', url: '/' });
  assert.equal(elsewhere.headers.location, 'https://chat.example.org/');
});

test('clients read versions and capabilities', async () => {
  const app = serve({ default_room_version: '10', enable_set_displayname: false, encryption_enabled_by_default_for_room_type: 'invite' });
  const versions = (await app.inject({ method: 'GET', url: '/_matrix/client/versions' })).json<{
    versions: string[];
    unstable_features: object;
  }>();
  assert.deepEqual([versions.versions[0], versions.versions.at(-1), versions.versions.length], ['r0.0.1', 'v1.12', 20]);
  assert.deepEqual(versions.unstable_features, {
    'io.element.e2ee_forced.public': false,
    'io.element.e2ee_forced.private': true,
    'io.element.e2ee_forced.trusted_private': true,
    'uk.tcpip.msc4133.stable': true,
    'uk.half-shot.msc2666.query_mutual_rooms': true,
    'uk.half-shot.msc2666.query_mutual_rooms.stable': true,
  });
  type Capabilities = Record<string, unknown> & { 'm.room_versions': { default: string; available: Record<string, string> } };
  const answer = await app.inject({ method: 'GET', url: '/_matrix/client/v3/capabilities' });
  const { 'm.room_versions': rooms, ...others } = answer.json<{ capabilities: Capabilities }>().capabilities;
  assert.equal(rooms.default, '10');
  assert.deepEqual([rooms.available['11'], rooms.available['1'], rooms.available['org.matrix.hydra.11']], ['stable', 'stable', 'unstable']);
  assert.deepEqual(others, {
    'm.change_password': { enabled: true },
    'm.profile_fields': { enabled: true, disallowed: ['displayname'] },
    'm.set_displayname': { enabled: false },
    'm.set_avatar_url': { enabled: true },
    'm.3pid_changes': { enabled: false },
    'm.get_login_token': { enabled: false },
  });
});

test('well-known files are there when the operator wants them', async () => {
  const silent = await serve().inject({ method: 'GET', url: '/.well-known/matrix/client' });
  assert.deepEqual([silent.statusCode, silent.json<{ errcode: string }>().errcode], [404, 'M_NOT_FOUND']);
  const app = serve({ public_baseurl: 'https://m.example.org', serve_server_wellknown: true });
  const client = await app.inject({ method: 'GET', url: '/.well-known/matrix/client' });
  assert.deepEqual(client.json(), { 'm.homeserver': { base_url: 'https://m.example.org/' } });
  const server = await app.inject({ method: 'GET', url: '/.well-known/matrix/server' });
  assert.deepEqual(server.json(), { 'm.server': 'test:443' });
});

test('small questions have small answers', async () => {
  const app = serve();
  for (const path of ['/_matrix/client/v3/voip/turnServer', '/_matrix/client/v3/thirdparty/protocols']) {
    assert.deepEqual((await app.inject({ method: 'GET', url: path })).json(), {}, path);
  }
  const thirdparty = '/_matrix/client/v3/thirdparty';
  assert.deepEqual((await app.inject({ method: 'GET', url: `${thirdparty}/location/irc` })).json(), []);
  assert.equal((await app.inject({ method: 'GET', url: `${thirdparty}/protocol/irc` })).statusCode, 404);
  const version = await app.inject({ method: 'GET', url: '/_synapse/admin/v1/server_version' });
  assert.deepEqual(version.json(), { server_version: '1.2.3' });
});
