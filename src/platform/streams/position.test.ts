import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { StreamPosition } from '#src/platform/database/types.ts';
import { advanceWriter, format, includes, isAtLeast, maximum, minimumOf, of, parse, stepTowards } from '#src/platform/streams/position.ts';

const names = ['master', 'events_1', 'a.b~c', 'ü %2'];
const anyWriter = fc.constantFrom(...names, 'somebody else');
const anyPosition: fc.Arbitrary<StreamPosition> = fc
  .record({ min: fc.nat(50), ahead: fc.dictionary(fc.constantFrom(...names), fc.nat(100)) })
  .map(({ min, ahead }) => ({ min, ahead: new Map(Object.entries(ahead).filter(([, n]) => n > min)) }));

void test('a maximum includes what either includes, a minimum what both include, for every writer', () => {
  fc.assert(
    fc.property(anyPosition, anyPosition, anyWriter, fc.nat(110), (a, b, writer, n) => {
      assert.equal(includes(maximum(a, b), writer, n), includes(a, writer, n) || includes(b, writer, n));
      assert.equal(includes(minimumOf([a, b]), writer, n), includes(a, writer, n) && includes(b, writer, n));
    }),
  );
});

void test('isAtLeast is the order that maximum and minimum belong to', () => {
  fc.assert(
    fc.property(anyPosition, anyPosition, (a, b) => {
      assert.ok(isAtLeast(maximum(a, b), a));
      assert.ok(isAtLeast(a, minimumOf([a, b])));
      assert.equal(isAtLeast(a, b), format(maximum(a, b)) === format(a));
    }),
  );
});

void test('a writer advances alone and never backwards', () => {
  fc.assert(
    fc.property(anyPosition, anyWriter, anyWriter, fc.nat(110), (position, writer, other, n) => {
      const moved = advanceWriter(position, writer, n);
      assert.equal(of(moved, writer), Math.max(of(position, writer), n));
      if (other !== writer) assert.equal(of(moved, other), of(position, other));
    }),
  );
});

void test('steps are bounded, and lead to the goal', () => {
  fc.assert(
    fc.property(anyPosition, anyPosition, fc.integer({ min: 1, max: 20 }), (a, b, count) => {
      const goal = maximum(a, b);
      let at = a;
      for (let steps = 0; !isAtLeast(at, goal); steps += 1) {
        assert.ok(steps <= 51);
        const next = stepTowards(at, goal, count);
        assert.ok(next.min - at.min <= count);
        assert.ok(isAtLeast(next, at));
        assert.ok(isAtLeast(goal, next));
        at = next;
      }
    }),
  );
});

void test('what is formatted can be parsed, and fits into a token', () => {
  fc.assert(
    fc.property(anyPosition, (position) => {
      const text = format(position);
      assert.deepEqual(parse(text), position);
      assert.match(text, /^[A-Za-z0-9.~%-]+$/);
    }),
  );
  assert.equal(format({ min: 12, ahead: new Map([['events', 15]]) }), 'm12~events.15');
  assert.equal(format({ min: 123, ahead: new Map() }), '123');
});

void test('anything else is no position', () => {
  for (const text of [
    '',
    'm',
    '-1',
    '1.5',
    'm1~',
    'm1~a',
    'm1~.5',
    'm1~a.x',
    'm1~%zz.3',
    'm1~%FF.3',
    '12345678901234567890',
    ' 1',
    '1e3',
  ]) {
    assert.equal(parse(text), undefined, text);
  }
  assert.deepEqual(parse('m5~3.7~4.2'), { min: 5, ahead: new Map([['3', 7]]) }, "Synapse's numbered writers");
});
