import assert from 'node:assert/strict';
import fc from 'fast-check';
import { canonicalJson } from '#src/protocol/canonical-json.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import { signEvent } from '#src/protocol/signatures.ts';
import { contentHash, type Hashable } from '#src/protocol/hashes.ts';
import { DroppedEventError, isRejected, MissingEventsError, type RoomEvent } from '#src/rooms/graph/index.ts';
import { BOB, CARL, KEYS, letIn, ME, message, openElsewhere, openGraph, OURS, state, THIRD } from '#src/rooms/graph/testing/world.ts';
import { withBothDatabases } from '#test/support/databases.ts';

const VERSION = roomVersion('11');

/** The event with other values, hashed and signed as its sender's server can. */
const altered = (text: string, changes: JsonObject): string => {
  const { hashes: _hashes, signatures: _signatures, ...event } = { ...(JSON.parse(text) as JsonObject), ...changes };
  const hashed = { ...(event as Hashable), hashes: { sha256: contentHash(event, VERSION) } };
  return canonicalJson(signEvent(hashed, THIRD, KEYS[THIRD]!, VERSION), 'integers');
};

/** An object that says many levels deep that it has more. */
const nested = (levels: number): string => `${'{"a":'.repeat(levels)}{}${'}'.repeat(levels)}`;

withBothDatabases('whatever a server sends has an outcome, and the room goes on', async (_t, open) => {
  const elsewhere = await openElsewhere();
  const graph = await openGraph(await open(), OURS);
  const started = await elsewhere.room('11');
  const room = await letIn(graph, started);
  const said = await elsewhere.add(started.room, [started.join], message(CARL, 'mine'));
  const { json } = said;
  const refused: readonly (readonly [name: string, text: () => string])[] = [
    ['an event of 65,537 bytes', () => altered(json, { content: { body: 'x'.repeat(65_537) } })],
    ['deep nesting', () => json.replace('"body":"mine"', `"body":${nested(100_000)}`)],
    ['a lone surrogate', () => json.replace('mine', String.raw`\ud800`)],
    ['a depth below 0', () => json.replace(/"depth":\d+/u, '"depth":-1')],
    ['a depth that is no integer', () => json.replace(/"depth":\d+/u, '"depth":1.5')],
    ['a room id that is none', () => json.replace(/"room_id":"[^"]*"/u, '"room_id":"room"')],
    ['21 events before it', () => altered(json, { prev_events: Array.from({ length: 21 }, (_, index) => `$${String(index)}`) })],
    ['11 auth events', () => altered(json, { auth_events: Array.from({ length: 11 }, (_, index) => `$${String(index)}`) })],
    ['no event', () => '[]'],
    ['nothing', () => ''],
  ];
  for (const [name, text] of refused) await assert.rejects(graph.receive(room, text()), DroppedEventError, name);
  const missing: readonly JsonObject[] = [
    { prev_events: [`$${'x'.repeat(43)}`] },
    { auth_events: [`$${'x'.repeat(43)}`] },
    { prev_events: ['__proto__'] },
    { auth_events: ['constructor', 'toString'] },
  ];
  for (const changes of missing) await assert.rejects(graph.receive(room, altered(json, changes)), MissingEventsError);
  const rejected: readonly JsonObject[] = [
    { prev_events: [] },
    { auth_events: [] },
    { type: 'm.room.member', state_key: BOB, content: { membership: 'ban' } },
    { type: 'm.room.create', state_key: '', content: {} },
    { type: 'm.room.power_levels', state_key: '', content: { users: { [CARL]: 100 } } },
    { content: {}, type: '__proto__', state_key: '@somebody:else.example' },
  ];
  for (const changes of rejected) {
    const received = await graph.receive(room, altered(json, changes));
    assert.ok(received !== undefined && isRejected(received), JSON.stringify(changes));
  }
  const names = ['__proto__', 'constructor', 'hasOwnProperty'];
  for (const name of names) {
    const odd = await elsewhere.add(started.room, [started.join], state(CARL, name, name, JSON.parse(`{"${name}":"x"}`) as JsonObject));
    assert.equal((await graph.receive(room, odd.json))?.facts, 0, name);
    assert.equal((await graph.currentState(room, name, name))?.eventId, odd.eventId);
  }
  assert.equal((await graph.receive(room, json))?.facts, 0);
  await graph.write(room, async (draft) => draft.append(message(ME, 'still here')));
  await elsewhere.close();
});

withBothDatabases('an event with anything anywhere is dropped, missed or kept, and never breaks the room', async (_t, open) => {
  const elsewhere = await openElsewhere();
  const graph = await openGraph(await open(), OURS);
  const started = await elsewhere.room('11');
  const room = await letIn(graph, started);
  const { json } = await elsewhere.add(started.room, [started.join], message(CARL, 'mine'));
  const before = await graph.head(room);
  const keys = Object.keys(JSON.parse(json) as JsonObject);
  const value = fc.oneof(fc.jsonValue(), fc.constantFrom('', '@', '$', '!', 'm.room.member', CARL, ME, 2 ** 53, -1, [], {}, [[]]));
  const property = fc.asyncProperty(fc.constantFrom(...keys, 'state_key', 'redacts', 'unsigned', 'extra'), value, async (key, changed) => {
    let text: string;
    try {
      text = altered(json, { [key]: changed } as JsonObject);
    } catch {
      // Where it cannot even be signed it is sent as it is.
      text = JSON.stringify({ ...(JSON.parse(json) as JsonObject), [key]: changed });
    }
    let received: RoomEvent | undefined;
    try {
      received = await graph.receive(room, text);
    } catch (error) {
      assert.ok(error instanceof DroppedEventError || error instanceof MissingEventsError, `${(error as Error).stack ?? ''} of ${text}`);
      return;
    }
    if (received !== undefined && received.facts === 0) assert.equal(received.pdu.sender, CARL);
  });
  await fc.assert(property, { numRuns: 300 });
  const after = await graph.write(room, async (draft) => draft.append(message(ME, 'still here')));
  assert.ok(after.depth > (before.extremities[0]?.depth ?? 0));
  await elsewhere.close();
});
