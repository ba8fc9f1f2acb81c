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

/** Compiles a schema. The compiler is loaded with the first of them: it takes more than all the rest of a start. */
export const compile = async (schema: Schema): Promise<Checker> => {
  const { Compile } = await import('typebox/schema');
  const validator = Compile(schema);
  return { check: (value) => validator.Check(value), violations: (value) => validator.Errors(value)[1] };
};
