import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { type Clock, systemClock } from '#src/platform/clock.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import { COLLECTION_WAIT_MS } from '#src/rooms/graph/state-collection/index.ts';
import { childrenOf, EMPTY } from '#src/rooms/graph/state-tree/nodes.ts';
import { ALICE, BOB, CARL, DANA, letIn, ME, message, openElsewhere, openGraph, OURS, state } from '#src/rooms/graph/testing/world.ts';
import { withBothDatabases } from '#test/support/databases.ts';

const EVER = new AbortController().signal;

/** A clock that a test moves on. */
const movable = (): { clock: Clock; moveOn: () => void } => {
  let ahead = 0;
  return { clock: { ...systemClock, now: () => systemClock.now() + ahead }, moveOn: () => void (ahead += COLLECTION_WAIT_MS) };
};

/** Numbers that look random and are the same in each run. */
const dice = (seed: number): ((sides: number) => number) => {
  let last = seed;
  return (sides) => {
    last = (Math.imul(last, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((last / 2 ** 32) * sides);
  };
};

const nameOf = (row: { room_num: number; node_id: string }): string => `${String(row.room_num)}/${row.node_id}`;

const readNodes = async (database: Database): Promise<ReadonlyMap<string, Uint8Array>> => {
  const rows = await database.read('nodes', async (reader) =>
    reader.all<{ room_num: number; node_id: string; data: Uint8Array }>(sql`SELECT room_num, node_id, data FROM state_nodes`),
  );
  return new Map(rows.map((row) => [nameOf(row), row.data]));
};

const namesOf = async (database: Database): Promise<string[]> => [...(await readNodes(database)).keys()].sort();

const dueRows = async (database: Database): Promise<object[]> =>
  database.read('due', async (reader) => reader.all(sql`SELECT room_num, due_ts FROM state_collections`));

/** What the stored roots reach, walked on its own. Throws where something is missing. */
const reachable = async (database: Database): Promise<string[]> => {
  const nodes = await readNodes(database);
  const roots = await database.read('roots', async (reader) =>
    reader.all<{ room_num: number; root: string | null }>(sql`
      SELECT room_num, state_root AS root FROM events UNION SELECT room_num, current_root AS root FROM room_heads
      UNION SELECT room_num, current_root AS root FROM room_state_history`),
  );
  const found = new Set<string>();
  const visit = (roomNum: number, id: string | null): void => {
    const name = nameOf({ room_num: roomNum, node_id: id ?? EMPTY });
    if (id === null || id === EMPTY || found.has(name)) return;
    found.add(name);
    const data = nodes.get(name);
    assert.ok(data, `node ${name} is missing`);
    for (const child of childrenOf(data)) visit(roomNum, child);
  };
  for (const row of roots) visit(row.room_num, row.root);
  return [...found].sort();
};

/** Every event's state as the graph reads it. */
const allStates = async (graph: RoomGraph, room: RoomInfo, events: readonly RoomEvent[]): Promise<string[]> =>
  Promise.all(
    events.map(async ({ num }) => {
      const event = (await graph.events.byNum(num)) as RoomEvent;
      const entries = await graph.states.entries(room.num, event.stateRoot as string);
      return entries.map((entry) => `${String(entry.typeNum)} ${String(entry.stateKeyNum)} ${String(entry.eventNum)}`).join();
    }),
  );

/** A room of ours, in which other servers' events can be made that fork at random. */
const forkingRoom = async (
  t: TestContext,
  graph: RoomGraph,
  seed: number,
): Promise<{ room: RoomInfo; events: RoomEvent[]; fork: (steps: number) => Promise<void> }> => {
  const elsewhere = await openElsewhere();
  t.after(elsewhere.close);
  const roll = dice(seed);
  const there = await elsewhere.room('11');
  const room = await letIn(graph, there);
  const made: RoomEvent[] = [there.join];
  const events: RoomEvent[] = [];
  const step = async (): Promise<void> => {
    const cited = Array.from({ length: 1 + roll(3) }, () => made[Math.max(0, made.length - 1 - roll(6))] as RoomEvent);
    const sender = [ALICE, BOB, CARL, DANA][roll(4)] as string;
    const text = `${String(seed)} ${String(made.length)}`;
    const wanted =
      [ALICE, BOB, CARL].includes(sender) && roll(4) > 0
        ? state(sender, `x.kind.${String(roll(3))}`, String(roll(9)), { text })
        : message(sender, text);
    const event = await elsewhere.add(there.room, [...new Set(cited)], wanted, { at: 1000 + made.length });
    made.push(event);
    const received = await graph.receive(room, event.json);
    if (received !== undefined) events.push(received);
    if (roll(8) === 0) events.push(await graph.write(room, async (draft) => draft.append(message(ME, `between ${text}`))));
  };
  return {
    room,
    events,
    fork: async (steps) => {
      for (let done = 0; done < steps; done++) await step();
    },
  };
};

withBothDatabases('what no root reaches goes after its time, and nothing else, whatever the forks', async (t, open) => {
  const database = await open();
  const { clock, moveOn } = movable();
  const graph = await openGraph(database, OURS, { clock });
  let removedInAll = 0;
  for (const seed of [1, 2, 3]) {
    const { room, events, fork } = await forkingRoom(t, graph, seed);
    await fork(30);
    const [before, states] = [await namesOf(database), await allStates(graph, room, events)];
    assert.equal(await graph.collectState(EVER), 0, 'its time has not come');
    assert.deepEqual(await namesOf(database), before);
    moveOn();
    const removed = await graph.collectState(EVER);
    removedInAll += removed;
    assert.deepEqual(await namesOf(database), await reachable(database));
    assert.equal((await namesOf(database)).length, before.length - removed);
    assert.deepEqual(await allStates(await openGraph(database, OURS), room, events), states, 'read by who remembers nothing');
    assert.deepEqual(await dueRows(database), []);
    await fork(5);
  }
  assert.ok(removedInAll > 0, 'forks left something');
});

withBothDatabases('a room without forks is not looked at', async (_t, open) => {
  const database = await open();
  const graph = await openGraph(database, OURS);
  const { room } = await graph.createRoom('11', state(ME, 'm.room.create', '', { room_version: '11' }), async (draft) => {
    await draft.append(state(ME, 'm.room.member', ME, { membership: 'join' }));
  });
  for (let step = 0; step < 5; step++) await graph.write(room, async (draft) => draft.append(state(ME, 'x.kind', '', { step })));
  assert.deepEqual(await dueRows(database), []);
});

withBothDatabases('a room goes on while it is collected, and what it writes meanwhile stays', async (t, open) => {
  const database = await open();
  const { clock, moveOn } = movable();
  const graph = await openGraph(database, OURS, { clock });
  const { room, events, fork } = await forkingRoom(t, graph, 7);
  for (let round = 0; round < 4; round++) {
    await fork(15);
    moveOn();
    let isDone = false;
    const collected = graph.collectState(EVER).finally(() => {
      isDone = true;
    });
    while (!isDone) await fork(1);
    await collected;
    const kept = new Set(await namesOf(database));
    assert.deepEqual(
      (await reachable(database)).filter((name) => !kept.has(name)),
      [],
    );
  }
  const states = await allStates(graph, room, events);
  moveOn();
  await graph.collectState(EVER);
  assert.deepEqual(await namesOf(database), await reachable(database));
  assert.deepEqual(await allStates(await openGraph(database, OURS), room, events), states);
});

withBothDatabases('a collection that was cut off leaves a whole room, and is done again', async (t, open) => {
  const database = await open();
  const { clock, moveOn } = movable();
  const first = await openGraph(database, OURS, { clock });
  const { room, events, fork } = await forkingRoom(t, first, 11);
  await fork(40);
  const states = await allStates(first, room, events);
  moveOn();
  for (const cutAt of ['state roots', 'state nodes to keep', 'state node ids', 'collect state nodes', 'end collecting state']) {
    const stopping = new AbortController();
    const cut: Database = {
      ...database,
      read: async (name, body) => {
        if (name === cutAt) stopping.abort();
        return stopping.signal.aborted ? Promise.reject(new Error('cut off')) : database.read(name, body);
      },
      write: async (name, body) => {
        if (name === cutAt) stopping.abort();
        return stopping.signal.aborted ? Promise.reject(new Error('cut off')) : database.write(name, body);
      },
    };
    const graph = await openGraph(cut, OURS, { clock });
    await assert.rejects(graph.collectState(stopping.signal));
    const kept = new Set(await namesOf(database));
    assert.deepEqual(
      (await reachable(database)).filter((name) => !kept.has(name)),
      [],
    );
    assert.equal((await dueRows(database)).length, 1);
  }
  const last = await openGraph(database, OURS, { clock });
  await last.collectState(EVER);
  assert.deepEqual(await namesOf(database), await reachable(database));
  assert.deepEqual(await allStates(last, room, events), states);
  assert.deepEqual(await dueRows(database), []);
});

withBothDatabases('of a room in which a node is missing nothing is removed', async (t, open) => {
  const database = await open();
  const { clock, moveOn } = movable();
  const graph = await openGraph(database, OURS, { clock });
  const { room, fork } = await forkingRoom(t, graph, 13);
  await fork(30);
  const root = await graph.currentRoot(room);
  await database.write('damage', async (tx) => tx.run(sql`DELETE FROM state_nodes WHERE node_id = ${root}`));
  const before = await namesOf(database);
  moveOn();
  await assert.rejects(graph.collectState(EVER), /was not collected/u);
  assert.deepEqual(await namesOf(database), before);
  assert.equal(await graph.collectState(EVER), 0, 'it is left alone for a while');
});
