import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Type, compile } from './schema.ts';
import type { Schema, Static } from './schema.ts';

/** Compiles only where both types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_areSame: Same<A, B>): void => undefined;

const Everything = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 3, pattern: '^[a-z]+$' }),
  count: Type.Integer({ minimum: 0, maximum: 9 }),
  ratio: Type.Optional(Type.Number()),
  on: Type.Optional(Type.Boolean()),
  kind: Type.Optional(Type.Union([Type.Literal('a'), Type.Literal(2), Type.Null()])),
  list: Type.Optional(Type.Array(Type.Object({ id: Type.String() }), { minItems: 1, maxItems: 2 })),
  map: Type.Optional(Type.Record(Type.String(), Type.Record(Type.String(), Type.Integer()), { maxProperties: 2 })),
  any: Type.Optional(Type.Unknown()),
});

it('types are those of what is let through', () => {
  same<
    Static<typeof Everything>,
    {
      name: string;
      count: number;
      ratio?: number;
      on?: boolean;
      kind?: 'a' | 2 | null;
      list?: { id: string }[];
      map?: Record<string, Record<string, number>>;
      any?: unknown;
    }
  >(true);
  same<Static<Schema>, unknown>(true);
  same<Static<typeof Everything>, Record<string, unknown>>(false);
});

describe('a compiled schema', () => {
  const good = { name: 'abc', count: 9 };
  const firstOf = async (value: unknown): Promise<string | undefined> => {
    const checker = await compile(Everything);
    const [first] = checker.violations(value);
    assert.equal(checker.check(value), first === undefined);
    return first && `${first.instancePath} ${first.message}`;
  };

  it('lets through what fits, and keys that it does not know', async () => {
    for (const more of [
      {},
      { other: 1 },
      { kind: null },
      { kind: 2 },
      { list: [{ id: 'x', more: 1 }] },
      { map: { a: { b: 1 }, c: {} } },
      { any: [], on: false, ratio: 0.5 },
    ]) {
      assert.equal(await firstOf({ ...good, ...more }), undefined, JSON.stringify(more));
    }
  });

  for (const [wrong, violation] of [
    [[], ' must be object'],
    [{ count: 1 }, ' must have required properties name'],
    [{ ...good, name: '' }, '/name must not have fewer than 1 characters'],
    [{ ...good, name: 'abcd' }, '/name must not have more than 3 characters'],
    [{ ...good, name: 'A' }, '/name must match pattern "^[a-z]+$"'],
    [{ ...good, count: 1.5 }, '/count must be integer'],
    [{ ...good, count: -1 }, '/count must be >= 0'],
    [{ ...good, count: 10 }, '/count must be <= 9'],
    [{ ...good, ratio: '1' }, '/ratio must be number'],
    [{ ...good, on: 1 }, '/on must be boolean'],
    [{ ...good, kind: 'b' }, '/kind must be equal to constant'],
    [{ ...good, list: [] }, '/list must not have fewer than 1 items'],
    [{ ...good, list: [{}] }, '/list/0 must have required properties id'],
    [{ ...good, list: [{ id: '1' }, { id: '2' }, { id: '3' }] }, '/list must not have more than 2 items'],
    [{ ...good, map: { 'a\nb': { c: 'x' } } }, '/map/a\nb/c must be integer'],
    [{ ...good, map: { a: {}, b: {}, c: {} } }, '/map must not have more than 2 properties'],
  ] as const) {
    it(`says of ${JSON.stringify(wrong)}:${violation}`, async () => {
      assert.equal(await firstOf(wrong), violation);
    });
  }
});
