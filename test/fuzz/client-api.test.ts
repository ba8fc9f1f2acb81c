// Random bodies, paths and queries to all that a started homeserver answers: never a 5xx, and the server lives on.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { canonicalJson } from '#src/protocol/canonical-json.ts';
import type { JsonObject, JsonValue } from '#src/protocol/json.ts';
import { hardJson, hardText, powerLevelsContent } from '../differential/events.ts';
import { ok, type Person } from '../support/client.ts';
import { everyRoute, type RouteName } from '../support/routes.ts';
import { type Server, startServer } from '../support/server.ts';
import { inRounds, TIMEOUT_MS } from './rounds.ts';

const AT_A_TIME = 8;

interface Attack {
  readonly route: RouteName;
  readonly parameters: readonly string[];
  readonly query: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

interface Victim {
  readonly server: Server;
  readonly people: readonly Person[];
  readonly rooms: readonly string[];
}

const words = (text: string): string[] => text.trim().split(/\s+/);

/** What stands in bodies and queries of the client-server API. */
const KEYS = words(`
  auth type identifier user password username device_id reason user_id membership displayname avatar_url room_version name
  topic preset invite initial_state creation_content power_level_content_override visibility room_alias_name state_key content
  event_id room_id third_party_signed m.relates_to m.mentions rel_type key room timeline state filter limit types not_types
  senders rooms lazy_load_members since from to dir conditions actions pattern kind is value set_tweak device_keys
  one_time_keys fallback_keys algorithms keys signatures messages order tags m.fully_read m.read thread_id typing timeout token
  public_key users events
`);

const PLAUSIBLE: readonly JsonValue[] = [
  0,
  1,
  -1,
  50,
  2 ** 53 - 1,
  true,
  false,
  null,
  ...words(`
  @alice:test.example @bob:test.example @x:y !r:test.example $e #a:test.example m.room.member m.room.create join ban
  public_chat m.login.password m.login.dummy m.thread event_match content.body a.* ==2 notify b f main
`),
];

const value: fc.Arbitrary<JsonValue> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...PLAUSIBLE) },
  { weight: 1, arbitrary: hardJson },
);

const anObject = (item: fc.Arbitrary<JsonValue>): fc.Arbitrary<JsonObject> =>
  fc.dictionary(fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...KEYS) }, { weight: 1, arbitrary: hardText }), item, { maxKeys: 6 });

const nested: fc.Arbitrary<JsonObject> = anObject(
  fc.oneof(value, anObject(value), fc.array(fc.oneof(value, anObject(value)), { maxLength: 3 }), anObject(anObject(value))),
);

const textOf = (json: JsonValue): string => {
  try {
    return canonicalJson(json, 'any');
  } catch {
    return JSON.stringify(json);
  }
};

/** JSON as clients write it, the same with some bytes changed, or any bytes. */
const body: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 8, arbitrary: fc.oneof(nested, powerLevelsContent).map((json) => Buffer.from(textOf(json))) },
  {
    weight: 2,
    arbitrary: fc.tuple(nested, fc.nat(), fc.nat(255)).map(([json, at, byte]) => {
      const bytes = Buffer.from(textOf(json));
      bytes[at % bytes.length] = byte;
      return bytes;
    }),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)) },
);

const attack = (routes: readonly RouteName[]): fc.Arbitrary<Attack> =>
  fc.record({
    route: fc.constantFrom(...routes),
    parameters: fc.array(
      fc.oneof(
        fc.constantFrom('m.room.message', 'm.room.member', 'm.room.power_levels', 'global', 'override', 'x', '0', '@alice:test.example'),
        hardText,
      ),
      { minLength: 6, maxLength: 6 },
    ),
    query: fc.dictionary(
      fc.constantFrom(
        'since',
        'from',
        'to',
        'dir',
        'limit',
        'filter',
        'timeout',
        'at',
        'membership',
        'not_membership',
        'user_id',
        'ts',
        'before',
        'kind',
        'access_token',
      ),
      fc.oneof(fc.constantFrom('b', 'f', '0', '-1', '10', 's0', '{}', '{"room":{"timeline":{"limit":-1}}}', 'join'), hardText),
      { maxKeys: 3 },
    ),
    body,
  });

/** These would end the sessions that the attacks need, or wait. */
const isLeftOut = ({ template }: RouteName): boolean => /\/(logout|logout\/all|deactivate|delete_devices|events|password)$/.test(template);

const pathOf = ({ route, parameters, query }: Attack, { people, rooms }: Victim, turn: number): string => {
  let used = 0;
  const path = route.template.replaceAll(/\{([^}]+)\}/g, (_, name: string) => {
    const given = parameters[used++ % parameters.length]!;
    // Mostly what is there, so that the request comes further than the look-up.
    if (/room/i.test(name) && given.length % 4 !== 0) return encodeURIComponent(rooms[turn % rooms.length]!);
    if (/user/i.test(name) && given.length % 4 !== 0) return encodeURIComponent(people[turn % people.length]!.userId);
    return encodeURIComponent(given === '' || given === '.' || given === '..' ? 'x' : given);
  });
  // A sync must not wait for the next round.
  const all = new URLSearchParams({ ...query, timeout: '0' });
  return `${path}?${all.toString()}`;
};

/** How many requests were answered with what kind of status: `2` for 200 and the like. */
const kinds: Record<string, number> = {};

const faultOf = async (given: Attack, victim: Victim, turn: number): Promise<string | undefined> => {
  const { method } = given.route;
  const path = pathOf(given, victim, turn);
  const response = await victim.server.pool.request({
    method,
    path,
    headers: { authorization: `Bearer ${victim.people[turn % victim.people.length]!.accessToken}`, 'content-type': 'application/json' },
    ...(method === 'GET' ? {} : { body: given.body }),
    headersTimeout: 30_000,
  });
  const text = await response.body.text();
  const kind = String(Math.floor(response.statusCode / 100));
  kinds[kind] = (kinds[kind] ?? 0) + 1;
  return response.statusCode < 500
    ? undefined
    : `${method} ${path} ${given.body.toString('latin1')}: ${String(response.statusCode)} ${text.slice(0, 300)}`;
};

const makeVictim = async (server: Server, round: number): Promise<Victim> => {
  const people = [await server.register(`a${String(round)}`), await server.register(`b${String(round)}`)] as const;
  const rooms: string[] = [];
  for (const preset of ['public_chat', 'private_chat']) {
    const { room_id: roomId } = ok(await people[0].post<{ room_id: string }>('/createRoom', { preset, invite: [people[1].userId] }));
    ok(await people[1].post(`/rooms/${encodeURIComponent(roomId)}/join`, {}));
    rooms.push(roomId);
  }
  return { server, people, rooms };
};

test('random requests', { timeout: TIMEOUT_MS }, async (context: TestContext) => {
  await using server = await startServer();
  const routes = (await everyRoute()).filter((route) => !isLeftOut(route));
  let round = 0;
  const count = await inRounds(attack(routes), { perRound: 2500, rounds: 1 }, async (attacks) => {
    const victim = await makeVictim(server, round++);
    const queue = attacks.entries();
    const faults: string[] = [];
    await Promise.all(
      Array.from({ length: AT_A_TIME }, async () => {
        for (const [turn, given] of queue) {
          const fault = await faultOf(given, victim, turn);
          if (fault !== undefined) faults.push(fault);
        }
      }),
    );
    assert.deepEqual(faults.slice(0, 10), []);
    const late = await server.register(`c${String(round)}`);
    assert.equal(ok(await late.get('/account/whoami'))['user_id'], late.userId);
  });
  context.diagnostic(`${String(count)} requests: ${JSON.stringify(kinds)}`);
  // If all were refused, little would have been tried.
  assert.ok((kinds['2'] ?? 0) > count / 10, JSON.stringify(kinds));
});
