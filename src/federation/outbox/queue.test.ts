import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { add, closeGap, createQueue, fallBehind, noteRoom, type Queue, unnoteRoom, unsettled } from '#src/federation/outbox/queue.ts';
import { createTurns } from '#src/platform/jobs/turns.ts';

/** What the server would be sent after a crash: all after the position that is saved, and all after those noted of rooms. */
interface Stored {
  done: number;
  readonly rooms: Map<number, number>;
}

type Step =
  | { readonly kind: 'event'; readonly roomNum: number }
  | { readonly kind: 'sent'; readonly count: number }
  | { readonly kind: 'behind' | 'settle' | 'settle in vain' | 'caught up' }
  | { readonly kind: 'time'; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('event' as const), roomNum: fc.integer({ min: 1, max: 3 }) }) },
  fc.record({ kind: fc.constant('sent' as const), count: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ kind: fc.constantFrom('behind' as const, 'settle' as const, 'settle in vain' as const, 'caught up' as const) }),
  fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 0, max: 10 }) }),
);

const settle = (queue: Queue, stored: Stored, { position, nowMs, works }: { position: number; nowMs: number; works: boolean }): void => {
  const { notes, oldest } = unsettled(queue, nowMs - 5);
  for (const { roomNum } of notes) noteRoom(queue, roomNum);
  if (!works) {
    for (const { roomNum } of notes) unnoteRoom(queue, roomNum);
    return;
  }
  for (const { roomNum, from } of notes) stored.rooms.set(roomNum, from);
  stored.done = Math.min(position, (oldest ?? Infinity) - 1);
};

const forget = (queue: Queue, stored: Stored): void => {
  if (queue.events.length > 0) return;
  for (const roomNum of queue.noted) {
    if (queue.gaps.has(roomNum)) continue;
    queue.noted.delete(roomNum);
    stored.rooms.delete(roomNum);
  }
};

void test('whenever the server stops, what has not been sent is found again', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = createQueue('peer.example');
      const stored: Stored = { done: 0, rooms: new Map() };
      const unsent = new Map<number, { roomNum: number }>();
      let [position, nowMs] = [0, 0];
      for (const each of steps) {
        if (each.kind === 'event') {
          position += 1;
          unsent.set(position, { roomNum: each.roomNum });
          add(queue, { num: position, roomNum: each.roomNum, position, sinceMs: nowMs });
        } else if (each.kind === 'sent') {
          for (const event of queue.events.splice(0, each.count)) unsent.delete(event.position);
          forget(queue, stored);
        } else if (each.kind === 'behind') {
          fallBehind(queue);
        } else if (each.kind === 'caught up') {
          for (const [roomNum, { last }] of queue.gaps) closeGap(queue, roomNum, last);
          for (const at of unsent.keys()) if (!queue.events.some((event) => event.position === at)) unsent.delete(at);
          forget(queue, stored);
        } else if (each.kind === 'time') {
          nowMs += each.ms;
        } else {
          settle(queue, stored, { position, nowMs, works: each.kind === 'settle' });
        }
        for (const [at, { roomNum }] of unsent) {
          assert.ok(at > stored.done || (stored.rooms.get(roomNum) ?? Infinity) <= at, `event ${String(at)} would be lost`);
          assert.ok(queue.events.some((event) => event.position === at) || (queue.gaps.get(roomNum)?.last ?? 0) >= at);
        }
      }
    }),
  );
});

void test('turns are taken in order, so many at once, and once by each', async () => {
  const [started, ends]: [string[], (() => void)[]] = [[], []];
  const turns = createTurns<string>(2, async (key) => {
    started.push(key);
    await new Promise<void>((resolve) => ends.push(resolve));
  });
  assert.deepEqual(
    ['a', 'b', 'c', 'c', 'a', 'd'].map((key) => turns.take(key)),
    [true, true, true, false, false, true],
  );
  assert.deepEqual(started, ['a', 'b']);
  ends[1]?.();
  await new Promise(setImmediate);
  assert.deepEqual(started, ['a', 'b', 'c']);
  const stopping = turns.stop();
  for (const end of ends) end();
  await stopping;
  assert.deepEqual(started, ['a', 'b', 'c'], 'those that waited are forgotten');
});
