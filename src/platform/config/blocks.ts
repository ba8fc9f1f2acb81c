import {
  INVALID,
  integer,
  key,
  number,
  show,
  type Key,
  type Keys,
  type Kind,
  type Result,
  type ValuesOf,
} from '#src/platform/config/kinds.ts';
import { nearest } from '#src/platform/config/nearest.ts';
import type { Place } from '#src/platform/config/place.ts';

export type RawMap = Readonly<Record<string, unknown>>;

export const isMap = (raw: unknown): raw is RawMap =>
  typeof raw === 'object' && raw !== null && !Array.isArray(raw) && !(raw instanceof Uint8Array);

/** Whether Myelin acts on a key, or on something inside it. */
export const actsSomewhere = (entry: Key): boolean => entry.acts || Object.values(entry.kind.children ?? {}).some(actsSomewhere);

/** What every key is when nobody sets anything. */
export const unsetValues = <K extends Keys>(keys: K): ValuesOf<K> =>
  Object.fromEntries(Object.entries(keys).map(([name, entry]) => [name, entry.kind.unset])) as ValuesOf<K>;

const readOne = (entry: Key, raw: unknown, place: Place): Result<unknown> => {
  const { kind } = entry;
  if (raw === undefined || (raw === null && kind.nullable !== true)) {
    if (kind.required !== true) return kind.unset;
    place.refuse(`is missing; must be ${kind.rule}`);
    return INVALID;
  }
  if (raw === null) return undefined;
  const known = kind.rule === 'left out' || actsSomewhere(entry);
  if (!known) place.notActedOn();
  return kind.read(raw, known && !entry.acts ? place : place.quiet());
};

export interface ReadKeys<K extends Keys> {
  readonly values: ValuesOf<K>;
  /** False when a required key was missing or wrong. */
  readonly complete: boolean;
  readonly unknown: readonly string[];
}

/** Reads every known key of a map; what is wrong is reported at its place, and the key then has its default. */
export const readKeys = <K extends Keys>(keys: K, raw: RawMap, place: Place): ReadKeys<K> => {
  let complete = true;
  const values: Record<string, unknown> = {};
  for (const [name, entry] of Object.entries(keys)) {
    const value = readOne(entry, Object.hasOwn(raw, name) ? raw[name] : undefined, place.child(name));
    if (value === INVALID && entry.kind.required === true) complete = false;
    values[name] = value === INVALID ? entry.kind.unset : value;
  }
  return { values: values as ValuesOf<K>, complete, unknown: Object.keys(raw).filter((name) => !Object.hasOwn(keys, name)) };
};

/** "no such key", with the name that was probably meant. */
export const unknownKey = (name: string, keys: Keys): string => {
  const guess = nearest(name, Object.keys(keys));
  return guess === undefined ? 'there is no such key' : `there is no such key; did you mean ${guess}?`;
};

/** `strict` blocks refuse unknown keys, as Synapse does for them; in the others a warning is enough. */
export const block = <K extends Keys>(keys: K, options: { readonly strict?: boolean } = {}): Kind<ValuesOf<K>> => ({
  rule: 'a map',
  unset: unsetValues(keys),
  shown: '',
  children: keys,
  step: '.',
  read: (raw, place) => {
    if (!isMap(raw)) {
      place.fault(raw, 'a map');
      return INVALID;
    }
    const { values, complete, unknown } = readKeys(keys, raw, place);
    for (const name of unknown) {
      if (options.strict === true) place.child(name).refuse(unknownKey(name, keys));
      else place.child(name).warn(unknownKey(name, keys));
    }
    return complete ? values : INVALID;
  },
});

/** A block that also takes other keys, which it keeps in `rest`. */
export const openBlock = <K extends Keys>(keys: K): Kind<ValuesOf<K> & { readonly rest: RawMap }> => ({
  ...block(keys),
  unset: { ...unsetValues(keys), rest: {} },
  read: (raw, place) => {
    if (!isMap(raw)) {
      place.fault(raw, 'a map');
      return INVALID;
    }
    const { values, complete, unknown } = readKeys(keys, raw, place);
    return complete ? { ...values, rest: Object.fromEntries(unknown.map((name) => [name, raw[name]])) } : INVALID;
  },
});

/** A block that is `undefined` when it is absent, instead of being made of defaults. */
export const optional = <T>(inner: Kind<T>): Kind<T | undefined> => ({ ...inner, unset: undefined, shown: 'null' });

export const list = <T>(item: Kind<T>, unset: readonly Exclude<T, undefined>[] = []): Kind<readonly Exclude<T, undefined>[]> => ({
  rule: item.children === undefined ? `a list; each item ${item.rule}` : 'a list of maps',
  unset,
  shown: show(unset),
  ...(item.children === undefined ? {} : { children: item.children, step: '[].' }),
  read: (raw, place) => {
    if (!Array.isArray(raw)) {
      place.fault(raw, item.children === undefined ? 'a list' : 'a list of maps');
      return INVALID;
    }
    const items = raw.map((value: unknown, index): Result<T> => {
      if (value !== null) return item.read(value, place.child(index));
      place.child(index).fault(value, item.rule);
      return INVALID;
    });
    return items.filter((value): value is Exclude<T, undefined> => value !== INVALID && value !== undefined);
  },
});

/** A map from names that the operator chooses. */
export const mapOf = <T>(item: Kind<T>): Kind<Readonly<Record<string, Exclude<T, undefined>>>> => ({
  rule: item.children === undefined ? `a map; each value ${item.rule}` : 'a map of maps',
  unset: {},
  shown: '{}',
  ...(item.children === undefined ? {} : { children: item.children, step: '.<name>.' }),
  read: (raw, place) => {
    if (!isMap(raw)) {
      place.fault(raw, 'a map');
      return INVALID;
    }
    const read = Object.entries(raw).map(([name, value]): [string, Result<T>] => {
      if (value !== null && value !== undefined) return [name, item.read(value, place.child(name))];
      if (item.nullable === true) return [name, INVALID];
      place.child(name).fault(value, item.rule);
      return [name, INVALID];
    });
    return Object.fromEntries(read.filter((pair): pair is [string, Exclude<T, undefined>] => pair[1] !== INVALID && pair[1] !== undefined));
  },
});

export interface RateLimit {
  /** Tokens that come back each second. */
  readonly per_second: number;
  /** How many may be spent at once. */
  readonly burst_count: number;
}

/** A rate limit: so many a second after a burst of so many. */
export const rate = (perSecond: number, burstCount: number): Kind<RateLimit> => {
  const { unset, read } = block({
    per_second: key(number(perSecond), 'How many a second are allowed in the long run.'),
    burst_count: key(integer(burstCount), 'How many are allowed at once before that.'),
  });
  return { rule: 'a map with per_second and burst_count', unset, shown: show(unset), read };
};
