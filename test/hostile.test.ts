// What no client should send, to every route: the answer is the specification's error, never a 5xx, and the server lives on.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertError, ok, type Json, type Person } from './support/client.ts';
import { AUTHORIZATIONS, BODIES, QUERIES, REQUESTS, SEGMENTS } from './support/hostile-values.ts';
import { sendRaw } from './support/raw.ts';
import { everyRoute, type RouteName } from './support/routes.ts';
import { startServer, type Server } from './support/server.ts';

interface Attack {
  readonly method: string;
  readonly path: string;
  readonly authorization?: string | undefined;
  readonly body?: Buffer | undefined;
}

interface Victim {
  readonly server: Server;
  readonly alice: Person;
  readonly room: string;
}

const EMPTY = Buffer.from('{}');

const send = async ({ pool }: Server, { method, path, authorization, body }: Attack): Promise<{ status: number; text: string }> => {
  const response = await pool.request({
    method,
    path,
    headers: { ...(body && { 'content-type': 'application/json' }), ...(authorization !== undefined && { authorization }) },
    ...(body && method !== 'GET' && { body }),
    headersTimeout: 30_000,
  });
  return { status: response.statusCode, text: await response.body.text() };
};

/** What is wrong with the answer to an attack, if anything is. */
const faultOf = async (server: Server, attack: Attack): Promise<string | undefined> => {
  const { status, text } = await send(server, attack);
  const what = `${attack.method} ${attack.path.slice(0, 160)} ${attack.body?.toString('latin1').slice(0, 80) ?? ''}: ${String(status)} ${text.slice(0, 200)}`;
  if (status >= 500) return what;
  if (status < 400) return undefined;
  try {
    const { errcode, error, flows } = JSON.parse(text) as Json;
    if (status === 401 && Array.isArray(flows)) return undefined; // interactive authentication says what it wants
    return typeof errcode === 'string' && typeof error === 'string' ? undefined : what;
  } catch {
    return what;
  }
};

/** Runs attacks a few at a time, so that the server also meets them side by side. */
const runAll = async (server: Server, attacks: readonly Attack[]): Promise<void> => {
  const faults: string[] = [];
  const queue = attacks.values();
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (const attack of queue) {
        const fault = await faultOf(server, attack);
        if (fault !== undefined) faults.push(fault);
      }
    }),
  );
  assert.equal(faults.length, 0, `${String(faults.length)} of ${String(attacks.length)} attacks:\n${faults.slice(0, 30).join('\n')}`);
};

/** Values for the parameters of a path with which the routes find something to work on. */
const fittingPath = ({ template }: RouteName, { alice, room }: Victim): string =>
  template.replaceAll(/\{([^}]+)\}/g, (_, name: string) => {
    if (/room/i.test(name)) return room;
    if (/user/i.test(name)) return alice.userId;
    return /eventType/i.test(name) ? 'm.room.message' : 'x';
  });

const strangePath = ({ template }: RouteName, segment: string): string => template.replaceAll(/\{[^}]+\}/g, segment);

/** Without a time the old event stream waits half a minute for something new, and there is nothing new here. */
const waitsUnasked = ({ template }: RouteName): boolean => template.endsWith('/events');

const attacksOn = (route: RouteName, victim: Victim): Attack[] => {
  const { method } = route;
  const path = fittingPath(route, victim);
  const authorization = `Bearer ${victim.alice.accessToken}`;
  const strange = route.template.includes('{') ? SEGMENTS : [];
  return [
    (method === 'GET' ? [] : BODIES).map((body): Attack => ({ method, path, authorization, body })),
    strange.map((segment): Attack => ({ method, path: strangePath(route, segment), authorization, body: EMPTY })),
    QUERIES.map((query): Attack => ({
      method,
      path: `${path}?${waitsUnasked(route) ? 'timeout=0&' : ''}${query}`,
      authorization,
      body: EMPTY,
    })),
    AUTHORIZATIONS.map((wrong): Attack => ({ method, path, authorization: wrong, body: EMPTY })),
  ].flat();
};

/** These would end the session that the attacks need. */
const endsSessions = ({ template }: RouteName): boolean => /\/(logout|logout\/all|deactivate|delete_devices)$/.test(template);

const withVictim = async (body: (victim: Victim) => Promise<void>): Promise<void> => {
  await using server = await startServer();
  const alice = await server.register('alice');
  const { room_id } = ok(await alice.post<{ room_id: string }>('/createRoom', { preset: 'public_chat' }));
  await body({ server, alice, room: encodeURIComponent(room_id) });
  // Still there, and the same as before.
  assert.equal(ok(await alice.get('/account/whoami'))['user_id'], alice.userId);
};

test('malformed bodies, paths, queries and tokens to every route', () =>
  withVictim(async (victim) => {
    const routes = (await everyRoute()).filter((route) => !endsSessions(route));
    assert.ok(routes.length > 20);
    await runAll(
      victim.server,
      routes.flatMap((route) => attacksOn(route, victim)),
    );
  }));

test('wrong methods and unknown paths', () =>
  withVictim(async ({ server }) => {
    for (const route of await everyRoute()) {
      const { status } = await send(server, { method: 'PATCH', path: strangePath(route, 'x') });
      assert.ok(status === 404 || status === 405, `PATCH ${route.template}: ${String(status)}`);
    }
    assertError(await server.anybody.get('/_matrix/client/v3/nonsense'), 404, 'M_UNRECOGNIZED');
    assertError(await server.anybody.get('/_matrix/nonsense'), 404, 'M_UNRECOGNIZED');
    assertError(await server.anybody.delete('/_matrix/client/v3/sync'), 405, 'M_UNRECOGNIZED');
  }));

test('the codes that the specification gives', () =>
  withVictim(async ({ server, alice, room }) => {
    const authorization = `Bearer ${alice.accessToken}`;
    const path = `/_matrix/client/v3/rooms/${room}/send/org.example.anything/t`;
    const codeOf = async (body: Buffer | string): Promise<string> => {
      const { status, text } = await send(server, { method: 'PUT', path, authorization, body: Buffer.from(body) });
      return `${String(status)} ${String((JSON.parse(text) as Json)['errcode'])}`;
    };
    assert.equal(await codeOf('{"a":'), '400 M_NOT_JSON');
    assert.equal(await codeOf('[]'), '400 M_BAD_JSON');
    assert.equal(await codeOf(Buffer.from('{"\xff":1}', 'latin1')), '400 M_NOT_JSON');
    assert.equal(await codeOf('{"a":1.5}'), '400 M_BAD_JSON', 'no fractions in events');
    assert.equal(await codeOf('{"a":9007199254740993}'), '400 M_BAD_JSON', 'no integers beyond 2^53');
    assert.equal(await codeOf(JSON.stringify({ body: 'x'.repeat(70_000) })), '413 M_TOO_LARGE', 'no events of more than 65,536 bytes');
    assertError(await server.anybody.get('/sync'), 401, 'M_MISSING_TOKEN');
    assert.equal((await alice.get('/sync?since=nonsense')).status, 400);
  }));

test('requests that are hardly HTTP', () =>
  withVictim(async ({ server }) => {
    for (const bytes of REQUESTS) {
      const { status, text } = await sendRaw(server.origin, bytes);
      assert.ok(status < 500, `${bytes.slice(0, 100)}: ${String(status)} ${text.slice(0, 200)}`);
      assert.ok(!text.includes('root:'), 'a file of the machine was shown');
    }
  }));
