import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createChanges } from '#src/presence/changes.ts';

const changesAt = (startMs: number, maxEntries?: number) => {
  const time = { nowMs: startMs };
  return { time, changes: createChanges({ now: () => time.nowMs }, 100, maxEntries) };
};

test('a reader is told whose changes the rooms show, each once, and the own', () => {
  const { time, changes } = changesAt(5000);
  const concerning = (reader: number, rooms: number[], after: number, upTo = changes.position()): number[] | undefined => {
    const found = changes.concerning(reader, new Set(rooms), { after, upTo });
    return found && [...found].toSorted();
  };
  assert.equal(changes.position(), 100, 'nothing has happened since it was written');
  const first = changes.add(1, [10, 11], true);
  const second = changes.add(2, [11], true);
  assert.deepEqual([first, second], [5000, 5001], 'positions are milliseconds, and no two the same');
  time.nowMs = 7000;
  const third = changes.add(1, [10, 11], true);
  const fourth = changes.add(3, [12], false);
  assert.deepEqual([third, fourth], [7000, 7001]);
  assert.deepEqual(concerning(9, [11], 100), [1, 2]);
  assert.deepEqual(concerning(9, [10], first), [1]);
  assert.deepEqual(concerning(9, [10, 11], third), []);
  assert.deepEqual(concerning(9, [10, 11, 12], first, second), [2]);
  assert.deepEqual(concerning(2, [], 100), [2], 'who is in no room is told of nobody else');
  assert.deepEqual(concerning(3, [12], 100), [], 'coming into a room is no change of the own');
  assert.equal(concerning(9, [10], 99), undefined, 'memory does not reach back so far');
  time.nowMs = 3000;
  assert.equal(changes.add(4, [], true), 7002, 'a clock that goes back does not take positions back');
});

test('old changes are forgotten, and who needs them is told so', () => {
  const { time, changes } = changesAt(10_000, 10);
  const first = changes.add(1, [1, 2, 3], true);
  for (let n = 0; n < 5; n += 1) {
    time.nowMs += 1000;
    changes.add(2, [1], true);
  }
  assert.equal(changes.concerning(9, new Set([1]), { after: first - 1, upTo: changes.position() }), undefined);
  assert.equal(changes.reachesBackTo(), first);
  assert.deepEqual([...(changes.concerning(9, new Set([1]), { after: first, upTo: changes.position() }) ?? [])], [2]);
  for (let n = 0; n < 1000; n += 1) {
    time.nowMs += 1000;
    changes.add(2, [], false);
  }
  assert.ok(changes.reachesBackTo() > first + 300_000);
});
