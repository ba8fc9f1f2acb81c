import assert from 'node:assert/strict';
import {
  DroppedEventError,
  type EventPolicy,
  HELD,
  isRejected,
  REDUCED,
  REJECTED,
  type RoomEvent,
  type RoomGraph,
  type RoomGraphTools,
  type RoomInfo,
  SOFT_FAILED,
  UNVERIFIED,
} from '#src/rooms/graph/index.ts';
import {
  ALICE,
  BOB,
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
  serverKeys,
  state,
  stateIds,
  THEIRS,
  THIRD,
} from '#src/rooms/graph/testing/world.ts';
import { withBothDatabases } from '#test/support/databases.ts';

interface World {
  readonly elsewhere: Elsewhere;
  readonly graph: RoomGraph;
  /** The room as it is there, and here. */
  readonly there: RoomInfo;
  readonly here: RoomInfo;
  readonly join: RoomEvent;
  /** The graph of a server that knows nothing yet. */
  readonly reopen: () => Promise<RoomGraph>;
}

const withWorld = (name: string, body: (world: World) => Promise<void>, more: Partial<RoomGraphTools> = {}, version = '11'): void => {
  withBothDatabases(name, async (_t, open) => {
    const elsewhere = await openElsewhere();
    let database = await open();
    const graph = await openGraph(database, OURS, more);
    const started = await elsewhere.room(version);
    const here = await letIn(graph, started);
    const reopen = async (): Promise<RoomGraph> => {
      await database.close();
      database = await open();
      return openGraph(database, OURS, more);
    };
    try {
      await body({ elsewhere, graph, there: started.room, here, join: started.join, reopen });
    } finally {
      await elsewhere.close();
    }
  });
};

const timelineOf = async (graph: RoomGraph, room: RoomInfo): Promise<string[]> =>
  (await graph.timeline.newest(room.num, 0, Number.MAX_SAFE_INTEGER, 100)).events.map((event) => event.eventId);

for (const version of ['1', '6', '12']) {
  withWorld(
    `a room of version ${version} is taken in whole, and is there after a restart`,
    async ({ elsewhere, here, there, join, reopen }) => {
      const graph = await reopen();
      const room = (await graph.room(there.roomId)) as RoomInfo;
      assert.deepEqual(room, here);
      const head = await graph.head(room);
      assert.deepEqual(
        head.extremities.map((event) => event.eventId),
        [join.eventId],
      );
      assert.deepEqual(await stateIds(graph, room, head.view.root), await stateIds(elsewhere.graph, there, join.stateRoot as string));
      assert.deepEqual(await timelineOf(graph, room), [join.eventId]);
      assert.deepEqual(Object.fromEntries(await graph.memberships.counts(room.num)), { join: 5 });
      const said = await graph.write(room, async (draft) => draft.append(message(ME, 'hello')));
      assert.equal((await elsewhere.graph.receive(there, said.json))?.facts, 0);
    },
    {},
    version,
  );
}

withBothDatabases('a room is not made known by a join that it does not allow, nor by a state without a beginning', async (_t, open) => {
  const elsewhere = await openElsewhere();
  const graph = await openGraph(await open(), OURS);
  const { room, join, state: before } = await elsewhere.room('11');
  const texts = before.map((event) => event.json);
  const given = { version: '11', state: texts, authChain: [], join: join.json };
  const closed = await elsewhere.add(room, [join], state(ALICE, 'm.room.join_rules', '', { join_rule: 'invite' }));
  const shut = texts.map((text) => (text.includes('"m.room.join_rules"') ? closed.json : text));
  await assert.rejects(graph.receiveRoom({ ...given, state: shut, authChain: texts }), DroppedEventError);
  await assert.rejects(
    graph.receiveRoom({ ...given, state: texts.filter((text) => !text.includes('"m.room.create"')) }),
    DroppedEventError,
  );
  await assert.rejects(graph.receiveRoom({ ...given, version: '10' }), DroppedEventError);
  assert.equal(await graph.room(room.roomId), undefined);
  const [first, second] = await Promise.all([graph.receiveRoom(given), graph.receiveRoom(given)]);
  assert.deepEqual(first.room, second.room);
  assert.equal(first.join.eventId, join.eventId);
  await elsewhere.close();
});

withBothDatabases('a large room whose taking in was cut off has nobody in it, and is taken in whole the next time', async (_t, open) => {
  const elsewhere = await openElsewhere();
  const { room } = await elsewhere.room('11');
  const many = Array.from({ length: 1200 }, (_, index) => `@user${String(index)}:${THEIRS}`);
  await elsewhere.graph.write(room, async (draft) => {
    for (const userId of many) await draft.append(member(userId, userId, 'join'));
  });
  const { extremities, view } = await elsewhere.graph.head(room);
  const before = await elsewhere.graph.stateEvents(room, view.root);
  const join = await elsewhere.add(room, extremities, state(ME, 'm.room.member', ME, { membership: 'join', displayname: 'me' }));
  const texts = before.map(({ json }) => json);
  const given = { version: '11', state: texts, authChain: texts.slice(0, 5), join: join.json };

  const database = await open();
  const graph = await openGraph(database, OURS);
  const parts: number[] = [];
  graph.takePart({
    prepare: async (_room, drafted) => {
      parts.push(drafted.length);
      if (drafted.some(({ inTimeline }) => inTimeline)) throw new Error('the power goes out');
      return () => undefined;
    },
  });
  await assert.rejects(graph.receiveRoom(given), /the power goes out/u);
  assert.deepEqual(parts, [500, 500, texts.length + 1 - 1000]);
  await database.close();

  const after = await openGraph(await open(), OURS);
  const known = (await after.room(room.roomId)) as RoomInfo;
  assert.equal((await after.head(known)).view.root, '');
  assert.equal((await after.memberships.counts(known.num)).size, 0);
  assert.deepEqual(await timelineOf(after, known), []);
  const taken = await after.receiveRoom(given);
  assert.deepEqual(taken.room, known);
  assert.deepEqual(
    await stateIds(after, known, taken.join.stateRoot as string),
    await stateIds(elsewhere.graph, room, join.stateRoot as string),
  );
  assert.deepEqual(Object.fromEntries(await after.memberships.counts(known.num)), { join: many.length + 5 });
  assert.deepEqual(await timelineOf(after, known), [join.eventId]);
  await elsewhere.close();
});

withWorld('what is not in form, of another room, or wrongly signed is dropped', async ({ elsewhere, graph, here, there, join }) => {
  const { json } = await elsewhere.add(there, [join], message(CARL, 'mine'));
  const other = await elsewhere.room('11');
  const cases: [string, string][] = [
    ['form', json.replace('"prev_events":[', '"prev_events":{"x":[').replace('"]', '"]}')],
    ['text', json.slice(1)],
    ['another room', (await elsewhere.add(other.room, [other.join], message(CARL, 'there'))).json],
    ['signature', json.replace(/"ed25519:a_3":"../u, '"ed25519:a_3":"AA')],
    ['nobody signed', json.replace(/"signatures":\{.*?\}\}/u, '"signatures":{}')],
    ['another server signed', json.replace('"three.example":{', '"two.example":{')],
    ['another sender', json.replace('@carl:three.example', '@alice:two.example')],
  ];
  for (const [name, text] of cases) {
    assert.notEqual(text, json, name);
    await assert.rejects(graph.receive(here, text), DroppedEventError, name);
  }
  assert.equal((await graph.receive(here, json))?.facts, 0);
});

withWorld(
  'an event whose content was changed on its way is kept in its redacted form',
  async ({ elsewhere, graph, here, there, join, reopen }) => {
    const said = await elsewhere.add(there, [join], message(CARL, 'mine'));
    const received = await graph.receive(here, said.json.replace('"mine"', '"thine"'));
    assert.equal(received?.eventId, said.eventId);
    assert.equal(received?.facts, REDUCED);
    assert.deepEqual(received.pdu.content, {});
    const again = await (await reopen()).events.byId(said.eventId);
    assert.deepEqual([again?.facts, again?.pdu.content], [REDUCED, {}]);
  },
);

withWorld(
  'what is rejected or soft-failed is kept, has no place in the timeline and is not cited',
  async ({ elsewhere, graph, here, there, join }) => {
    const ban = await elsewhere.add(there, [join], member(ALICE, DANA, 'ban'));
    assert.equal((await graph.receive(here, ban.json))?.facts, 0);
    const late = await elsewhere.add(there, [join], message(DANA, 'late'));
    assert.equal((await graph.receive(here, late.json))?.facts, SOFT_FAILED);
    const worse = await elsewhere.add(there, [ban], message(DANA, 'still here?'));
    assert.equal((await graph.receive(here, worse.json))?.facts, REJECTED);
    assert.deepEqual(await timelineOf(graph, here), [join.eventId, ban.eventId]);
    const said = await graph.write(here, async (draft) => draft.append(message(ME, 'bye')));
    assert.deepEqual(said.pdu.prev_events, [ban.eventId]);
  },
);

withWorld('an event of which an auth event is missing is rejected until that comes, and what stands on it with it', async (world) => {
  const { elsewhere, graph, here, there, join, reopen } = world;
  const users = { [ALICE]: 100, [BOB]: 50, [CARL]: 50, [DANA]: 50 };
  const levels = await elsewhere.add(there, [join], state(ALICE, 'm.room.power_levels', '', { users }));
  const cited = ['m.room.create', 'm.room.member'].map((type) => async () => {
    const num = await elsewhere.graph.states.get(there.num, join.stateRoot as string, type, type === 'm.room.member' ? CARL : '');
    return (await elsewhere.graph.events.byNum(num as number)) as RoomEvent;
  });
  const auth = [levels, ...(await Promise.all(cited.map(async (find) => find())))];
  const topic = await elsewhere.add(there, [join], state(CARL, 'm.room.topic', '', { topic: 'new' }), { auth });
  const said = await elsewhere.add(there, [topic], message(CARL, 'look at the topic'));
  await assert.rejects(graph.receive(here, topic.json), { name: 'MissingEventsError', prev: [], auth: [levels.eventId] });
  const kept = await graph.receive(here, topic.json, { withoutAuthEvents: true });
  assert.equal(kept?.facts, REJECTED);
  assert.equal((await graph.receive(here, said.json))?.facts, 0);
  assert.equal(await graph.currentState(here, 'm.room.topic', ''), undefined);
  const [outlier] = await graph.receiveAuthEvents(here, [levels.json]);
  assert.equal(outlier?.position, undefined);
  for (const each of [graph, await reopen()]) {
    assert.equal((await each.events.byId(topic.eventId))?.facts, 0);
    assert.equal((await each.currentState(here, 'm.room.topic', ''))?.eventId, topic.eventId);
    assert.deepEqual(
      (await each.head(here)).extremities.map((event) => event.eventId),
      [said.eventId],
    );
    assert.deepEqual(await timelineOf(each, here), [join.eventId, said.eventId, topic.eventId]);
  }
  const placed = await (await reopen()).receive(here, levels.json);
  assert.ok((placed?.position ?? 0) > 0, 'an auth event takes its place when it comes with what it follows');
});

const hidden = new Set<string>();

withWorld(
  'an event whose key is not at hand is rejected, and judged again with the key',
  async ({ elsewhere, graph, here, there, join }) => {
    hidden.add(THIRD);
    const topic = await elsewhere.add(there, [join], state(CARL, 'm.room.topic', '', { topic: 'new' }));
    const forged = topic.json.replace(/"ed25519:a_3":"../u, '"ed25519:a_3":"AA');
    const first = await graph.receive(here, forged);
    assert.equal(first?.facts, REJECTED | UNVERIFIED);
    assert.equal((await graph.judgeAgain(topic.eventId))?.facts, REJECTED | UNVERIFIED);
    hidden.clear();
    await assert.rejects(graph.judgeAgain(topic.eventId), DroppedEventError);
    const genuine = await graph.receive(here, topic.json);
    assert.equal(genuine?.facts, 0);
    assert.equal(genuine?.json, topic.json);
    assert.equal((await graph.currentState(here, 'm.room.topic', ''))?.eventId, topic.eventId);
    assert.equal(await graph.receive(here, topic.json), undefined);
  },
  { serverKeys: serverKeys(hidden) },
);

const objections = new Map<unknown, 'hold' | 'soft-fail'>();
const policy: EventPolicy = {
  judge: (_room, { pdu }) => {
    const verdict = objections.get(pdu.content['body']);
    return Promise.resolve(verdict === undefined ? { verdict: 'accept' } : { verdict, reason: 'spam' });
  },
};

withWorld(
  'what a policy holds back is not shown until it is released',
  async ({ elsewhere, graph, here, there, join }) => {
    objections.set('dubious', 'hold').set('spam', 'soft-fail');
    const held = await elsewhere.add(there, [join], message(CARL, 'dubious'));
    const spam = await elsewhere.add(there, [held], message(CARL, 'spam'));
    assert.equal((await graph.receive(here, held.json))?.facts, HELD);
    assert.equal((await graph.receive(here, spam.json))?.facts, SOFT_FAILED);
    assert.deepEqual(await timelineOf(graph, here), [join.eventId]);
    assert.equal((await graph.judgeAgain(held.eventId))?.facts, HELD);
    objections.clear();
    const released = await graph.judgeAgain(held.eventId);
    assert.equal(released?.facts, 0);
    assert.deepEqual(await timelineOf(graph, here), [join.eventId, held.eventId]);
    assert.deepEqual(
      (await graph.head(here)).extremities.map((event) => event.eventId),
      [held.eventId],
    );
    assert.equal(isRejected(released), false);
  },
  { eventPolicy: policy },
);
