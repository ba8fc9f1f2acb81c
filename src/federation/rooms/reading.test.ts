import assert from 'node:assert/strict';
import { createStrings } from '#src/platform/database/strings.ts';
import { authEventIds } from '#src/protocol/events.ts';
import { MatrixError } from '#src/protocol/errors.ts';
import type { RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import {
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
  THEIRS,
  THIRD,
} from '#src/rooms/graph/testing/world.ts';
import { createReplacedState } from '#src/rooms/history/replaced-state.ts';
import { createVisibility } from '#src/rooms/history/visibility.ts';
import { createHosts, type Hosts } from '#src/federation/rooms/hosts.ts';
import { createPeerReading, type PeerReading } from '#src/federation/rooms/reading.ts';
import { createServerVisibility } from '#src/federation/rooms/visibility.ts';
import { withBothDatabases } from '#test/support/databases.ts';

interface World {
  readonly graph: RoomGraph;
  readonly room: RoomInfo;
  readonly join: RoomEvent;
  readonly hosts: Hosts;
  readonly reading: PeerReading;
  /** Makes an event elsewhere, after that given or the room's ends, and receives it here. */
  readonly receive: (wanted: Parameters<Elsewhere['add']>[2], prev?: readonly RoomEvent[]) => Promise<RoomEvent>;
  readonly say: (text: string) => Promise<RoomEvent>;
}

const withWorld = (name: string, body: (world: World) => Promise<void>): void => {
  withBothDatabases(name, async (_t, open) => {
    const elsewhere = await openElsewhere();
    const database = await open();
    const graph = await openGraph(database, OURS);
    const started = await elsewhere.room('11');
    const room = await letIn(graph, started);
    const erasedUsers = { has: () => false };
    const replacedState = createReplacedState(graph);
    const visibility = createServerVisibility({
      graph,
      visibility: createVisibility({ graph, replacedState, ignoredUsers: async () => new Set(), erasedUsers }),
      erasedUsers,
    });
    const hosts = createHosts({ graph, strings: createStrings(database) });
    const here = async (wanted: Parameters<Elsewhere['add']>[2]): Promise<RoomEvent> =>
      graph.write(room, async (draft) => draft.append(wanted));
    try {
      await body({
        graph,
        room,
        hosts,
        join: (await graph.events.byId(started.join.eventId)) as RoomEvent,
        reading: createPeerReading({ graph, hosts, visibility, replacedState }),
        say: async (text) => here(message(ME, text)),
        receive: async (wanted, prev) => {
          // What was said here is known there before anybody answers to it.
          for (const event of (await graph.timeline.newest(room.num, 0, Number.MAX_SAFE_INTEGER, 100)).events)
            await elsewhere.graph.receive(started.room, event.json);
          const made = await elsewhere.add(started.room, prev ?? (await elsewhere.graph.head(started.room)).extremities, wanted);
          await graph.receive(room, made.json);
          return (await graph.events.byId(made.eventId)) as RoomEvent;
        },
      });
    } finally {
      await elsewhere.close();
    }
  });
};

const fails = (status: number, asking: Promise<unknown>): Promise<void> =>
  assert.rejects(asking, (error) => error instanceof MatrixError && error.status === status);

const idOf = (text: string): unknown => (JSON.parse(text) as { content: { body?: string } }).content.body;

withWorld('the servers of a room are those of its joined users, in each of its states', async ({ graph, room, hosts, receive, join }) => {
  assert.deepEqual(await hosts.at(room, await graph.currentRoot(room)), new Set([OURS, THEIRS, THIRD]));
  await receive(member(CARL, CARL, 'leave'));
  assert.ok(await hosts.isIn(room, THIRD), 'one of its users is left');
  await receive(member(DANA, DANA, 'leave'));
  assert.ok(!(await hosts.isIn(room, THIRD)));
  assert.deepEqual(await hosts.at(room, await graph.currentRoot(room)), new Set([OURS, THEIRS]));
  assert.deepEqual(await hosts.at(room, join.stateRoot as string), new Set([OURS, THEIRS, THIRD]), 'an older state');
  await receive(member(DANA, DANA, 'join'));
  assert.ok(await hosts.isIn(room, THIRD));
  assert.ok(!(await hosts.isIn(room, 'four.example')));
});

withWorld('only servers that are in a room and not kept out read it', async ({ room, reading, receive, say }) => {
  const said = await say('hello');
  assert.equal(await reading.event(THIRD, said.eventId), said.json);
  await fails(403, reading.event('four.example', said.eventId));
  await fails(404, reading.event(THIRD, '$none'));
  await fails(404, reading.backfill(THIRD, '!none:one.example', [], 10));
  await fails(404, reading.stateBefore(THIRD, room.roomId, '$none'));
  await receive(state('@alice:two.example', 'm.room.server_acl', '', { allow: ['*'], deny: ['three.*'] }));
  await fails(403, reading.event(THIRD, said.eventId));
  await fails(403, reading.missing(THIRD, room.roomId, { earliest: [], latest: [said.eventId], limit: 10, minDepth: 0 }));
  assert.equal(await reading.event(THEIRS, said.eventId), said.json);
});

withWorld('the state before an event, and what authorises it, are whole', async ({ graph, room, reading, receive, say }) => {
  const first = await receive(state('@alice:two.example', 'm.room.topic', '', { topic: 'one' }));
  const second = await receive(state('@alice:two.example', 'm.room.topic', '', { topic: 'two' }));
  const said = await say('hello');
  for (const [event, root] of [
    [second, first.stateRoot],
    [said, second.stateRoot],
  ] as const) {
    const { state: before, authChain } = await reading.stateBefore(THIRD, room.roomId, event.eventId);
    assert.deepEqual(before.map((each) => each.eventId).sort(), await stateIds(graph, room, root as string));
    const ids = new Set(authChain.map((each) => each.eventId));
    for (const each of [...before, ...authChain]) for (const id of authEventIds(each.pdu)) assert.ok(ids.has(id), id);
  }
  const chain = await reading.authChain(THIRD, room.roomId, second.eventId);
  assert.deepEqual(new Set(chain.map((each) => each.pdu.type)), new Set(['m.room.create', 'm.room.power_levels', 'm.room.member']));
});

withWorld('history is given from the newest back, and gaps from the oldest on', async ({ room, reading, say }) => {
  const said = [];
  for (let index = 0; index < 6; index += 1) said.push(await say(String(index)));
  const last = said.at(-1)?.eventId as string;
  assert.deepEqual((await reading.backfill(THIRD, room.roomId, [last], 3)).map(idOf), ['5', '4', '3']);
  const everything = await reading.backfill(THIRD, room.roomId, [last], 1000);
  assert.equal(everything.length, 7, 'the six, and the join that this server has the history since');
  const gap = { earliest: [said[1]?.eventId as string], latest: [last], limit: 10, minDepth: 0 };
  assert.deepEqual((await reading.missing(THIRD, room.roomId, gap)).map(idOf), ['2', '3', '4']);
  assert.deepEqual((await reading.missing(THIRD, room.roomId, { ...gap, limit: 2 })).map(idOf), ['3', '4']);
  assert.deepEqual((await reading.missing(THIRD, room.roomId, { ...gap, minDepth: said[3]?.depth as number })).map(idOf), ['3', '4']);
  assert.deepEqual(await reading.missing(THIRD, room.roomId, { ...gap, latest: ['$none'] }), []);
});

for (const [setting, whole] of [
  ['shared', true],
  ['world_readable', true],
  ['joined', false],
  ['invited', false],
] as const) {
  withWorld(
    `with history visibility "${setting}" a server has ${whole ? 'all' : 'only'} what was said while it was there`,
    async ({ room, reading, receive, say }) => {
      await receive(state('@alice:two.example', 'm.room.history_visibility', '', { history_visibility: setting }));
      await receive(member(CARL, CARL, 'leave'));
      await receive(member(DANA, DANA, 'leave'));
      const before = await say('before');
      if (setting === 'invited') await receive(member('@alice:two.example', DANA, 'invite'));
      const between = await say('between');
      await receive(member(DANA, DANA, 'join'));
      const after = await say('after');
      const texts = await Promise.all([before, between, after].map((event) => reading.event(THIRD, event.eventId)));
      assert.deepEqual(texts.map(idOf), [whole ? 'before' : undefined, whole || setting === 'invited' ? 'between' : undefined, 'after']);
      assert.deepEqual((await reading.backfill(THIRD, room.roomId, [before.eventId], 1)).map(idOf), [whole ? 'before' : undefined]);
    },
  );
}
