/** A JSON Schema together with the TypeScript type of what it lets through. */
export interface Schema<T = unknown> {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  /** A property, or a whole body, that may be missing. */
  readonly isOptional?: boolean;
  /** Never there; carries the type. */
  readonly [STATIC]?: T;
}

declare const STATIC: unique symbol;

interface OptionalSchema<T> extends Schema<T> {
  readonly isOptional: true;
}

/** The TypeScript type of what a schema lets through. */
export type Static<S extends Schema> = S extends Schema<infer T> ? T : never;

type Properties = Readonly<Record<string, Schema>>;
type OptionalKey<P extends Properties> = { [K in keyof P]: P[K] extends { readonly isOptional: true } ? K : never }[keyof P];
type ObjectOf<P extends Properties> = { [K in Exclude<keyof P, OptionalKey<P>>]: Static<P[K]> } & {
  [K in OptionalKey<P>]?: Static<P[K]>;
};
type Flat<T> = { [K in keyof T]: T[K] };

interface StringOptions {
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
}

interface NumberOptions {
  readonly minimum?: number;
  readonly maximum?: number;
}

/**
 * Declares schemas; each is nothing but a JSON Schema object, so that declaring costs nothing at the start. Unknown keys of objects are allowed.
 */
export const Type = {
  Unknown: (): Schema => ({}),
  Null: (): Schema<null> => ({ type: 'null' }),
  Boolean: (): Schema<boolean> => ({ type: 'boolean' }),
  Number: (options: NumberOptions = {}): Schema<number> => ({ type: 'number', ...options }),
  Integer: (options: NumberOptions = {}): Schema<number> => ({ type: 'integer', ...options }),
  String: (options: StringOptions = {}): Schema<string> => ({ type: 'string', ...options }),
  Literal: <const T extends string | number | boolean>(value: T): Schema<T> => ({ const: value }) as Schema<T>,
  Array: <S extends Schema>(items: S, options: { readonly minItems?: number; readonly maxItems?: number } = {}): Schema<Static<S>[]> => ({
    type: 'array',
    items,
    ...options,
  }),
  Record: <S extends Schema>(
    keys: Schema<string>,
    values: S,
    options: { readonly maxProperties?: number } = {},
  ): Schema<Record<string, Static<S>>> =>
    ({ type: 'object', propertyNames: keys, additionalProperties: values, ...options }) as Schema<Record<string, Static<S>>>,
  Object: <P extends Properties>(properties: P): Schema<Flat<ObjectOf<P>>> => {
    const required = Object.keys(properties).filter((key) => properties[key]?.isOptional !== true);
    return { type: 'object', properties, required } as Schema<Flat<ObjectOf<P>>>;
  },
  Union: <const S extends readonly Schema[]>(choices: S): Schema<Static<S[number]>> => ({ anyOf: choices }) as Schema<Static<S[number]>>,
  Optional: <S extends Schema>(schema: S): OptionalSchema<Static<S>> => ({ ...schema, isOptional: true }) as OptionalSchema<Static<S>>,
};

/** One thing that is wrong with a value. */
export interface Violation {
  /** The JSON Schema keyword that was not met. */
  readonly keyword: string;
  /** A JSON pointer: `/content/body`. */
  readonly instancePath: string;
  readonly message: string;
  readonly params: object;
}

/** A schema, ready to be held against values. */
export interface Checker {
  check(value: unknown): boolean;
  violations(value: unknown): readonly Violation[];
}

/** All that `Type` puts into a schema. */
interface Keywords extends Schema, StringOptions, NumberOptions {
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
}

/** Adds what is wrong with a value to `found`. */
type Find = (value: unknown, path: string, found: Violation[]) => void;

const violation = (keyword: string, instancePath: string, message: string, params: object = {}): Violation => ({
  keyword,
  instancePath,
  message,
  params,
});

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const TYPES: Readonly<Record<string, (value: unknown) => boolean>> = {
  object: isObject,
  array: Array.isArray,
  string: (value) => typeof value === 'string',
  number: Number.isFinite,
  integer: Number.isInteger,
  boolean: (value) => typeof value === 'boolean',
  null: (value) => value === null,
};

const stepTo = (path: string, key: string): string => `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;

const findInObject = ({ required = [], properties = {}, additionalProperties, maxProperties }: Keywords): Find => {
  const finders = new Map(Object.entries(properties).map(([key, schema]) => [key, finderOf(schema)]));
  const findInOther = additionalProperties && finderOf(additionalProperties);
  return (value, path, found) => {
    if (!isObject(value)) return;
    const missing = required.filter((key) => !Object.hasOwn(value, key));
    if (missing.length > 0) {
      const message = `must have required properties ${missing.join(', ')}`;
      found.push(violation('required', path, message, { requiredProperties: missing }));
    }
    for (const [key, find] of finders)
      if (Object.hasOwn(value, key) && value[key] !== undefined) find(value[key], stepTo(path, key), found);
    if (findInOther !== undefined)
      for (const [key, each] of Object.entries(value)) if (!finders.has(key)) findInOther(each, stepTo(path, key), found);
    if (maxProperties !== undefined && Object.keys(value).length > maxProperties)
      found.push(violation('maxProperties', path, `must not have more than ${String(maxProperties)} properties`));
  };
};

const findInArray = ({ items, minItems = 0, maxItems = Infinity }: Keywords): Find => {
  const find = items && finderOf(items);
  return (value, path, found) => {
    if (!Array.isArray(value)) return;
    if (find !== undefined) for (const [index, each] of value.entries()) find(each, `${path}/${String(index)}`, found);
    if (value.length < minItems) found.push(violation('minItems', path, `must not have fewer than ${String(minItems)} items`));
    if (value.length > maxItems) found.push(violation('maxItems', path, `must not have more than ${String(maxItems)} items`));
  };
};

const findInString = ({ minLength = 0, maxLength = Infinity, pattern }: Keywords): Find => {
  const expression = pattern === undefined ? undefined : new RegExp(pattern, 'u');
  return (value, path, found) => {
    if (typeof value !== 'string') return;
    const isCounted = minLength > 0 || maxLength < value.length;
    const length = isCounted ? Array.from(value).length : 0;
    if (isCounted && length < minLength)
      found.push(violation('minLength', path, `must not have fewer than ${String(minLength)} characters`));
    if (length > maxLength) found.push(violation('maxLength', path, `must not have more than ${String(maxLength)} characters`));
    if (expression?.test(value) === false) found.push(violation('pattern', path, `must match pattern "${expression.source}"`));
  };
};

const findInNumber =
  ({ minimum = -Infinity, maximum = Infinity }: Keywords): Find =>
  (value, path, found) => {
    if (typeof value !== 'number') return;
    if (value > maximum) found.push(violation('maximum', path, `must be <= ${String(maximum)}`));
    if (value < minimum) found.push(violation('minimum', path, `must be >= ${String(minimum)}`));
  };

const findByType: Readonly<Record<string, (keywords: Keywords) => Find>> = {
  object: findInObject,
  array: findInArray,
  string: findInString,
  number: findInNumber,
  integer: findInNumber,
};

const findOfNone = (choices: readonly Schema[]): Find => {
  const finders = choices.map(finderOf);
  return (value, path, found) => {
    const all: Violation[] = [];
    for (const find of finders) {
      const before = all.length;
      find(value, path, all);
      if (all.length === before) return;
    }
    found.push(...all, violation('anyOf', path, 'must match a schema in anyOf'));
  };
};

const finderOf = (schema: Schema): Find => {
  const keywords: Keywords = schema;
  const { type, anyOf } = keywords;
  if (anyOf !== undefined) return findOfNone(anyOf);
  if ('const' in keywords) {
    const { const: allowedValue } = keywords;
    return (value, path, found) => {
      if (value !== allowedValue) found.push(violation('const', path, 'must be equal to constant', { allowedValue }));
    };
  }
  if (type === undefined) return () => undefined;
  const isOfType = TYPES[type] as (value: unknown) => boolean;
  const find = findByType[type]?.(keywords);
  return (value, path, found) => {
    if (isOfType(value)) find?.(value, path, found);
    else found.push(violation('type', path, `must be ${type}`, { type }));
  };
};

/**
 * Makes a schema ready: functions that look at what they are for and know nothing else of JSON Schema. A compiler would make faster ones, but to load it
 * took more than all the rest of a start, and 19 MB.
 */
export const compile = (schema: Schema): Checker => {
  const find = finderOf(schema);
  const violations = (value: unknown): Violation[] => {
    const found: Violation[] = [];
    find(value, '', found);
    return found;
  };
  return { check: (value) => violations(value).length === 0, violations };
};
