import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { jsonPieces } from '#src/protocol/json-pieces.ts';

const cut = (text: string): ReadonlyMap<string, string | readonly string[]> => {
  const cutting = jsonPieces(text);
  for (;;) {
    const step = cutting.next();
    if (step.done === true) return step.value;
  }
};

/** The object that the pieces make. */
const put = (text: string): unknown =>
  Object.fromEntries(
    [...cut(text)].map(([name, piece]) => [
      name,
      typeof piece === 'string' ? (JSON.parse(piece) as unknown) : piece.map((item) => JSON.parse(item) as unknown),
    ]),
  );

test('an object is the sum of its pieces, however it is written', () => {
  const value = fc.dictionary(fc.string(), fc.oneof(fc.array(fc.jsonValue()), fc.jsonValue()));
  fc.assert(
    fc.property(value, fc.constantFrom(undefined, 1, '\t', '\r\n '), (object, space) => {
      const text = JSON.stringify(object, undefined, space);
      assert.deepEqual(put(` ${text} `), Object.fromEntries(Object.entries(JSON.parse(text) as object)));
    }),
  );
});

test('quotes and brackets inside of strings end nothing', () => {
  const items = ['"', '\\', '\\"', '\\\\"]', '}', '{"a":[', '"]},'];
  const text = JSON.stringify({ list: items, '"]': { deep: [items, { [items.join()]: items }] }, last: null });
  assert.deepEqual(put(text), JSON.parse(text));
  assert.deepEqual(
    cut('{"a":[1 , [2],"3"],"a" : [ ] , "b":-1e5\n}'),
    new Map<string, string | string[]>([
      ['a', []],
      ['b', '-1e5'],
    ]),
  );
});

test('a large list is cut with pauses', () => {
  const item = 'x'.repeat(1000);
  const text = JSON.stringify({ list: Array.from({ length: 3500 }, () => item) });
  let pauses = 0;
  const cutting = jsonPieces(text);
  let step = cutting.next();
  for (; step.done !== true; step = cutting.next()) pauses += 1;
  assert.equal(pauses, 3);
  assert.equal(step.value.get('list')?.length, 3500);
});

test('what is no object, or ends too soon, is refused', () => {
  for (const text of [
    '',
    '[]',
    '"a"',
    '5',
    'null',
    '{',
    '{"a"',
    '{"a":',
    '{"a":[',
    '{"a":[1',
    '{"a":[1,',
    '{"a":{"b"}',
    '{"a":"b',
    '{"a":"\\"',
    '{a:1}',
    '{"\\x":1}',
    '{"a":1 "b":2}',
    '{"a" 1}',
  ])
    assert.throws(() => cut(text), { errcode: 'M_NOT_JSON' }, text);
});
