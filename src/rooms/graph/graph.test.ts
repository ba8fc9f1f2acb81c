import assert from 'node:assert/strict';
import { buildPdu } from '#src/protocol/events.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import { signingKeyFromSeed } from '#src/protocol/signatures.ts';
import { type Clock, systemClock } from '#src/platform/clock.ts';
import { createStrings } from '#src/platform/database/strings.ts';
import { createJobs } from '#src/platform/jobs/index.ts';
import { CommitInDoubt } from '#src/platform/database/errors.ts';
import type { Database } from '#src/platform/database/types.ts';
import { silent, withBothDatabases } from '#test/support/databases.ts';
import { systemRandom } from '#src/platform/random.ts';
import {
  acquireWriterLease,
  createRoomGraph,
  type NewEvent,
  REJECTED,
  type RoomDraft,
  type RoomEvent,
  type RoomGraph,
  type RoomGraphTools,
  type RoomInfo,
  SOFT_FAILED,
} from '#src/rooms/graph/index.ts';

const SERVER = 'one.example';
const ALICE = '@alice:one.example';
const BOB = '@bob:one.example';
const ERIN = '@erin:two.example';
const signingKey = signingKeyFromSeed('ed25519:a_test', Buffer.alloc(32, 1));
const theirKey = signingKeyFromSeed('ed25519:a_theirs', Buffer.alloc(32, 2));

const tools = (database: Database): RoomGraphTools => ({
  database,
  strings: createStrings(database),
  clock: systemClock,
  random: systemRandom,
  serverName: SERVER,
  signingKey,
  soleWriter: true,
  serverKeys: {
    find: (server, keyId) =>
      Promise.resolve([signingKey, theirKey].find((key) => key.keyId === keyId && (key === signingKey) === (server === SERVER))),
  },
});

/** Declares a test of a graph on each engine; `reopen` is a restart. */
const withGraph = (name: string, body: (graph: RoomGraph, reopen: () => Promise<RoomGraph>) => Promise<void>): void => {
  withBothDatabases(name, async (_t, open) => {
    let database = await open();
    const openGraph = async (): Promise<RoomGraph> => createRoomGraph(tools(database));
    await body(await openGraph(), async () => {
      await database.close();
      database = await open();
      return openGraph();
    });
  });
};

const state = (sender: string, type: string, stateKey: string, content: JsonObject): NewEvent => ({ sender, type, stateKey, content });
const member = (sender: string, userId: string, membership: string): NewEvent => state(sender, 'm.room.member', userId, { membership });
const message = (sender: string, body: string): NewEvent => ({ sender, type: 'm.room.message', content: { msgtype: 'm.text', body } });

const makeRoom = async (graph: RoomGraph, version = '11'): Promise<RoomInfo> => {
  const { room } = await graph.createRoom(
    version,
    state(ALICE, 'm.room.create', '', { room_version: version, ...(version === '10' ? { creator: ALICE } : {}) }),
    async (draft) => {
      await draft.append(member(ALICE, ALICE, 'join'));
      const users = version === '12' ? {} : { [ALICE]: 100 };
      await draft.append(state(ALICE, 'm.room.power_levels', '', { users }));
      await draft.append(state(ALICE, 'm.room.join_rules', '', { join_rule: 'public' }));
    },
  );
  return room;
};

const append = async (graph: RoomGraph, room: RoomInfo, event: NewEvent): Promise<RoomEvent> =>
  graph.write(room, async (draft) => draft.append(event));

for (const version of ['10', '11', '12']) {
  withGraph(`a room of version ${version} is made, joined and talked in, and is the same after a restart`, async (first, reopen) => {
    const room = await makeRoom(first, version);
    if (version === '12') assert.match(room.roomId, /^![\w-]{43}$/u);
    else assert.match(room.roomId, /^![A-Za-z]{18}:one\.example$/u);
    await append(first, room, member(BOB, BOB, 'join'));
    const sent = await append(first, room, message(BOB, 'hello'));
    assert.ok((sent.position ?? 0) === 0, 'a draft has no position');
    const before = await first.currentRoot(room);
    const graph = await reopen();
    const again = (await graph.room(room.roomId)) as RoomInfo;
    assert.deepEqual(again, room);
    assert.equal(await graph.currentRoot(again), before);
    const { extremities } = await graph.head(again);
    assert.deepEqual(
      extremities.map((event) => event.eventId),
      [sent.eventId],
    );
    assert.ok((extremities[0]?.position ?? 0) > 0);
    const joined = await graph.currentState(again, 'm.room.member', BOB);
    assert.deepEqual(joined?.pdu.content, { membership: 'join' });
    const next = await append(graph, again, message(ALICE, 'good morning'));
    assert.deepEqual(next.pdu.prev_events, [sent.eventId]);
    assert.equal(next.depth, sent.depth + 1);
    const { events } = await graph.timeline.newest(room.num, 0, Number.MAX_SAFE_INTEGER, 100);
    assert.deepEqual(
      events.map((event) => event.pdu.type),
      ['m.room.create', 'm.room.member', 'm.room.power_levels', 'm.room.join_rules', 'm.room.member', 'm.room.message', 'm.room.message'],
    );
  });
}

withGraph('a refused event and a command that throws leave no trace', async (graph) => {
  const room = await makeRoom(graph);
  const head = await graph.head(room);
  await assert.rejects(append(graph, room, message(BOB, 'let me in')), { errcode: 'M_FORBIDDEN' });
  await assert.rejects(
    graph.write(room, async (draft) => {
      await draft.append(message(ALICE, 'one'));
      throw new Error('changed my mind');
    }),
    /changed my mind/u,
  );
  assert.deepEqual(await graph.head(room), head);
  const said = await append(graph, room, message(ALICE, 'two'));
  assert.deepEqual(
    said.pdu.prev_events,
    head.extremities.map((event) => event.eventId),
  );
});

withGraph('a command that throws leaves nothing to those that share its batch', async (graph) => {
  const room = await makeRoom(graph);
  let lost: RoomEvent | undefined;
  const [first, second] = await Promise.allSettled([
    graph.write(room, async (draft) => {
      lost = await draft.append(message(ALICE, 'one'));
      throw new Error('changed my mind');
    }),
    graph.write(room, async (draft) => draft.event((lost as RoomEvent).eventId)),
  ]);
  assert.equal(first.status, 'rejected');
  assert.deepEqual(second, { status: 'fulfilled', value: undefined });
});

withGraph('commands that wait together are one chain in the order of asking', async (graph) => {
  const room = await makeRoom(graph);
  const sent = await Promise.all(Array.from({ length: 250 }, async (_, index) => append(graph, room, message(ALICE, String(index)))));
  for (const [index, event] of sent.entries()) if (index > 0) assert.deepEqual(event.pdu.prev_events, [sent[index - 1]?.eventId]);
  const { events } = await graph.timeline.newest(room.num, 0, Number.MAX_SAFE_INTEGER, 250);
  assert.deepEqual(
    events.map((event) => event.pdu.content.body),
    sent.map((_, index) => String(index)),
  );
});

withGraph('two requests with one transaction id make one event', async (graph, reopen) => {
  const room = await makeRoom(graph);
  const key = { userNum: 1, deviceId: 'D', txnId: 'once' };
  const send = async (draft: RoomDraft): Promise<string> => {
    const before = await draft.sent(key);
    if (before !== undefined) return before.eventId;
    const event = await draft.append(message(ALICE, 'once'));
    draft.markSent(key, event);
    return event.eventId;
  };
  const [first, second] = await Promise.all([graph.write(room, send), graph.write(room, send)]);
  assert.equal(first, second);
  assert.equal(await graph.write(room, send), first);
  assert.equal(await (await reopen()).write(room, send), first);
});

withGraph('memberships follow the state', async (graph) => {
  const room = await makeRoom(graph);
  await append(graph, room, member(BOB, BOB, 'join'));
  const bobNum = (await graph.states.keyOf('m.room.member', BOB))?.stateKey as number;
  assert.equal((await graph.memberships.in(room.num, bobNum))?.membership, 'join');
  await append(graph, room, member(ALICE, BOB, 'ban'));
  assert.equal((await graph.memberships.in(room.num, bobNum))?.membership, 'ban');
  assert.deepEqual(
    (await graph.memberships.changes(bobNum, 0, Number.MAX_SAFE_INTEGER)).map((change) => change.membership),
    ['join', 'ban'],
  );
  assert.deepEqual(Object.fromEntries(await graph.memberships.counts(room.num)), { join: 1, ban: 1 });
});

withGraph('a redaction applies to what its sender may redact', async (graph) => {
  const room = await makeRoom(graph);
  await append(graph, room, member(BOB, BOB, 'join'));
  const said = await append(graph, room, message(BOB, 'oops'));
  const redaction = await append(graph, room, { sender: ALICE, type: 'm.room.redaction', content: {}, redacts: said.eventId });
  assert.equal((await graph.events.byId(said.eventId))?.redactedBy, redaction.num);
});

/** An event of another server, citing what the test says. */
const theirs = async (graph: RoomGraph, room: RoomInfo, prev: readonly RoomEvent[], event: NewEvent, ts: number) => {
  const version = roomVersion(room.version);
  const keys: [string, string][] = [
    ['m.room.create', ''],
    ['m.room.power_levels', ''],
    ['m.room.member', ERIN],
  ];
  if (event.type === 'm.room.member') keys.push(['m.room.join_rules', '']);
  const auth: RoomEvent[] = [];
  for (const [type, stateKey] of keys) {
    const num = await graph.states.get(room.num, prev[0]?.stateRoot as string, type, stateKey);
    const found = num === undefined ? undefined : await graph.events.byNum(num);
    if (found !== undefined) auth.push(found);
  }
  const built = buildPdu({
    roomVersion: version,
    roomId: room.roomId,
    ...event,
    originServerTs: ts,
    depth: 1 + Math.max(...prev.map((each) => each.depth)),
    prevEvents: prev.map((each) => each.eventId),
    authEvents: auth.map((each) => each.eventId),
    serverName: 'two.example',
    signingKey: theirKey,
  });
  return built.json;
};

const latest = async (graph: RoomGraph, room: RoomInfo): Promise<RoomEvent> => (await graph.head(room)).extremities[0] as RoomEvent;

withGraph('a fork is resolved and healed by the next event', async (graph, reopen) => {
  const room = await makeRoom(graph);
  const base = await latest(graph, room);
  const joined = await graph.receive(room, await theirs(graph, room, [base], member(ERIN, ERIN, 'join'), 1000));
  assert.equal(joined?.facts, 0);
  const fork = await latest(graph, room);
  await append(graph, room, state(ALICE, 'm.room.topic', '', { topic: 'ours' }));
  await append(graph, room, message(ALICE, 'on our side'));
  const far = await graph.receive(room, await theirs(graph, room, [fork], message(ERIN, 'on their side'), 2000));
  assert.equal(far?.facts, 0);
  assert.equal((await graph.head(room)).extremities.length, 2);
  assert.deepEqual((await graph.currentState(room, 'm.room.topic', ''))?.pdu.content, { topic: 'ours' });
  const again = await reopen();
  assert.equal((await again.head(room)).extremities.length, 2);
  const healed = await append(again, room, message(ALICE, 'together'));
  assert.equal(healed.pdu.prev_events.length, 2);
  assert.equal((await again.head(room)).extremities.length, 1);
});

withGraph('a ban on one side of a fork takes the other side out of the state', async (graph) => {
  const room = await makeRoom(graph);
  await append(graph, room, state(ALICE, 'm.room.power_levels', '', { users: { [ALICE]: 100, [ERIN]: 50 } }));
  await graph.receive(room, await theirs(graph, room, [await latest(graph, room)], member(ERIN, ERIN, 'join'), 1000));
  const fork = await latest(graph, room);
  await append(graph, room, member(ALICE, ERIN, 'ban'));
  const late = await theirs(graph, room, [fork], state(ERIN, 'm.room.topic', '', { topic: 'mine' }), 2000);
  const received = await graph.receive(room, late);
  assert.equal(received?.facts, SOFT_FAILED, 'the state before allows it, the current state does not');
  assert.equal(await graph.currentState(room, 'm.room.topic', ''), undefined);
  const worse = await theirs(graph, room, [await latest(graph, room)], message(ERIN, 'still here?'), 3000);
  assert.equal((await graph.receive(room, worse))?.facts, REJECTED);
  assert.equal(await graph.receive(room, worse), undefined, 'known already');
});

withGraph('an event that cites what is not here is held back', async (graph) => {
  const room = await makeRoom(graph);
  const base = await latest(graph, room);
  const unknown = { ...base, eventId: `$${'x'.repeat(43)}` };
  const event = await theirs(graph, room, [unknown], member(ERIN, ERIN, 'join'), 1000);
  await assert.rejects(graph.receive(room, event), { name: 'MissingEventsError', prev: [unknown.eventId], auth: [] });
});

/** Both processes may write all that a graph writes. */
const WRITERS = Object.fromEntries(['events', 'event_numbers', 'room_numbers'].map((stream) => [stream, ['master', 'second']]));

withBothDatabases(
  'a writer that was taken for dead cannot commit on what it remembers',
  async (_t, open) => {
    const later: Clock = { ...systemClock, now: () => systemClock.now() + 60_000 };
    const [old, young] = [await open({ writers: WRITERS }), await open({ writer: 'second', writers: WRITERS, clock: later })];
    const graphOn = async (database: Database): Promise<RoomGraph> => {
      const jobs = createJobs(silent);
      const lease = await acquireWriterLease(database, jobs);
      await jobs.stop();
      return createRoomGraph({ ...tools(database), lease });
    };
    const paused = await graphOn(old);
    const room = await makeRoom(paused);
    const taker = await graphOn(young);
    const again = (await taker.room(room.roomId)) as RoomInfo;
    const said = await append(taker, again, message(ALICE, 'from the new writer'));
    await assert.rejects(append(paused, room, message(ALICE, 'from the grave')), { name: 'LeaseLost' });
    assert.deepEqual(
      (await taker.head(again)).extremities.map((event) => event.eventId),
      [said.eventId],
    );
  },
  { only: 'postgres' },
);

withBothDatabases('after a commit in doubt a room goes on from what the database says', async (_t, open) => {
  const database = await open();
  let doubts = false;
  let unreadable = false;
  const doubtful: Database = {
    ...database,
    read: async (name, body) => {
      if (unreadable) throw new Error('the line is still cut');
      return database.read(name, body);
    },
    write: async (name, body) => {
      const value = await database.write(name, async (tx) => body({ ...tx, onCommit: doubts ? () => undefined : tx.onCommit }));
      if (doubts) throw new CommitInDoubt('the line was cut');
      return value;
    },
  };
  const graph = await createRoomGraph(tools(doubtful));
  const room = await makeRoom(graph);
  const said = await append(graph, room, message(ALICE, 'heard'));
  await graph.timeline.newest(room.num, 0, Number.MAX_SAFE_INTEGER, 1);
  doubts = true;
  await assert.rejects(append(graph, room, message(ALICE, 'perhaps')), { name: 'CommitInDoubt' });
  doubts = false;
  unreadable = true;
  await assert.rejects(append(graph, room, message(ALICE, 'too early')), /still cut/u);
  unreadable = false;
  const next = await append(graph, room, message(ALICE, 'and on'));
  assert.notDeepEqual(next.pdu.prev_events, [said.eventId]);
  const { events } = await graph.timeline.newest(room.num, 0, Number.MAX_SAFE_INTEGER, 3);
  assert.deepEqual(
    events.map((event) => event.pdu.content.body),
    ['heard', 'perhaps', 'and on'],
  );
});
