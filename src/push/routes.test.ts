import assert from 'node:assert/strict';
import type { Access, Method } from '#src/platform/http/route.ts';
import type { AccountAccess, Requester } from '#src/accounts/index.ts';
import { systemClock } from '#src/platform/clock.ts';
import type { Database } from '#src/platform/database/types.ts';
import { createTestedApp } from '#src/platform/http/testing.ts';
import { createLogging } from '#src/platform/logging/index.ts';
import { createMetrics } from '#src/platform/metrics/index.ts';
import { pushRoutes } from '#src/push/routes.ts';
import { createPushRules } from '#src/push/rules.ts';
import { withBothDatabases } from '#test/support/databases.ts';

const ALICE: Requester = { userId: '@alice:test', userNum: 1, deviceId: 'D', sessionNum: 1, isGuest: false, isAdmin: false };
const alice: Access<Requester> = { identify: () => Promise.resolve(ALICE) };
const access: AccountAccess = { user: alice, guest: alice, admin: alice, optional: alice };

type Ask = (method: Method, path: string, body?: unknown) => Promise<{ status: number; body: Readonly<Record<string, unknown>> }>;

const asking = (database: Database): Ask => {
  const logging = createLogging({ clock: systemClock, sink: { write: () => undefined, flush: () => undefined, close: () => undefined } });
  const routes = pushRoutes({ access, pushRules: createPushRules({ database }) });
  const app = createTestedApp({ routes, clock: systemClock, logging, metrics: createMetrics(), serverHeader: 'test' });
  return async (method, path, body) => {
    const sent = body === undefined ? {} : { payload: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    const response = await app.inject({ method, url: `/_matrix/client/v3${path}`, ...sent });
    return { status: response.statusCode, body: response.json() };
  };
};

withBothDatabases('push rules are read as a whole and in parts', async (_t, open) => {
  const ask = asking(await open());
  const get = async (path: string): Promise<unknown> => (await ask('GET', path)).body;
  const all = (await ask('GET', '/pushrules/')).body;
  assert.deepEqual(await get('/pushrules/global/'), all['global']);
  const { override } = all['global'] as { override: readonly { rule_id: string; enabled: boolean; actions: unknown }[] };
  assert.deepEqual(await get('/pushrules/global/override/'), override);
  const [master] = override;
  assert.deepEqual(await get('/pushrules/global/override/.m.rule.master'), master);
  assert.deepEqual(await get('/pushrules/global/override/.m.rule.master/enabled'), { enabled: false });
  assert.deepEqual(await get('/pushrules/global/override/.m.rule.master/actions'), { actions: master?.actions });
});

withBothDatabases('push rules are made, moved, switched off and taken away', async (_t, open) => {
  const ask = asking(await open());
  const rule = { conditions: [{ kind: 'event_match', key: 'type', pattern: 'm.*' }], actions: ['notify'] };
  assert.deepEqual(await ask('PUT', '/pushrules/global/override/one', rule), { status: 200, body: {} });
  assert.equal((await ask('PUT', '/pushrules/global/override/two?after=one', rule)).status, 200);
  assert.equal((await ask('PUT', '/pushrules/global/override/none?before=three', rule)).status, 400);
  assert.equal((await ask('PUT', '/pushrules/global/override/one/enabled', false)).status, 200);
  assert.equal((await ask('PUT', '/pushrules/global/override/two/actions', { actions: [] })).status, 200);
  const { body } = await ask('GET', '/pushrules/global/override/');
  assert.deepEqual((body as unknown as readonly object[]).slice(1, 3), [
    { rule_id: 'one', default: false, enabled: false, ...rule },
    { rule_id: 'two', default: false, enabled: true, ...rule, actions: [] },
  ]);
  assert.equal((await ask('DELETE', '/pushrules/global/override/one')).status, 200);
  assert.equal((await ask('DELETE', '/pushrules/global/override/one')).body['errcode'], 'M_NOT_FOUND');
});

withBothDatabases('what is not there is refused by name', async (_t, open) => {
  const ask = asking(await open());
  const errcode = async (method: Method, path: string, sent?: unknown): Promise<unknown> => {
    const { status, body } = await ask(method, path, sent);
    return `${String(status)} ${String(body['errcode'])}`;
  };
  for (const path of [
    '/pushrules',
    '/pushrules/global',
    '/pushrules/global/override',
    '/pushrules/global/strange/',
    '/pushrules/device/',
    '/pushrules/global/override/.m.rule.master/strange',
  ]) {
    assert.equal(await errcode('GET', path), '404 M_UNRECOGNIZED', path);
  }
  assert.equal(await errcode('GET', '/pushrules/global/room/!r:x'), '404 M_NOT_FOUND');
  assert.equal(await errcode('PUT', '/pushrules/global/room/a%2Fb', { actions: [] }), '400 M_UNKNOWN');
  assert.equal(await errcode('PUT', '/pushrules/global/override/.m.rule.master/strange', {}), '404 M_UNRECOGNIZED');
  assert.match(String((await ask('GET', '/pushrules/global')).body['error']), /trailing slash/);
});
