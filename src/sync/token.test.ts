import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatToken, parseToken } from '#src/sync/token.ts';

test('a token is read as it was written', () => {
  const places = { typing: { epoch: 'aBc', position: 4 }, receipts: { epoch: undefined, position: 9 } };
  const text = formatToken({ events: 123, places });
  assert.equal(text, 's123_0_aBc.4_9_0_0_0_0_0_0');
  const read = parseToken(text);
  assert.equal(read.events, 123);
  assert.deepEqual(read.places.typing, places.typing);
  assert.deepEqual(read.places.receipts, places.receipts);
  assert.equal(formatToken(read), text);
});

test("Synapse's tokens keep their meaning", () => {
  const token = parseToken('s2633508_17_338_6732159_1082514_541479_274711_265584_1_379');
  assert.equal(token.events, 2633508);
  assert.deepEqual(token.places.accountData, { epoch: undefined, position: 1082514 });
  assert.deepEqual(token.places.unPartialStated, { epoch: undefined, position: 379 });
  // Older ones had fewer parts, newer ones have more.
  assert.equal(parseToken('s5_1_2_3_4_5_6_7_8').events, 5);
  assert.equal(parseToken('s5_1_2_3_4_5_6_7_8_9_10_11_12').places.unPartialStated?.position, 9);
  // Several writers; a place in a room's order.
  assert.equal(parseToken('m100~1.105~3.120_1_2_m7~2.9_4_5_6_7_8_9').events, 100);
  assert.equal(parseToken('m100~1.105~3.120_1_2_m7~2.9_4_5_6_7_8_9').places.receipts?.position, 7);
  assert.equal(parseToken('t426-2633508_17_338').events, 2633508);
});

test('what is no token is refused', () => {
  for (const text of [
    '',
    'nonsense',
    's',
    's-1_0',
    's1_x',
    's1__2',
    's99999999999999999999',
    's1_a.b',
    `s1_${'1'.repeat(2000)}`,
    'S1',
    's1_%00',
  ]) {
    assert.throws(() => parseToken(text), { errcode: 'M_UNKNOWN', status: 400 }, text);
  }
});
