import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Type } from '#src/platform/schema.ts';
import { forbidden, limitExceeded } from '#src/protocol/errors.ts';
import { accessToken } from './access-token.ts';
import { Answer, RawJson, anyone, at, client, html, redirect, route } from './route.ts';
import type { Access, Route } from './route.ts';
import { testApp } from './testing.ts';

const user: Access<string> = {
  identify: (request) => {
    const token = accessToken(request);
    request.requester = '@somebody:test';
    return Promise.resolve(token);
  },
};

const echo = route({
  method: 'PUT',
  path: client('/rooms/:roomId/state/:eventType/:stateKey'),
  access: anyone,
  body: Type.Object({}),
  handle: ({ params, body }) => Promise.resolve({ params, body }),
});

const search = route({
  method: 'GET',
  path: client('/search'),
  access: anyone,
  query: Type.Object({
    limit: Type.Optional(Type.Integer({ minimum: 0 })),
    full: Type.Optional(Type.Boolean()),
    dir: Type.Optional(Type.Union([Type.Literal('b'), Type.Literal('f')])),
    via: Type.Optional(Type.Array(Type.String())),
    term: Type.String(),
  }),
  handle: ({ query }) => Promise.resolve(query),
});

const strict = route({
  method: 'POST',
  path: client('/strict'),
  access: anyone,
  body: Type.Object({ name: Type.String(), inner: Type.Optional(Type.Object({ id: Type.Integer() })) }),
  handle: ({ body }) => Promise.resolve(body),
});

const lenient = route({
  method: 'POST',
  path: client('/lenient'),
  access: anyone,
  body: Type.Optional(Type.Object({ name: Type.Optional(Type.String()) })),
  bodyLimit: 1000,
  handle: ({ body }) => Promise.resolve(body),
});

const answering = (path: string, result: () => unknown): Route =>
  route({ method: 'GET', path: at(path), access: anyone, handle: async () => Promise.resolve(result()) });

const errorOf = (response: { body: string }): unknown => JSON.parse(response.body);

describe('routing', () => {
  const { app } = testApp([echo, search, strict, lenient]);

  it('decodes parameters, keeps encoded slashes, takes an empty state key', async () => {
    const response = await app.inject({ method: 'PUT', url: '/_matrix/client/v3/rooms/!a%2Fb%25:c/state/m.x/', payload: '{}' });
    assert.equal(response.statusCode, 200);
    assert.deepEqual(response.json().params, { roomId: '!a/b%:c', eventType: 'm.x', stateKey: '' });
  });

  it('takes room ids far beyond the router’s own limit', async () => {
    const roomId = `!${'x'.repeat(3000)}:c`;
    const response = await app.inject({ method: 'PUT', url: `/_matrix/client/r0/rooms/${roomId}/state/m.x/k`, payload: '{}' });
    assert.equal(response.json().params.roomId, roomId);
  });

  it('answers 404 for unknown paths and 405 for other methods on known ones', async () => {
    for (const url of ['/', '/nope', '/_matrix/client/v3/rooms/x', '/_matrix/client/v3/search/']) {
      const response = await app.inject({ method: 'GET', url });
      assert.equal(response.statusCode, 404, url);
      assert.deepEqual(errorOf(response), { errcode: 'M_UNRECOGNIZED', error: 'Unrecognized request' });
    }
    const wrong = await app.inject({ method: 'POST', url: '/_matrix/client/v3/search?term=x' });
    assert.equal(wrong.statusCode, 405);
    assert.equal(wrong.json().errcode, 'M_UNRECOGNIZED');
  });

  it('does not follow paths that somebody else would tidy up', async () => {
    const paths = ['//search?term=x', '/rooms//state/m.x/k', '/rooms/a/state/../k', '/rooms/a/state/./k', '/rooms/a/state/m.x/..'];
    for (const path of paths) {
      const response = await app.inject({ method: 'PUT', url: { pathname: `/_matrix/client/v3${path}` }, payload: '{}' });
      assert.equal(response.statusCode, 404, path);
    }
  });

  it('refuses what is not percent-encoded UTF-8, and NUL', async () => {
    for (const key of ['%zz', '%ff', '%', '%00']) {
      const response = await app.inject({ method: 'PUT', url: `/_matrix/client/v3/rooms/a/state/b/${key}`, payload: '{}' });
      assert.equal(response.statusCode, 400, key);
      assert.equal(response.json().errcode, 'M_INVALID_PARAM');
    }
  });

  it('survives a bug before the route is found', async () => {
    const { app: broken, lines, clock } = testApp([search]);
    const { monotonic } = clock;
    clock.monotonic = () => {
      throw new Error('no time');
    };
    await assert.rejects(broken.inject({ method: 'GET', url: '/_matrix/client/v3/search?term=x' }));
    assert.match(lines.join('\n'), /ERROR .*Failed to route a request\nError: no time/);
    clock.monotonic = monotonic;
    assert.equal((await broken.inject({ method: 'GET', url: '/_matrix/client/v3/search?term=x' })).statusCode, 200);
  });

  it('answers HEAD through GET and OPTIONS everywhere, with CORS headers on all', async () => {
    const head = await app.inject({ method: 'HEAD', url: '/_matrix/client/v3/search?term=x' });
    assert.equal(head.statusCode, 200);
    assert.equal(head.headers['content-length'], '12');
    assert.equal(head.body, '');
    const options = await app.inject({ method: 'OPTIONS', url: '/whatever' });
    assert.equal(options.statusCode, 204);
    const missing = await app.inject({ method: 'GET', url: '/whatever' });
    for (const response of [head, options, missing]) {
      assert.equal(response.headers['access-control-allow-origin'], '*');
      assert.equal(response.headers['access-control-allow-headers'], 'X-Requested-With, Content-Type, Authorization, Date');
      assert.equal(response.headers['server'], 'Myelin/test');
    }
  });
});

describe('queries', () => {
  const { app } = testApp([search]);
  const ask = (query: string) => app.inject({ method: 'GET', url: `/_matrix/client/v3/search?${query}` });

  it('are converted by their schema; unknown parameters are left out', async () => {
    const response = await ask('limit=5&full=true&term=a&term=b&via=x&dir=b&other=1');
    assert.deepEqual(response.json(), { limit: 5, full: true, dir: 'b', via: ['x'], term: 'a' });
  });

  for (const [query, errcode, error] of [
    ['limit=5', 'M_MISSING_PARAM', 'Missing required query parameter: term'],
    ['term=a&limit=x', 'M_INVALID_PARAM', "Query parameter 'limit' must be an integer"],
    ['term=a&limit=-1', 'M_INVALID_PARAM', "'limit' must be >= 0"],
    ['term=a&full=1', 'M_INVALID_PARAM', "Boolean query parameter 'full' must be one of ['true', 'false']"],
    ['term=a&dir=x', 'M_INVALID_PARAM', `'dir' must be one of "b", "f"`],
  ] as const) {
    it(`${query} is ${errcode}`, async () => {
      const response = await ask(query);
      assert.equal(response.statusCode, 400);
      assert.deepEqual(errorOf(response), { errcode, error });
    });
  }
});

describe('bodies', () => {
  const { app } = testApp([echo, strict, lenient], { maxBodyBytes: 2_000_000 });
  const post = (path: string, payload: string | Buffer, headers: Record<string, string> = {}) =>
    app.inject({ method: 'POST', url: `/_matrix/client/v3/${path}`, payload, headers });

  for (const [what, payload, errcode] of [
    ['nothing', '', 'M_NOT_JSON'],
    ['no JSON', '{"name":', 'M_NOT_JSON'],
    ['a byte order mark', '\uFEFF{}', 'M_NOT_JSON'],
    ['invalid UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 'M_NOT_JSON'],
    ['NaN', '{"name":NaN}', 'M_NOT_JSON'],
    ['an array', '[]', 'M_BAD_JSON'],
    ['null', 'null', 'M_BAD_JSON'],
    ['a wrong type', '{"name":1}', 'M_BAD_JSON'],
    ['a wrong inner type', '{"name":"a","inner":{"id":"x"}}', 'M_BAD_JSON'],
    ['a missing key', '{}', 'M_MISSING_PARAM'],
    ['a megabyte of brackets', '['.repeat(1_000_000), 'M_BAD_JSON'],
    ['deep objects', `${'{"a":'.repeat(600)}1${'}'.repeat(600)}`, 'M_BAD_JSON'],
  ] as const) {
    it(`${what}: ${errcode}`, async () => {
      const response = await post('strict', payload);
      assert.equal(response.statusCode, 400);
      assert.equal(response.json().errcode, errcode);
    });
  }

  it('says where the fault is', async () => {
    assert.equal((await post('strict', '{"name":"a","inner":{"id":"x"}}')).json().error, "'inner.id' must be integer");
    assert.equal((await post('strict', '{"name":"a","inner":{}}')).json().error, 'Missing required key: inner.id');
    assert.equal((await post('strict', '[]')).json().error, 'Content must be a JSON object.');
  });

  it('keeps prototype-like keys as data', async () => {
    const text = '{"__proto__":{"admin":true},"constructor":{"prototype":{"x":1}}}';
    const response = await app.inject({ method: 'PUT', url: '/_matrix/client/v3/rooms/a/state/b/c', payload: text });
    assert.equal(response.body, `{"params":{"roomId":"a","eventType":"b","stateKey":"c"},"body":${text}}`);
    assert.equal(({} as Record<string, unknown>)['admin'], undefined);
  });

  it('ignores the content type', async () => {
    for (const type of ['application/json', 'text/plain', 'garbage', 'application/x-www-form-urlencoded', '/;;=']) {
      assert.equal((await post('strict', '{"name":"a"}', { 'content-type': type })).statusCode, 200, type);
    }
  });

  it('an optional body may be left out', async () => {
    assert.deepEqual((await post('lenient', '')).json(), {});
    assert.equal((await post('lenient', '{"name":1}')).json().errcode, 'M_BAD_JSON');
  });

  it('413 above the route’s or the server’s limit, announced or not', async () => {
    assert.equal((await post('lenient', `{"name":"${'x'.repeat(1000)}"}`)).json().errcode, 'M_TOO_LARGE');
    assert.equal((await post('strict', `{"name":"${'x'.repeat(2_000_000)}"}`)).statusCode, 413);
    const unannounced = await app.inject({ method: 'POST', url: '/_matrix/client/v3/lenient', payload: Readable.from(['x'.repeat(2000)]) });
    assert.equal(unannounced.statusCode, 413);
  });
});

describe('answers', () => {
  const big = 'x'.repeat(5000);
  const routes = [
    answering('/raw', () => new RawJson('{"a": 1}')),
    answering('/created', () => new Answer(201, { made: true }, { 'x-extra': 'yes' })),
    answering('/bytes', () => new Answer(200, Buffer.from('abc'), { 'content-type': 'image/png' })),
    answering('/stream', () => new Answer(200, Readable.from([Buffer.from('ab'), Buffer.from('c')]), { 'content-type': 'text/plain' })),
    answering('/html', () => html('<p>hello')),
    answering('/elsewhere', () => redirect('/there')),
    answering('/nothing', () => undefined),
    answering('/big', () => ({ big })),
    answering('/forbidden', () => {
      throw forbidden('No.', { why: 1 });
    }),
    answering('/limited', () => {
      throw limitExceeded(1234.5);
    }),
    answering('/bug', () => {
      throw new Error('secret detail');
    }),
    answering('/cycle', () => ({ big: 1n })),
  ];
  const { app, lines } = testApp(routes, { compressed: new Set([routes[7] as Route]) });
  const get = (url: string, headers: Record<string, string> = {}) => app.inject({ method: 'GET', url, headers });

  it('in all forms', async () => {
    const raw = await get('/raw');
    assert.equal(raw.body, '{"a": 1}');
    assert.equal(raw.headers['content-type'], 'application/json');
    assert.equal(raw.headers['content-length'], '8');
    const created = await get('/created');
    assert.deepEqual([created.statusCode, created.body, created.headers['x-extra']], [201, '{"made":true}', 'yes']);
    const bytes = await get('/bytes');
    assert.deepEqual([bytes.body, bytes.headers['content-type']], ['abc', 'image/png']);
    assert.equal((await get('/stream')).body, 'abc');
    assert.equal((await get('/html')).headers['content-type'], 'text/html; charset=utf-8');
    const elsewhere = await get('/elsewhere');
    assert.deepEqual([elsewhere.statusCode, elsewhere.headers['location']], [302, '/there']);
    assert.equal((await get('/nothing')).body, '{}');
  });

  it('of expected failures', async () => {
    const refused = await get('/forbidden');
    assert.equal(refused.statusCode, 403);
    assert.deepEqual(errorOf(refused), { errcode: 'M_FORBIDDEN', error: 'No.', why: 1 });
    const limited = await get('/limited');
    assert.equal(limited.statusCode, 429);
    assert.equal(limited.headers['retry-after'], '2');
    assert.equal(limited.json().retry_after_ms, 1235);
  });

  it('of bugs tell nothing, but the log has the stack and the request', async () => {
    for (const url of ['/bug', '/cycle']) {
      const response = await get(url);
      assert.equal(response.statusCode, 500);
      assert.deepEqual(errorOf(response), { errcode: 'M_UNKNOWN', error: 'Internal server error' });
    }
    assert.match(lines.join('\n'), / - ERROR - GET-\d+ - Failed handle request: GET-\d+ \/bug\nError: secret detail\n {4}at /);
  });

  it('compressed where the resource and the client allow', async () => {
    const packed = await get('/big', { 'accept-encoding': 'br, gzip' });
    assert.equal(packed.headers['content-encoding'], 'gzip');
    assert.deepEqual(JSON.parse(gunzipSync(packed.rawPayload).toString()), { big });
    assert.equal((await get('/big', { 'accept-encoding': 'gzip;q=0' })).headers['content-encoding'], undefined);
    assert.equal((await get('/big')).headers['content-encoding'], undefined);
  });
});

describe('access', () => {
  const whoami = route({ method: 'GET', path: client('/whoami'), access: user, handle: ({ caller }) => Promise.resolve({ caller }) });
  const post = route({ method: 'POST', path: client('/post'), access: user, body: Type.Object({}), handle: () => Promise.resolve({}) });
  const { app, lines, metrics } = testApp([whoami, post]);
  const ask = (url: string, headers: Record<string, string> = {}) =>
    app.inject({ method: 'GET', url: `/_matrix/client/v3${url}`, headers });

  it('takes the token from the header or the query', async () => {
    assert.deepEqual((await ask('/whoami', { authorization: 'Bearer abcd' })).json(), { caller: 'abcd' });
    assert.deepEqual((await ask('/whoami?access_token=abcd')).json(), { caller: 'abcd' });
  });

  it('refuses a missing, malformed or doubled token', async () => {
    const tries: Array<[string, Record<string, string>]> = [
      ['/whoami', {}],
      ['/whoami?access_token=', {}],
      ['/whoami?access_token=a', { authorization: 'Bearer b' }],
      ['/whoami', { authorization: 'Basic b' }],
      ['/whoami', { authorization: 'Bearer' }],
      ['/whoami', { authorization: 'Bearer a b' }],
    ];
    for (const [url, headers] of tries) {
      const response = await ask(url, headers);
      assert.deepEqual([response.statusCode, response.json().errcode], [401, 'M_MISSING_TOKEN'], JSON.stringify([url, headers]));
    }
  });

  it('comes before the body', async () => {
    const response = await app.inject({ method: 'POST', url: '/_matrix/client/v3/post', payload: 'nonsense' });
    assert.equal(response.statusCode, 401);
  });

  it('is written to the log in Synapse’s form, without the token', async () => {
    lines.length = 0;
    await ask('/whoami?access_token=hush&client%5Fsecret=hush2&x=1', { 'user-agent': 'probe/1' });
    await ask('/nope?access_token=hush');
    assert.equal(lines.join('\n').includes('hush'), false);
    const line = lines.find((one) => one.includes('Processed request')) ?? '';
    assert.match(
      line,
      /^\S+ \S+ - synapse\.access\.http\.http - 0 - INFO - GET-\d+ - 127\.0\.0\.1 - http - \{@somebody:test\} Processed request: /,
    );
    const rest =
      'Processed request: 0.000sec/0.000sec (0.000sec, 0.000sec) (0.000sec/0.000sec/0) 17B 200 ' +
      '"GET /_matrix/client/v3/whoami?access_token=<redacted>&client_secret=<redacted>&x=1 HTTP/1.1" "probe/1" [0 dbevts]';
    assert.equal(line.slice(line.indexOf('Processed')), rest);
  });

  it('is counted', async () => {
    const text = await metrics.text();
    assert.match(text, /synapse_http_server_requests_received_total\{method="GET",servlet="\/whoami"\} \d+/);
    assert.match(text, /synapse_http_server_in_flight_requests_count\{method="GET",servlet="\/whoami"\} 0/);
    assert.match(
      text,
      /synapse_http_server_response_time_seconds_bucket\{method="GET",servlet="\/whoami",tag="http",code="200",le="0.005"\} \d+/,
    );
    assert.match(text, /synapse_http_server_responses_total\{method="GET",code="401"\} \d+/);
  });
});
