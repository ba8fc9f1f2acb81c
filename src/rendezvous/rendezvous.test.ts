import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccountAccess } from '#src/accounts/index.ts';
import { testConfig } from '#src/platform/config/index.ts';
import { testApp } from '#src/platform/http/testing.ts';
import { systemRandom } from '#src/platform/random.ts';
import { unauthorized } from '#src/protocol/errors.ts';
import { rendezvousRoutes } from '#src/rendezvous/index.ts';

const CREATE = '/_matrix/client/unstable/org.matrix.msc4108/rendezvous';
const NEWER = '/_matrix/client/unstable/io.element.msc4388/rendezvous';
const TEXT = { 'content-type': 'text/plain' };

const service = { enable_registration: false, matrix_authentication_service: { enabled: true, secret: 'x' } };
const access = { user: { identify: () => Promise.reject(unauthorized('no')) } } as unknown as AccountAccess;

const start = (features: object) => {
  let offsetMs = 0;
  const clock = { now: () => 1_800_000_000_000 + offsetMs, monotonic: () => offsetMs };
  const config = testConfig({ ...service, public_baseurl: 'https://m.example/base/', experimental_features: features });
  const { app } = testApp(rendezvousRoutes({ access, clock, random: systemRandom, config }));
  const ask = async (
    method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE' | 'OPTIONS',
    url: string,
    headers: Record<string, string> = {},
    payload = '',
  ) => app.inject({ method, url, headers, ...(payload !== '' && { payload }) });
  const pass = (ms: number): void => {
    offsetMs += ms;
  };
  return { ask, pass };
};

test('a text is left, looked at and replaced by those who have read it (MSC4108)', async () => {
  const { ask, pass } = start({ msc4108_enabled: true });
  const made = await ask('POST', CREATE, TEXT, 'hello');
  assert.equal(made.statusCode, 201);
  const { url } = JSON.parse(made.body) as { url: string };
  assert.ok(url.startsWith('https://m.example/base/_synapse/client/rendezvous/'));
  const path = new URL(url).pathname.replace('/base', '');
  const etag: string = String(made.headers['etag']);
  // The SHA-256 of "hello".
  assert.equal(etag, '"LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ"');
  assert.equal(made.headers['expires'], 'Fri, 15 Jan 2027 08:01:00 GMT');
  assert.equal(made.headers['last-modified'], 'Fri, 15 Jan 2027 08:00:00 GMT');
  assert.equal(made.headers['cache-control'], 'no-store, no-transform');
  assert.equal(made.headers['pragma'], 'no-cache');

  const read = await ask('GET', path);
  assert.deepEqual([read.statusCode, read.body, read.headers['content-type'], read.headers['etag']], [200, 'hello', 'text/plain', etag]);
  for (const known of [etag, `"other", ${etag}`, '*']) {
    const same = await ask('GET', path, { 'if-none-match': known });
    assert.deepEqual([same.statusCode, same.body, same.headers['etag']], [304, '', etag]);
  }
  assert.equal((await ask('GET', path, { 'if-none-match': '"other"' })).statusCode, 200);

  const errorOf = async (headers: Record<string, string>, text: string): Promise<string> => {
    const { statusCode, body } = await ask('PUT', path, headers, text);
    return `${String(statusCode)} ${(JSON.parse(body) as { errcode: string }).errcode}`;
  };
  assert.equal(await errorOf(TEXT, 'new'), '400 M_MISSING_PARAM');
  assert.equal(await errorOf({ 'if-match': etag }, 'new'), '400 M_MISSING_PARAM');
  assert.equal(await errorOf({ 'content-type': 'application/json', 'if-match': etag }, 'new'), '400 M_INVALID_PARAM');
  assert.equal(await errorOf({ ...TEXT, 'if-match': etag }, 'x'.repeat(4097)), '413 M_TOO_LARGE');
  const lost = await ask('PUT', path, { ...TEXT, 'if-match': '"other"' }, 'new');
  assert.deepEqual(
    [lost.statusCode, (JSON.parse(lost.body) as Record<string, string>)['org.matrix.msc4108.errcode'], lost.headers['etag']],
    [412, 'M_CONCURRENT_WRITE', etag],
  );
  pass(30_000);
  const replaced = await ask('PUT', path, { ...TEXT, 'if-match': etag }, 'new');
  assert.deepEqual(
    [replaced.statusCode, replaced.body, replaced.headers['expires']],
    [202, '', made.headers['expires']],
    'it lives no longer by it',
  );
  assert.notEqual(replaced.headers['etag'], etag);
  assert.equal((await ask('GET', path)).body, 'new');
  pass(30_000);
  assert.equal((await ask('GET', path)).statusCode, 404);
  assert.equal((await ask('DELETE', path)).statusCode, 404);
});

test('browsers may send and read what the protocol needs (MSC4108)', async () => {
  const { ask } = start({ msc4108_enabled: true });
  const { url } = JSON.parse((await ask('POST', CREATE, TEXT, 'hello')).body) as { url: string };
  const path = new URL(url).pathname.replace('/base', '');
  const asked: [Parameters<typeof ask>[0], string][] = [
    ['OPTIONS', CREATE],
    ['OPTIONS', path],
    ['POST', CREATE],
    ['GET', path],
    ['PUT', path],
    ['DELETE', path],
    ['GET', path],
  ];
  for (const [method, at] of asked) {
    const { headers, statusCode } = await ask(method, at);
    if (method === 'OPTIONS') assert.equal(statusCode, 204);
    assert.equal(headers['access-control-allow-origin'], '*');
    assert.equal(headers['access-control-allow-methods'], 'GET, HEAD, POST, PUT, DELETE, OPTIONS');
    assert.equal(headers['access-control-allow-headers'], 'Content-Type, If-Match, If-None-Match', `${method} ${at}`);
    assert.equal(headers['access-control-expose-headers'], 'Synapse-Trace-Id, Server, ETag');
  }
  assert.equal(
    (await ask('OPTIONS', '/elsewhere')).headers['access-control-allow-headers'],
    'X-Requested-With, Content-Type, Authorization, Date',
  );
});

test('old sessions make room for new ones (MSC4108)', async () => {
  const { ask } = start({ msc4108_enabled: true });
  const paths: string[] = [];
  for (let n = 0; n < 250; n++) {
    const { url } = JSON.parse((await ask('POST', CREATE, TEXT, String(n))).body) as { url: string };
    paths.push(new URL(url).pathname.replace('/base', ''));
  }
  const statuses = await Promise.all(paths.map(async (path) => (await ask('GET', path)).statusCode));
  assert.deepEqual(
    statuses,
    paths.map((_, n) => (n < 50 ? 404 : 200)),
  );
});

test('who asks elsewhere is sent there (MSC4108)', async () => {
  const { ask } = start({ msc4108_delegation_endpoint: 'https://elsewhere.example/r' });
  const sent = await ask('POST', CREATE, TEXT, 'hello');
  assert.deepEqual([sent.statusCode, sent.headers['location']], [307, 'https://elsewhere.example/r']);
});

test('the same as JSON, with a token for each turn (MSC4388)', async () => {
  const { ask, pass } = start({ msc4388_mode: 'open' });
  const json = async (
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    url: string,
    body?: object,
  ): Promise<[number, Record<string, unknown>]> => {
    const { statusCode, body: text } = await ask(
      method,
      url,
      { 'content-type': 'application/json' },
      body === undefined ? '' : JSON.stringify(body),
    );
    return [statusCode, JSON.parse(text) as Record<string, unknown>];
  };
  const [status, { id, ...made }] = await json('POST', NEWER, { data: 'hello' });
  assert.deepEqual([status, made['expires_in_ms']], [200, 120_000]);
  const path = `${NEWER}/${String(id)}`;
  pass(1000);
  assert.deepEqual(await json('GET', path), [200, { data: 'hello', sequence_token: made['sequence_token'], expires_in_ms: 119_000 }]);
  const write = { data: 'hello', sequence_token: made['sequence_token'] };
  const [, second] = await json('PUT', path, write);
  assert.notEqual(second['sequence_token'], made['sequence_token'], 'also where the text is the same');
  assert.deepEqual(await json('PUT', path, write), [200, second], 'again, for the answer may have been lost');
  const [late, error] = await json('PUT', path, { ...write, data: 'another' });
  assert.deepEqual([late, error['errcode']], [409, 'IO_ELEMENT_MSC4388_CONCURRENT_WRITE']);
  assert.deepEqual(await json('DELETE', path), [200, {}]);
  assert.equal((await json('GET', path))[0], 404);
});

test('where only those who are signed in may begin, others may go on (MSC4388)', async () => {
  const { ask } = start({ msc4388_mode: 'authenticated' });
  assert.equal((await ask('GET', NEWER)).statusCode, 401);
  assert.equal((await ask('POST', NEWER, {}, '{"data":"x"}')).statusCode, 401);
  assert.equal((await ask('GET', `${NEWER}/x`)).statusCode, 404);
});
