import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comparePoints, formatPoint, parseHistoryToken } from '#src/rooms/history/tokens.ts';

test('places in history are read as they were written', () => {
  for (const point of [
    { depth: 0, position: 0 },
    { depth: 47429, position: 4392820 },
    { depth: 5, position: -3 },
  ]) {
    assert.deepEqual(parseHistoryToken(formatPoint(point), 'from'), { point });
  }
});

test("tokens of /sync and Synapse's longer ones are places too", () => {
  assert.deepEqual(parseHistoryToken('s345_678_333', 'from'), { streamPosition: 345 });
  assert.deepEqual(parseHistoryToken('s7_0_aBc.4_0_0_0_0_0_0_0', 'from'), { streamPosition: 7 });
  assert.deepEqual(parseHistoryToken('m10~1.12~2.15_3', 'from'), { streamPosition: 10 });
  assert.deepEqual(parseHistoryToken('t47429-4392820_219380_26003_2265', 'from'), { point: { depth: 47429, position: 4392820 } });
});

test('anything else is refused', () => {
  for (const text of ['', 'x', 's', 't5', 't-5-3', 's1x', 't1-1-1', 's99999999999999999999', '%00', 'END ']) {
    assert.throws(() => parseHistoryToken(text, 'from'), { errcode: 'M_INVALID_PARAM' }, text);
  }
});

test('places are ordered by depth, then position', () => {
  assert.ok(comparePoints({ depth: 1, position: 9 }, { depth: 2, position: 1 }) < 0);
  assert.ok(comparePoints({ depth: 2, position: 3 }, { depth: 2, position: 1 }) > 0);
  assert.equal(comparePoints({ depth: 2, position: 3 }, { depth: 2, position: 3 }), 0);
});
