import assert from 'node:assert/strict';
import {
  createLooseEnds,
  DUMMY_EVENT,
  type NewEvent,
  type RoomEvent,
  type RoomGraph,
  type RoomInfo,
  SOFT_FAILED,
} from '#src/rooms/graph/index.ts';
import { type Clock, systemClock } from '#src/platform/clock.ts';
import { createStrings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import {
  ALICE,
  CARL,
  DANA,
  type Elsewhere,
  letIn,
  ME,
  member,
  message,
  openElsewhere,
  openGraph,
  OURS,
  state,
  stateIds,
} from '#src/rooms/graph/testing/world.ts';
import { withBothDatabases } from '#test/support/databases.ts';

interface World {
  readonly elsewhere: Elsewhere;
  readonly database: Database;
  readonly graph: RoomGraph;
  /** The room as it is there, and here. */
  readonly there: RoomInfo;
  readonly here: RoomInfo;
  readonly join: RoomEvent;
  /** Makes an event elsewhere and brings it here. */
  bring(prev: readonly RoomEvent[], wanted: NewEvent, options?: { at?: number }): Promise<RoomEvent>;
  /** The ids of the forward extremities here. */
  ends(): Promise<string[]>;
}

const withWorld = (name: string, body: (world: World) => Promise<void>): void => {
  withBothDatabases(name, async (_t, open) => {
    const elsewhere = await openElsewhere();
    const database = await open();
    const graph = await openGraph(database, OURS);
    const started = await elsewhere.room('11');
    const here = await letIn(graph, started);
    const bring: World['bring'] = async (prev, wanted, options) => {
      const known = await elsewhere.graph.events.byIds(prev.map((event) => event.eventId));
      const made = await elsewhere.add(started.room, [...known.values()], wanted, options);
      return (await graph.receive(here, made.json)) as RoomEvent;
    };
    const ends: World['ends'] = async () => (await graph.head(here)).extremities.map((event) => event.eventId);
    try {
      await body({ elsewhere, database, graph, there: started.room, here, join: started.join, bring, ends });
    } finally {
      await elsewhere.close();
    }
  });
};

/** Sends an event of ours and answers how it is seen there. */
const say = async (
  { elsewhere, graph, there, here }: World,
  event = message(ME, 'ours'),
): Promise<{ sent: RoomEvent; seen: RoomEvent }> => {
  const sent = await graph.write(here, async (draft) => draft.append(event));
  return { sent, seen: (await elsewhere.graph.receive(there, sent.json)) as RoomEvent };
};

/** The state after an event is the same here and there. */
const agree = async ({ elsewhere, graph, there, here }: World, sent: RoomEvent, seen: RoomEvent): Promise<void> =>
  assert.deepEqual(await stateIds(graph, here, sent.stateRoot as string), await stateIds(elsewhere.graph, there, seen.stateRoot as string));

withWorld('an event cites the ten deepest of the ends of its room, where they have one state', async (world) => {
  const { bring, join, ends } = world;
  const first = await bring([join], message(CARL, 'first'));
  const shallow: RoomEvent[] = [];
  for (let index = 0; index < 3; index++) shallow.push(await bring([join], message(CARL, `shallow ${String(index)}`)));
  const deep: RoomEvent[] = [];
  for (let index = 0; index < 10; index++) deep.push(await bring([first], message(CARL, `deep ${String(index)}`)));
  assert.equal((await ends()).length, 13);
  const { sent, seen } = await say(world);
  assert.deepEqual(new Set(sent.pdu.prev_events), new Set(deep.map((event) => event.eventId)));
  assert.deepEqual(new Set(await ends()), new Set([...shallow.map((event) => event.eventId), sent.eventId]));
  await agree(world, sent, seen);
});

withWorld('an event cites an end of each state, so that the state before it is the current one', async (world) => {
  const { graph, here, bring, join, ends } = world;
  const first = await bring([join], message(CARL, 'first'));
  const odd: RoomEvent[] = [];
  for (let index = 0; index < 3; index++) odd.push(await bring([join], state(CARL, 'x.odd', String(index), {})));
  for (let index = 0; index < 12; index++) await bring([first], message(CARL, `deep ${String(index)}`));
  const current = await graph.currentRoot(here);
  const { sent, seen } = await say(world);
  assert.equal(sent.pdu.prev_events.length, 10);
  for (const event of odd) assert.ok((sent.pdu.prev_events as readonly string[]).includes(event.eventId));
  assert.equal(sent.stateRoot, current);
  await agree(world, sent, seen);
  assert.equal((await ends()).length, 16 - 10);
});

withWorld('with more states than can be cited, the state before the event is that of those that are', async (world) => {
  const { graph, here, bring, join } = world;
  for (let index = 0; index < 24; index++) await bring([join], state(CARL, 'x.odd', String(index), {}));
  const { sent, seen } = await say(world, {
    sender: ME,
    type: 'm.room.member',
    stateKey: ME,
    content: { membership: 'join', displayname: 'Me' },
  });
  assert.equal(sent.pdu.prev_events.length, 20);
  await agree(world, sent, seen);
  const current = await graph.stateEvents(here, await graph.currentRoot(here));
  assert.equal(current.filter((event) => event.pdu.type === 'x.odd').length, 24, 'what was not cited is state, too');
  assert.ok(current.some((event) => event.eventId === sent.eventId));
  assert.equal((await graph.memberships.in(here.num, sent.stateKeyNum as number))?.eventNum, sent.num);
  const next = await say(world);
  await agree(world, next.sent, next.seen);
});

withWorld('what nobody accepted leaves no end behind, and what comes late for one that is gone is received', async (world) => {
  const { bring, join, ends } = world;
  const said = await bring([join], message(CARL, 'said'));
  const ban = await bring([join], member(ALICE, DANA, 'ban'));
  const late = await bring([said], message(DANA, 'late'));
  assert.equal(late.facts, SOFT_FAILED);
  assert.deepEqual(new Set(await ends()), new Set([said.eventId, ban.eventId]));
  const after = await bring([late], message(ALICE, 'after'));
  assert.deepEqual(new Set(await ends()), new Set([after.eventId, ban.eventId]));
  const later = await bring([said], message(CARL, 'later'));
  assert.equal(later.facts, 0);
  assert.deepEqual(new Set(await ends()), new Set([after.eventId, ban.eventId, later.eventId]));
  const { sent, seen } = await say(world);
  assert.deepEqual(await ends(), [sent.eventId]);
  await agree(world, sent, seen);
});

withWorld('an end that is stuck is dropped once its server has moved on, and is one again when something follows it', async (world) => {
  const { graph, here, bring, join, ends } = world;
  const stuck = await bring([join], state(CARL, 'm.room.topic', '', { topic: 'stuck' }), { at: 1000 });
  let last = await bring([join], state(ALICE, 'm.room.topic', '', { topic: 'on' }), { at: 3000 });
  for (let depth = last.depth; depth < stuck.depth + 20; depth++) last = await bring([last], message(CARL, String(depth)));
  assert.deepEqual(new Set(await ends()), new Set([stuck.eventId, last.eventId]));
  last = await bring([last], message(CARL, 'far enough'));
  assert.deepEqual(await ends(), [last.eventId]);
  const late = await bring([stuck], message(CARL, 'late'));
  assert.equal(late.facts, 0);
  assert.deepEqual(new Set(await ends()), new Set([late.eventId, last.eventId]));
  assert.equal((await graph.currentState(here, 'm.room.topic', ''))?.pdu.content['topic'], 'on');
  const { sent, seen } = await say(world);
  await agree(world, sent, seen);
});

withWorld('many loose ends are tied together by an event that nobody sees', async (world) => {
  const { database, graph, bring, join, ends } = world;
  let now = systemClock.now();
  const clock: Clock = { ...systemClock, now: () => now };
  const tie = createLooseEnds({ graph, database, strings: createStrings(database), clock, threshold: 10 });
  let said = 0;
  const fork = async (prev: RoomEvent, count: number): Promise<void> => {
    for (let index = 0; index < count; index++) await bring([prev], message(CARL, String(said++)));
  };
  await fork(join, 10);
  assert.deepEqual(await tie(), [], 'ten are not too many');
  await fork(join, 5);
  const [sent] = await tie();
  assert.deepEqual([sent?.pdu.type, sent?.pdu.sender], [DUMMY_EVENT, ME]);
  assert.equal((await ends()).length, 15 - 10 + 1);
  assert.deepEqual(await tie(), []);
  // Where none of ours may send, the room is left alone for a week.
  const ban = await bring([join], member(ALICE, ME, 'ban'));
  await fork(ban, 15);
  assert.deepEqual(await tie(), []);
  const back = await bring([ban], member(ALICE, ME, 'leave'));
  assert.equal((await bring([back], member(ME, ME, 'join'))).facts, 0);
  assert.deepEqual(await tie(), []);
  now += 8 * 24 * 60 * 60 * 1000;
  assert.equal((await tie()).length, 1);
});
