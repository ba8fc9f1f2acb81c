import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRecentRows } from '#src/platform/streams/recent-rows.ts';

test('rows are given as far back as they are remembered', () => {
  const recent = createRecentRows(10, 3);
  const positions = (after: number, upTo: number): number[] | undefined => recent.between(after, upTo)?.map((row) => row.position);
  assert.deepEqual(positions(10, 20), []);
  assert.equal(positions(9, 20), undefined);
  for (let position = 11; position <= 15; position++) recent.note({ position });
  assert.deepEqual(positions(12, 14), [13, 14]);
  assert.deepEqual(positions(10, 11), [11]);
  recent.note({ position: 16 });
  assert.deepEqual(positions(13, 99), [14, 15, 16]);
  assert.equal(positions(12, 99), undefined);
});
