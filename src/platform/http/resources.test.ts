import assert from 'node:assert/strict';
import { it } from 'node:test';
import { selectRoutes } from './resources.ts';
import { anyone, at, client, route } from './route.ts';

const served = (path: string) => route({ method: 'GET', path: at(path), access: anyone, handle: () => Promise.resolve({}) });

it('each resource brings its paths, and every listener the health check', () => {
  const paths = [
    '/health',
    '/',
    '/.well-known/matrix/client',
    '/_matrix/client/v3/sync',
    '/_matrix/client/v1/media/config',
    '/_matrix/federation/v1/version',
    '/_matrix/federation/v1/openid/userinfo',
    '/_matrix/key/v2/server',
    '/_matrix/media/v3/config',
    '/_matrix/static/',
    '/_synapse/admin/v1/server_version',
    '/_synapse/metrics',
  ];
  const all = paths.map(served);
  const select = (...names: string[]): string[] =>
    selectRoutes(all, [{ names, compress: false }]).routes.flatMap((one) => one.paths.map(String));
  assert.deepEqual(select(), ['/health']);
  assert.deepEqual(select('metrics'), ['/health', '/_synapse/metrics']);
  assert.deepEqual(select('openid'), ['/health', '/_matrix/federation/v1/openid/userinfo']);
  assert.deepEqual(select('keys'), ['/health', '/_matrix/key/v2/server']);
  assert.deepEqual(select('media'), ['/health', '/_matrix/client/v1/media/config', '/_matrix/media/v3/config']);
  assert.deepEqual(select('federation'), [
    '/health',
    '/_matrix/federation/v1/version',
    '/_matrix/federation/v1/openid/userinfo',
    '/_matrix/key/v2/server',
  ]);
  assert.deepEqual(select('client'), [
    '/health',
    '/',
    '/.well-known/matrix/client',
    '/_matrix/client/v3/sync',
    '/_matrix/client/v1/media/config',
    '/_matrix/static/',
    '/_synapse/admin/v1/server_version',
  ]);
});

it('compression follows the resource', () => {
  const routes = [
    route({ method: 'GET', path: client('/sync'), access: anyone, handle: () => Promise.resolve({}) }),
    served('/_matrix/federation/v1/version'),
  ];
  const { compressed } = selectRoutes(routes, [
    { names: ['client'], compress: true },
    { names: ['federation'], compress: false },
  ]);
  assert.deepEqual([...compressed], [routes[0]]);
});
