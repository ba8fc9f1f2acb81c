import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Access } from '#src/platform/http/route.ts';
import type { AccountAccess, Requester } from '#src/accounts/index.ts';
import { systemClock } from '#src/platform/clock.ts';
import { createHttpApp } from '#src/platform/http/server.ts';
import { createLogging } from '#src/platform/logging/index.ts';
import { createMetrics } from '#src/platform/metrics/index.ts';
import { createPushRules, pushRoutes } from '#src/push/index.ts';

const ALICE: Requester = { userId: '@alice:test', userNum: 1, deviceId: 'D', sessionNum: 1, isGuest: false, isAdmin: false };
const alice: Access<Requester> = { identify: () => Promise.resolve(ALICE) };
const access: AccountAccess = { user: alice, guest: alice, admin: alice, optional: alice };

const get = async (path: string): Promise<{ status: number; body: Readonly<Record<string, unknown>> }> => {
  const logging = createLogging({ clock: systemClock, sink: { write: () => undefined, flush: () => undefined, close: () => undefined } });
  const routes = pushRoutes({ access, pushRules: createPushRules() });
  const app = createHttpApp({ routes, clock: systemClock, logging, metrics: createMetrics(), serverHeader: 'test' });
  const response = await app.inject({ method: 'GET', url: `/_matrix/client/v3${path}` });
  return { status: response.statusCode, body: response.json() };
};

test('push rules are read as a whole and in parts', async () => {
  const { body: all } = await get('/pushrules/');
  assert.deepEqual((await get('/pushrules/global/')).body, all['global']);
  const { override } = all['global'] as { override: readonly { rule_id: string; enabled: boolean; actions: unknown }[] };
  assert.deepEqual((await get('/pushrules/global/override/')).body, override);
  const [master] = override;
  assert.deepEqual((await get('/pushrules/global/override/.m.rule.master')).body, master);
  assert.deepEqual((await get('/pushrules/global/override/.m.rule.master/enabled')).body, { enabled: false });
  assert.deepEqual((await get('/pushrules/global/override/.m.rule.master/actions')).body, { actions: master?.actions });
});

test('what is not there is refused by name', async () => {
  const errcode = async (path: string): Promise<unknown> => {
    const { status, body } = await get(path);
    return `${String(status)} ${String(body['errcode'])}`;
  };
  for (const path of [
    '/pushrules',
    '/pushrules/global',
    '/pushrules/global/override',
    '/pushrules/global/strange/',
    '/pushrules/device/',
  ]) {
    assert.equal(await errcode(path), '404 M_UNRECOGNIZED', path);
  }
  assert.equal(await errcode('/pushrules/global/room/!r:x'), '404 M_NOT_FOUND');
  assert.match(String((await get('/pushrules/global')).body['error']), /trailing slash/);
});
