import { badJson, notJson } from '#src/protocol/errors.ts';

/**
 * A number that a JavaScript number cannot tell apart from another: an integer beyond ±(2^53 − 1), or a float with an integral value such as
 * `1.0`. `rawJSON` is its canonical text, and `JSON.stringify` writes it as it is. Events of room versions 1 to 5 may hold such numbers.
 */
export interface ExactNumber {
  readonly rawJSON: string;
}

/** A JavaScript number within ±(2^53 − 1) is an integer if it has an integral value, and a float otherwise. */
export type JsonNumber = number | ExactNumber;

export type JsonValue = null | boolean | JsonNumber | string | readonly JsonValue[] | JsonObject;

export type JsonObject = { readonly [key: string]: JsonValue };

declare global {
  // The language has these (ECMAScript, JSON.parse source text access); TypeScript's library does not list them.
  interface JSON {
    rawJSON(text: string): ExactNumber;
    isRawJSON(value: unknown): value is ExactNumber;
    parse(text: string, reviver: (key: string, value: unknown, context: { readonly source: string }) => unknown): unknown;
  }
}

export const isExactNumber = (value: unknown): value is ExactNumber => JSON.isRawJSON(value);

export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !isExactNumber(value);

/** The object's own member; unlike plain indexing, a key such as `toString` that somebody sends finds nothing inherited. */
export const member = (object: JsonObject, key: string): JsonValue | undefined => (Object.hasOwn(object, key) ? object[key] : undefined);

/**
 * A finite float as Python's `repr` writes it, which is how the servers that made old rooms hash and sign it: shortest digits, an
 * exponent below 1e-4 and from 1e16 on, and else always a fraction.
 */
export const floatText = (value: number): string => {
  if (Object.is(value, -0)) return '-0.0';
  const [digits, exponentText] = value.toExponential().split('e') as [string, string];
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= 16) {
    return `${digits}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  return Number.isInteger(value) ? `${value}.0` : String(value);
};

/** The value of an integer; `undefined` for everything else, floats included. */
export const exactInteger = (value: JsonValue | undefined): bigint | undefined => {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  return isExactNumber(value) && /^-?\d+$/.test(value.rawJSON) ? BigInt(value.rawJSON) : undefined;
};

/** The nearest integer within ±(2^53 − 1), for where an integer is kept as a JavaScript number. */
export const clampedInteger = (value: JsonNumber): number =>
  typeof value === 'number' ? value : Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(value.rawJSON)));

/** Orders numbers by their exact values. */
export const compareNumbers = (a: JsonNumber, b: JsonNumber): number => {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  const [left, right] = [
    exactInteger(a) ?? Number(isExactNumber(a) ? a.rawJSON : a),
    exactInteger(b) ?? Number(isExactNumber(b) ? b.rawJSON : b),
  ];
  return left < right ? -1 : left > right ? 1 : 0;
};

/** Where a text may hold a number with a fraction, an exponent or 16 digits. It errs on the safe side: such text inside a string counts, too. */
const MAY_BE_INEXACT = /(?:^|[[:,\s])-?(?:\d+[.eE]|\d{16})/;
const FRACTION_OR_EXPONENT = /[.eE]/;

const parse = (text: string, reviver?: (key: string, value: unknown, context: { readonly source: string }) => unknown): JsonValue => {
  try {
    return (reviver === undefined ? JSON.parse(text) : JSON.parse(text, reviver)) as JsonValue;
  } catch (error) {
    // With a reviver, nesting of some thousand levels exhausts the stack.
    if (error instanceof RangeError) throw badJson('Content is nested too deeply');
    if (error instanceof SyntaxError) throw notJson('Content is not valid JSON');
    throw error;
  }
};

const exactNumber = (value: number, source: string): JsonNumber => {
  if (!FRACTION_OR_EXPONENT.test(source)) return Number.isSafeInteger(value) ? value : JSON.rawJSON(source);
  if (!Number.isFinite(value)) throw badJson(`A number is out of range: ${source.slice(0, 30)}`);
  return Number.isInteger(value) ? JSON.rawJSON(floatText(value)) : value;
};

/**
 * Parses JSON without loss: numbers that JavaScript would spoil become `ExactNumber`s. Of a key that stands twice the last counts. Throws
 * `notJson` for bad syntax and `badJson` for a float beyond the range of a double or nesting that exhausts the stack.
 */
export const parseLosslessJson = (text: string): JsonValue =>
  MAY_BE_INEXACT.test(text)
    ? parse(text, (_key, value, { source }) => (typeof value === 'number' ? exactNumber(value, source) : value))
    : parse(text);
