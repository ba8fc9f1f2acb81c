import type { Place } from '#src/platform/config/place.ts';
import { parseDuration, parseSize } from '#src/platform/config/units.ts';

/** What `read` answers for a value that it has reported; the key then counts as unset. */
export const INVALID = Symbol('invalid');
export type Result<T> = T | typeof INVALID;

/** A kind of value: what a key takes, and what it is when nobody sets it. */
export interface Kind<T> {
  /** What is allowed, as faults and the manual put it: "must be …". */
  readonly rule: string;
  /** The value when the key is absent. For a required key, a placeholder. */
  readonly unset: T;
  /** The default as YAML, for the manual and the sample. */
  readonly shown: string;
  readonly required?: boolean;
  /** An explicit `null` means "none" instead of "the default". */
  readonly nullable?: boolean;
  /** The keys inside, where the value is a block, or a list or map of blocks. */
  readonly children?: Keys;
  /** How the manual writes the way to `children`: `.`, `[].` or `.<name>.`. */
  readonly step?: string;
  readonly read: (raw: unknown, place: Place) => Result<T>;
}

/** One key of the configuration: everything that is known about it. */
export interface Key<T = unknown> {
  readonly kind: Kind<T>;
  /** A sentence or two for the manual. */
  readonly text: string;
  /** Whether Myelin does what the key says. On a block, vouches for everything inside. */
  readonly acts: boolean;
}

export type Keys = Readonly<Record<string, Key>>;
export type ValueOf<K> = K extends Key<infer T> ? T : never;
export type ValuesOf<K extends Keys> = { readonly [Name in keyof K]: ValueOf<K[Name]> };

/** Declares a key: its kind with its default, its sentence in the manual, and whether Myelin acts on it yet. */
export const key = <T>(kind: Kind<T>, text: string, options: { readonly acts?: boolean } = {}): Key<T> => ({
  kind,
  text,
  acts: options.acts ?? false,
});

/** A default in YAML's flow style. */
export const show = (value: unknown): string => {
  if (value === undefined || value === null) return 'null';
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`;
  if (typeof value === 'object') {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    return `{${entries.map(([name, item]) => `${name}: ${show(item)}`).join(', ')}}`;
  }
  if (typeof value === 'string')
    return /^[A-Za-z][\w ./-]*$/u.test(value) && !/^(?:[yn]|yes|no|on|off|true|false|null)$/iu.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(value);
};

/** A kind whose default may be left out: then the value is `undefined` until somebody sets it. */
interface Maker<T> {
  (): Kind<T | undefined>;
  (unset: T): Kind<T>;
}

const kind = <T>(rule: string, unset: T, read: Kind<T>['read'], more: Partial<Kind<T>> = {}): Kind<T> => ({
  rule,
  unset,
  shown: show(unset),
  read,
  ...more,
});

/** A kind that is right when `accept` says so. */
const simple = <T>(rule: string, accept: (raw: unknown, place: Place) => T | undefined): Maker<T> => {
  const read = (raw: unknown, place: Place): Result<T> => {
    const value = accept(raw, place);
    if (value !== undefined) return value;
    place.fault(raw, rule);
    return INVALID;
  };
  return ((unset?: T) => kind<T | undefined>(rule, unset, read)) as Maker<T>;
};

export const boolean = simple('true or false', (raw) => (typeof raw === 'boolean' ? raw : undefined));

const TRUTHS: Readonly<Record<string, boolean>> = {
  ...Object.fromEntries(['y', 'yes', 't', 'true', 'on', '1'].map((word) => [word, true])),
  ...Object.fromEntries(['n', 'no', 'f', 'false', 'off', '0'].map((word) => [word, false])),
};

/** A boolean that Synapse also takes as a word in quotes. */
export const booleanOrWord = simple('true or false', (raw) => (typeof raw === 'boolean' ? raw : TRUTHS[String(raw).toLowerCase()]));

interface Bounds {
  readonly min?: number;
  readonly max?: number;
}

const numeric =
  (noun: string, fits: (raw: number) => boolean) =>
  <T extends number | undefined>(unset: T, bounds: Bounds): Kind<T> => {
    const { min = 0, max } = bounds;
    const range = max === undefined ? (min === -Infinity ? '' : ` of at least ${String(min)}`) : ` from ${String(min)} to ${String(max)}`;
    const accept = (raw: unknown): number | undefined =>
      typeof raw === 'number' && fits(raw) && raw >= min && raw <= (max ?? Infinity) ? raw : undefined;
    const { rule, read } = simple(noun + range, accept)();
    return kind(rule, unset, read as Kind<T>['read']);
  };

interface NumberMaker {
  (unset?: undefined, bounds?: Bounds): Kind<number | undefined>;
  (unset: number, bounds?: Bounds): Kind<number>;
}

const makeInteger = numeric('a whole number', Number.isSafeInteger);
const makeNumber = numeric('a number', Number.isFinite);
/** A whole number, at least 0 unless the bounds say otherwise. */
export const integer = ((unset?: number, bounds: Bounds = {}) => makeInteger(unset, bounds)) as NumberMaker;
/** A number, at least 0 unless the bounds say otherwise. */
export const number = ((unset?: number, bounds: Bounds = {}) => makeNumber(unset, bounds)) as NumberMaker;

/** Text. What was found instead is not shown when it is a scalar: it may be a mistyped secret. */
export const string: Maker<string> = ((unset?: string) =>
  kind<string | undefined>('text', unset, (raw, place) => {
    if (typeof raw === 'string') return raw;
    place.refuse(
      `found ${Array.isArray(raw) ? 'a list' : `a ${typeof raw === 'object' ? 'map' : typeof raw}`}; must be text${typeof raw === 'object' ? '' : ' (put it in quotes)'}`,
    );
    return INVALID;
  })) as Maker<string>;

/** Text that is often written like a number (a version); the number's own spelling is kept. */
export const text = simple<string>('text', (raw, place) =>
  typeof raw === 'string' ? raw : typeof raw === 'number' ? (place.source() ?? String(raw)) : undefined,
);

/** A file or folder; relative ones are taken from the working directory. */
export const path = simple<string>('a path', (raw, place) => (typeof raw === 'string' && raw !== '' ? place.resolve(raw) : undefined));

export const url = simple<string>('a URL that starts with http:// or https://', (raw) =>
  typeof raw === 'string' && /^https?:\/\/[^/?#]/u.test(raw) && URL.canParse(raw) ? raw : undefined,
);

export const mxc = simple<string>('an mxc:// URI', (raw) =>
  typeof raw === 'string' && /^mxc:\/\/[^/]+\/[\w-]+$/u.test(raw) ? raw : undefined,
);

interface UnitMaker {
  (): Kind<number | undefined>;
  (unset: string): Kind<number>;
}

const withUnit = (rule: string, parse: (raw: unknown) => number | undefined): UnitMaker => {
  const make = simple(rule, (raw) => {
    const value = parse(raw);
    return value !== undefined && value >= 0 ? value : undefined;
  });
  return ((unset?: string) => ({ ...make(), unset: parse(unset), shown: unset ?? 'null' })) as UnitMaker;
};

/** A time span, kept in milliseconds; the default is given as text (`'5m'`). */
export const duration = withUnit('a duration such as 500 (milliseconds), 30s, 5m, 1h, 7d, 2w or 1y', parseDuration);

/** A number of bytes (or of things counted in 1024s); the default is given as text (`'50M'`). */
export const size = withUnit('a size such as 1024, 10K, 50M or 1G', parseSize);

interface ChoiceMaker {
  <const T extends string>(options: readonly T[]): Kind<T | undefined>;
  <const T extends string>(options: readonly T[], unset: NoInfer<T>): Kind<T>;
}

/** One of a few words. */
export const oneOf = ((options: readonly string[], unset?: string) => {
  const make = simple(`one of ${options.join(', ')}`, (raw) => options.find((option) => option === raw));
  return unset === undefined ? make() : make(unset);
}) as ChoiceMaker;

/** A kind of one's own: `accept` answers `undefined` for what is not allowed. */
export const custom = <T, U extends T | undefined>(
  rule: string,
  unset: U,
  accept: (raw: unknown, place: Place) => T | undefined,
): Kind<T | U> => kind<T | U>(rule, unset, simple(rule, accept)().read as Kind<T | U>['read']);

/** Whatever YAML can hold; for settings that somebody else understands. */
export const anything = (): Kind<unknown> => kind<unknown>('anything', undefined, (raw) => raw);

/** `null` in the file means "none" and not "the default". */
export const nullable = <T>(inner: Kind<T>): Kind<T | undefined> => ({ ...inner, rule: `${inner.rule}, or null`, nullable: true });

/** The key must be set; the inner kind's default is only its placeholder in the sample. */
export const required = <T>(inner: Kind<T>): Kind<Exclude<T, undefined>> => ({ ...inner, required: true }) as Kind<Exclude<T, undefined>>;

/** A key that Synapse once had and ignores today. */
export const ignored = (why: string): Kind<undefined> =>
  kind<undefined>('left out', undefined, (_raw, place) => {
    place.warn(`has no effect: ${why}`);
    return undefined;
  });

/** A key that stops the start; `why` names the way out. */
export const refused = (why: string): Kind<undefined> =>
  kind<undefined>('left out', undefined, (_raw, place) => {
    place.refuse(why);
    return INVALID;
  });
