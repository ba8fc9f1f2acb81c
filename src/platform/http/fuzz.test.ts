import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { Type } from '#src/platform/schema.ts';
import { anyone, client, route } from './route.ts';
import { testApp } from './testing.ts';

const routes = [
  route({
    method: 'PUT',
    path: client('/rooms/:roomId/state/:eventType/:stateKey'),
    access: anyone,
    query: Type.Object({ ts: Type.Optional(Type.Integer()), full: Type.Optional(Type.Boolean()) }),
    body: Type.Object({ name: Type.String(), list: Type.Optional(Type.Array(Type.Integer())) }),
    handle: ({ params, query, body }) => Promise.resolve({ params, query, body }),
  }),
  route({
    method: 'POST',
    path: client('/anything'),
    access: anyone,
    body: Type.Optional(Type.Object({ __proto__: Type.Optional(Type.String()) })),
    bodyLimit: 4_096,
    handle: ({ body }) => Promise.resolve(body),
  }),
  route({ method: 'GET', path: client('/filter/:filterId'), access: anyone, handle: ({ params }) => Promise.resolve(params) }),
];

const segment = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }).map((text) => encodeURIComponent(text.toWellFormed())),
  fc.constantFrom(
    '',
    '.',
    '..',
    '%',
    '%zz',
    '%ff',
    '%2e%2e',
    '%2F',
    '%00',
    '%ED%A0%80',
    '~',
    ';',
    '*',
    ':',
    '__proto__',
    'constructor',
    '%E0%A4%A',
  ),
  fc.string({ maxLength: 20 }).map((text) => text.replaceAll(/[^!-~]/g, 'x')),
);

const path = fc
  .tuple(
    fc.constantFrom(
      '/_matrix/client/v3/rooms',
      '/_matrix/client/r0/rooms',
      '/_matrix/client/v3/filter',
      '/_matrix/client/v3/anything',
      '',
      '/',
    ),
    fc.array(segment, { maxLength: 6 }),
  )
  .map(([start, rest]) => [start, ...rest].join('/'))
  .map((text) => (text.startsWith('/') ? text : `/${text}`));

const query = fc.array(fc.tuple(fc.constantFrom('ts', 'full', 'access_token', '__proto__', 'x', '%'), segment), { maxLength: 4 });

const body = fc.oneof(
  fc.json().map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc.json().map((text) => Buffer.from(`{"name":"a","x":${text}}`)),
  fc
    .constantFrom('', '{}', '{"name":1e999}', '{"name":"\\ud800"}', '{"__proto__":null}', '['.repeat(5_000), '"', '\u0000')
    .map((text) => Buffer.from(text)),
);

const type = fc.option(
  fc.constantFrom('application/json', 'text/html', '', ';', 'multipart/form-data', 'application/json; charset=utf-16'),
);

it('nothing that a client sends ends in a 5xx, and every error is a Matrix error', async () => {
  const { app } = testApp(routes);
  const method = fc.constantFrom('GET', 'PUT', 'POST', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'QUERY', 'PROPFIND');
  await fc.assert(
    fc.asyncProperty(method, path, query, body, type, async (verb, url, pairs, payload, contentType) => {
      const search = pairs.map(([name, value]) => `${name}=${value}`).join('&');
      const response = await app.inject({
        method: verb,
        // Given as it is, not tidied up on the way.
        url: { pathname: url, query: search },
        headers: contentType === null ? {} : { 'content-type': contentType },
        ...(['GET', 'HEAD', 'OPTIONS'].includes(verb) ? {} : { payload }),
      });
      assert.ok(response.statusCode < 500, `${verb} ${url}?${search}: ${response.statusCode} ${response.body}`);
      assert.equal(response.headers['access-control-allow-origin'], '*');
      if (response.statusCode >= 400 && verb !== 'HEAD') {
        const error = response.json<{ errcode?: unknown; error?: unknown }>();
        assert.match(String(error.errcode), /^M_[A-Z_]+$/);
        assert.equal(typeof error.error, 'string');
      }
    }),
    { numRuns: 1_500 },
  );
});
