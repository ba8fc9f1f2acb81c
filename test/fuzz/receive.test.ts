// Random events as other servers might send them: each is taken in, dropped or waits for what it cites, and the room goes on.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { systemClock } from '#src/platform/clock.ts';
import { openDatabase } from '#src/platform/database/index.ts';
import { contentHash, type Hashable } from '#src/protocol/hashes.ts';
import type { JsonObject, JsonValue } from '#src/protocol/json.ts';
import { type RoomVersion, roomVersion } from '#src/protocol/room-versions.ts';
import { signEvent } from '#src/protocol/signatures.ts';
import { DroppedEventError, MissingEventsError, type RoomEvent, type RoomGraph, type RoomInfo } from '#src/rooms/graph/index.ts';
import { ALICE, BOB, CARL, DANA, KEYS, letIn, ME, message, openElsewhere, openGraph, OURS } from '#src/rooms/graph/testing/world.ts';
import { hardJson, hardNumber, hardText, powerLevelsContent, VERSIONS } from '../differential/events.ts';
import { silent } from '../support/databases.ts';
import { inRounds, TIMEOUT_MS } from './rounds.ts';

/** One event in the making; numbers choose among what the room has. */
interface Attack {
  readonly type: string;
  readonly stateKey: string | undefined;
  readonly sender: string;
  readonly content: JsonObject;
  readonly prev: readonly number[];
  readonly auth: readonly number[] | undefined;
  readonly ts: number;
  readonly depth: number;
  /** Done to the event before it is signed. */
  readonly changes: readonly (readonly [key: string, value: JsonValue | undefined])[];
  /** Done to its text afterwards. */
  readonly damage: readonly [at: number, byte: number] | undefined;
}

const users = [ALICE, BOB, CARL, DANA, ME];

const content: fc.Arbitrary<JsonObject> = fc.oneof(
  fc.record(
    {
      membership: fc.oneof(
        { weight: 9, arbitrary: fc.constantFrom<JsonValue>('join', 'leave', 'ban', 'invite', 'knock') },
        { weight: 1, arbitrary: hardJson },
      ),
      third_party_invite: hardJson,
      join_authorised_via_users_server: fc.oneof(fc.constantFrom<JsonValue>(...users), hardJson),
    },
    { requiredKeys: ['membership'] },
  ),
  powerLevelsContent,
  fc.record(
    { join_rule: fc.oneof(fc.constantFrom<JsonValue>('public', 'restricted', 'knock'), hardJson), redacts: hardJson },
    { requiredKeys: [] },
  ),
  fc.dictionary(hardText, hardJson, { maxKeys: 4 }),
);

const EVENT_KEYS = [
  ...'room_id sender type state_key content prev_events auth_events'.split(' '),
  ...'depth origin_server_ts hashes signatures unsigned redacts event_id'.split(' '),
];

const sometimes = <Value>(arbitrary: fc.Arbitrary<Value>): fc.Arbitrary<Value | undefined> =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });

const attack: fc.Arbitrary<Attack> = fc.record({
  type: fc.oneof(
    {
      weight: 9,
      arbitrary: fc.constantFrom(
        ...'member power_levels join_rules create redaction topic message aliases'.split(' ').map((name) => `m.room.${name}`),
      ),
    },
    { weight: 1, arbitrary: hardText },
  ),
  stateKey: fc.oneof(fc.constantFrom(undefined, '', ...users), hardText),
  sender: fc.constantFrom(ALICE, ALICE, BOB, CARL, DANA),
  content,
  prev: fc.array(fc.nat(12), { maxLength: 3 }),
  auth: sometimes(fc.array(fc.nat(20), { maxLength: 12 })),
  ts: fc.oneof(fc.nat(2_000_000), fc.constantFrom(-1, 2 ** 53 - 1)),
  depth: fc.oneof(fc.nat(60), fc.constantFrom(2 ** 53 - 1, -1)),
  changes: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    {
      weight: 1,
      arbitrary: fc.array(
        fc.tuple(
          fc.constantFrom(...EVENT_KEYS),
          fc.oneof(fc.constant(undefined), hardJson, hardNumber, fc.constant<JsonValue>(Array.from({ length: 30 }, () => '$x'))),
        ),
        { minLength: 1, maxLength: 2 },
      ),
    },
  ),
  damage: sometimes(fc.tuple(fc.nat(), fc.nat(255))),
});

interface Target {
  readonly graph: RoomGraph;
  readonly room: RoomInfo;
  readonly version: RoomVersion;
  /** Events that are there, the newest last. */
  readonly events: RoomEvent[];
  made: number;
}

const pick = <Item>(items: readonly Item[], index: number): Item => items[items.length - 1 - (index % items.length)]!;

const textOf = (given: Attack, target: Target): string => {
  const { version, events, room } = target;
  const server = given.sender.slice(given.sender.indexOf(':') + 1);
  const references = (ids: readonly string[]): JsonValue =>
    version.references === 'pairs' ? ids.map((id): JsonValue => [id, { sha256: 'x' }]) : ids;
  const cited = given.auth?.map((index) => pick(events, index).eventId) ?? events.slice(0, 5).map(({ eventId }) => eventId);
  const whole: Record<string, JsonValue> = {
    room_id: room.roomId,
    type: given.type,
    sender: given.sender,
    content: given.content,
    prev_events: references([...new Set(given.prev.map((index) => pick(events, index).eventId))]),
    auth_events: references(cited),
    origin_server_ts: given.ts,
    depth: given.depth,
    ...(version.eventIds === 'given' ? { event_id: `$f${String((target.made += 1))}:${server}` } : {}),
    ...(given.stateKey === undefined ? {} : { state_key: given.stateKey }),
  };
  for (const [key, value] of given.changes) {
    if (value === undefined) delete whole[key];
    else whole[key] = value;
  }
  try {
    const hashed = { ...whole, hashes: { sha256: contentHash(whole, version) } };
    return JSON.stringify(signEvent(hashed as unknown as Hashable, server, KEYS[server]!, version));
  } catch {
    // What cannot be signed is sent all the same.
    return JSON.stringify(whole);
  }
};

const damaged = (text: string, damage: Attack['damage']): string => {
  if (damage === undefined) return text;
  const bytes = Buffer.from(text);
  bytes[damage[0] % bytes.length] = damage[1];
  return bytes.toString();
};

const counts = { taken: 0, known: 0, dropped: 0, waiting: 0 };

const play = async (target: Target, given: Attack): Promise<void> => {
  const text = damaged(textOf(given, target), given.damage);
  try {
    const event = await target.graph.receive(target.room, text);
    counts[event === undefined ? 'known' : 'taken'] += 1;
    if (event?.stateRoot !== undefined) target.events.push(event);
  } catch (error) {
    if (error instanceof DroppedEventError) counts.dropped += 1;
    else if (error instanceof MissingEventsError) counts.waiting += 1;
    else throw new Error(text, { cause: error });
  }
};

test('random events', { timeout: TIMEOUT_MS }, async (context: TestContext) => {
  let round = 0;
  const count = await inRounds(attack, { perRound: 250, rounds: VERSIONS.length }, async (attacks) => {
    const id = VERSIONS[round++ % VERSIONS.length]!;
    const elsewhere = await openElsewhere();
    const database = await openDatabase({
      config: { name: 'sqlite3', args: { database: ':memory:' } },
      writer: 'master',
      clock: systemClock,
      logger: silent,
    });
    const graph = await openGraph(database, OURS);
    const started = await elsewhere.room(id);
    const room = await letIn(graph, started);
    const { extremities, view } = await graph.head(room);
    const before = await graph.stateEvents(room, view.root);
    const target: Target = { graph, room, version: roomVersion(id), events: [...before, ...extremities], made: 0 };
    for (const given of attacks) await play(target, given);
    // The room still takes what is right.
    const said = await elsewhere.add(started.room, [started.join], message(ALICE, 'still here'));
    const received = await graph.receive(room, said.json);
    assert.equal(received?.eventId, said.eventId);
    await database.close();
    await elsewhere.close();
  });
  context.diagnostic(`${String(count)} events: ${JSON.stringify(counts)}`);
  // If all were dropped at the door, nothing behind it would have been tried.
  assert.ok(counts.taken > count / 20, JSON.stringify(counts));
});
