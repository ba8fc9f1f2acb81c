import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isRejected, MissingEventsError, type RoomEvent, type RoomGraph, type RoomInfo } from '#src/rooms/graph/index.ts';
import {
  ALICE,
  BOB,
  CARL,
  DANA,
  type Elsewhere,
  letIn,
  member,
  message,
  openElsewhere,
  openGraph,
  OURS,
  state,
  stateIds,
} from '#src/rooms/graph/testing/world.ts';
import type { NewEvent } from '#src/rooms/graph/index.ts';
import { withBothDatabases } from '#test/support/databases.ts';

const OTHERS = [BOB, CARL, DANA] as const;

/** What somebody tries, and after which of the latest events. Much of it is not allowed where it is tried. */
interface Move {
  readonly kind: 'message' | 'topic' | 'ban' | 'leave' | 'join' | 'levels' | 'rules';
  readonly by: number;
  readonly target: number;
  readonly after: readonly number[];
  readonly at: number;
}

const move: fc.Arbitrary<Move> = fc.record({
  kind: fc.constantFrom('message', 'topic', 'topic', 'ban', 'leave', 'join', 'levels', 'rules'),
  by: fc.nat(3),
  target: fc.nat(2),
  after: fc.uniqueArray(fc.nat(6), { minLength: 1, maxLength: 3 }),
  at: fc.integer({ min: 1000, max: 1005 }),
});

const wantedBy = ({ kind, by, target }: Move, version: string, index: number): NewEvent => {
  const sender = by === 3 ? ALICE : (OTHERS[by] as string);
  const other = OTHERS[target] as string;
  if (kind === 'message') return message(sender, String(index));
  if (kind === 'topic') return state(sender, 'm.room.topic', '', { topic: String(index) });
  if (kind === 'ban') return member(sender, other, 'ban');
  if (kind === 'leave') return member(sender, other, 'leave');
  if (kind === 'join') return member(by === 3 ? other : sender, by === 3 ? other : sender, 'join');
  if (kind === 'rules') return state(sender, 'm.room.join_rules', '', { join_rule: index % 2 === 0 ? 'invite' : 'public' });
  const users = { ...(version === '12' ? {} : { [ALICE]: 100 }), [BOB]: 50, [CARL]: 50, [other]: (index * 25) % 75 };
  return state(sender, 'm.room.power_levels', '', { users });
};

/** Plays the moves, and ties all ends together in a last event. */
const play = async (elsewhere: Elsewhere, room: RoomInfo, join: RoomEvent, moves: readonly Move[]): Promise<RoomEvent[]> => {
  const events = [join];
  const open = new Map([[join.eventId, join]]);
  for (const [index, each] of moves.entries()) {
    const latest = events.slice(-7).toReversed();
    const prev = [...new Set(each.after.map((place) => latest[place % latest.length] as RoomEvent))];
    const made = await elsewhere.add(room, prev, wantedBy(each, room.version, index), { at: each.at });
    if (events.some((event) => event.eventId === made.eventId)) continue;
    for (const event of prev) open.delete(event.eventId);
    open.set(made.eventId, made);
    events.push(made);
  }
  const ends = [...open.values()];
  return [...events.slice(1), await elsewhere.add(room, ends, message(ALICE, 'the end'), { at: 2000 })];
};

/** Delivers events as they come; those that come too early come again. */
const deliver = async (graph: RoomGraph, room: RoomInfo, events: readonly RoomEvent[]): Promise<void> => {
  for (let waiting = [...events]; waiting.length > 0;) {
    const early: RoomEvent[] = [];
    for (const event of waiting) {
      try {
        await graph.receive(room, event.json);
      } catch (error) {
        if (!(error instanceof MissingEventsError)) throw error;
        early.push(event);
      }
    }
    assert.ok(early.length < waiting.length, 'each round something arrives');
    waiting = early;
  }
};

for (const version of ['6', '10', '12']) {
  withBothDatabases(`events of a room of version ${version} that forks say the same in whatever order they come`, async (_t, open) => {
    const elsewhere = await openElsewhere();
    const graph = await openGraph(await open(), OURS);
    const property = fc.asyncProperty(
      fc.array(move, { minLength: 3, maxLength: 14 }),
      fc.infiniteStream(fc.nat()),
      async (moves, numbers) => {
        const started = await elsewhere.room(version);
        const room = await letIn(graph, started);
        const events = await play(elsewhere, started.room, started.join, moves);
        const shuffled = events
          .map((event) => ({ event, order: numbers.next().value as number }))
          .sort((a, b) => a.order - b.order)
          .map(({ event }) => event);
        await deliver(graph, room, shuffled);
        for (const { eventId } of events) {
          const [there, here] = [await elsewhere.graph.events.byId(eventId), await graph.events.byId(eventId)];
          assert.ok(there !== undefined && here !== undefined);
          assert.equal(
            isRejected(here),
            isRejected(there),
            `${here.pdu.type}: ${here.fault ?? 'accepted'} here, ${there.fault ?? 'accepted'} there`,
          );
          assert.deepEqual(
            await stateIds(graph, room, here.stateRoot as string),
            await stateIds(elsewhere.graph, started.room, there.stateRoot as string),
          );
        }
        const last = events.at(-1) as RoomEvent;
        const head = await graph.head(room);
        assert.deepEqual(
          head.extremities.map((event) => event.eventId),
          [last.eventId],
        );
        assert.deepEqual(
          await stateIds(graph, room, head.view.root),
          await stateIds(elsewhere.graph, started.room, last.stateRoot as string),
        );
      },
    );
    try {
      await fc.assert(property, { numRuns: 12 });
    } finally {
      await elsewhere.close();
    }
  });
}
