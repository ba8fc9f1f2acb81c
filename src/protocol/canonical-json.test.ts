import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  canonicalFault,
  canonicalJson,
  canonicalMember,
  canonicalMembers,
  compareCodePoints,
  joinMembers,
  MAX_JSON_DEPTH,
  withMember,
} from '#src/protocol/canonical-json.ts';
import type { JsonValue } from '#src/protocol/json.ts';

const text = fc.string({ unit: 'binary' });
const { value: jsonValue } = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    text,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(text, tie('value'), { maxKeys: 4 }),
  ),
}));

const nested = (depth: number): JsonValue => (depth === 0 ? 1 : [nested(depth - 1)]);

describe('canonical JSON', () => {
  const examples: [source: string, canonical: string][] = [
    ['{}', '{}'],
    ['{"one": 1, "two": "Two"}', '{"one":1,"two":"Two"}'],
    ['{"b": "2", "a": "1"}', '{"a":"1","b":"2"}'],
    [
      '{"auth": {"success": true, "mxid": "@john.doe:example.com", "profile": {"display_name": "John Doe", "three_pids": [{"medium": "email", "address": "john.doe@example.org"}, {"medium": "msisdn", "address": "123456789"}]}}}',
      '{"auth":{"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe","three_pids":[{"address":"john.doe@example.org","medium":"email"},{"address":"123456789","medium":"msisdn"}]},"success":true}}',
    ],
    ['{"a": "日本語"}', '{"a":"日本語"}'],
    ['{"本": 2, "日": 1}', '{"日":1,"本":2}'],
    ['{"a": "\\u65E5"}', '{"a":"日"}'],
    ['{"a": null}', '{"a":null}'],
    ['{"a": -0, "b": 1e10}', '{"a":0,"b":10000000000}'],
  ];
  for (const [source, canonical] of examples) {
    it(`encodes the specification's example ${canonical.slice(0, 40)}`, () => {
      assert.equal(canonicalJson(JSON.parse(source) as JsonValue), canonical);
    });
  }

  it('orders keys by code point, not by UTF-16 unit', () => {
    assert.equal(canonicalJson({ '\u{1f600}': 1, '\ufb01': 2, a: 3 }), '{"a":3,"\ufb01":2,"\u{1f600}":1}');
  });

  it('orders keys that look like indexes as texts', () => {
    assert.equal(canonicalJson({ 9: 1, 10: 2, a: 3 }), '{"10":2,"9":1,"a":3}');
  });

  it('escapes control characters, quotation marks and backslashes only', () => {
    const all = '\0\x01\b\t\n\v\f\r\x1f"\\/\x7f\u2028é';
    assert.equal(canonicalJson(all), '"\\u0000\\u0001\\b\\t\\n\\u000b\\f\\r\\u001f\\"\\\\/\x7f\u2028é"');
  });

  it('keeps a key called __proto__', () => {
    assert.equal(canonicalJson(JSON.parse('{"b":1,"__proto__":{"a":2}}') as JsonValue), '{"__proto__":{"a":2},"b":1}');
  });

  const faults: [what: string, value: unknown, sentence: RegExp][] = [
    ['a float', { content: { levels: [1, 2, 1.5] } }, /^content\.levels\[2\]: 1\.5 is not an integer/],
    ['an integer beyond 2^53', { a: 2 ** 53 }, /^a: 9007199254740992 is not an integer/],
    ['a negative integer beyond 2^53', { a: -(2 ** 53) }, /^a: -9007199254740992 is not an integer/],
    ['infinity', [Number.POSITIVE_INFINITY], /^\[0\]: Infinity is not/],
    ['a lone surrogate', { a: 'x\ud800' }, /^a: the text has a lone surrogate/],
    ['a key with a lone surrogate', { a: { '\udc00': 1 } }, /^a: a key has a lone surrogate/],
    ['undefined', { a: undefined }, /^a: not a JSON value/],
    ['a bigint', 1n, /^The value: not a JSON value/],
    ['deep nesting', nested(MAX_JSON_DEPTH + 1), /nested more than 500 levels/],
    ['nesting that would exhaust the stack', JSON.parse('['.repeat(60_000) + ']'.repeat(60_000)), /nested more than 500 levels/],
  ];
  for (const [what, value, sentence] of faults) {
    it(`refuses ${what} with its path`, () => {
      assert.throws(
        () => canonicalJson(value as JsonValue),
        (error: { errcode: string; message: string }) => {
          assert.equal(error.errcode, 'M_BAD_JSON');
          assert.match(error.message, sentence);
          return true;
        },
      );
      assert.match(canonicalFault(value) ?? '', sentence);
    });
  }

  it('allows nesting up to the limit and the largest integers', () => {
    assert.equal(canonicalJson(nested(MAX_JSON_DEPTH)).length, 2 * MAX_JSON_DEPTH + 1);
    assert.equal(canonicalJson([2 ** 53 - 1, -(2 ** 53) + 1]), '[9007199254740991,-9007199254740991]');
    assert.equal(canonicalFault({ a: [null, true, 'x', 2 ** 53 - 1] }), undefined);
  });

  it('names the key in a fault below a member', () => {
    assert.throws(() => canonicalMember('content', { a: 0.5 }), /content\.a: 0\.5/);
    assert.throws(() => canonicalMembers({ content: { a: 0.5 } }), /content\.a: 0\.5/);
  });

  it('survives a round trip and is a fixed point', () => {
    fc.assert(
      fc.property(jsonValue, (value) => {
        const canonical = canonicalJson(value);
        const again = JSON.parse(canonical) as JsonValue;
        assert.equal(JSON.stringify(sortLike(again)), JSON.stringify(sortLike(value)));
        assert.equal(canonicalJson(again), canonical);
      }),
    );
  });

  it('does not depend on the order of keys', () => {
    fc.assert(
      fc.property(fc.uniqueArray(text, { maxLength: 8 }), fc.infiniteStream(fc.nat()), (keys, numbers) => {
        const entries = keys.map((key): [string, number] => [key, numbers.next().value]);
        assert.equal(canonicalJson(Object.fromEntries(entries)), canonicalJson(Object.fromEntries(entries.toReversed())));
      }),
    );
  });

  it('orders as UTF-8 bytes do', () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        assert.equal(Math.sign(compareCodePoints(a, b)), Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))));
      }),
    );
  });
});

/** The value with keys in one order and without negative zero, so that two values can be compared as texts. */
const sortLike = (value: JsonValue): JsonValue => {
  if (Array.isArray(value)) return (value as readonly JsonValue[]).map(sortLike);
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, sortLike(item)]);
  }
  return value === 0 ? 0 : value;
};

describe('canonical members', () => {
  it('join to the canonical JSON of the object', () => {
    fc.assert(
      fc.property(fc.dictionary(text, jsonValue, { maxKeys: 6 }), (object) => {
        assert.equal(joinMembers(canonicalMembers(object)), canonicalJson(object));
      }),
    );
  });

  it('take one more in its place', () => {
    fc.assert(
      fc.property(fc.dictionary(text, fc.nat(), { maxKeys: 6 }), text, (object, key) => {
        const members = withMember(canonicalMembers(object), canonicalMember(key, 'new'));
        assert.equal(joinMembers(members), canonicalJson(Object.fromEntries([...Object.entries(object), [key, 'new']])));
      }),
    );
  });
});
