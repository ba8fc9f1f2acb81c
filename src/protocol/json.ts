import { badJson, notJson } from '#src/protocol/errors.ts';

/**
 * A number as the protocol computes with it. All supported room versions forbid floats and integers beyond 2^53, so a
 * double holds it exactly; versions 1–5, whose events may hold others, would widen this one type.
 */
export type JsonNumber = number;

export type JsonValue = null | boolean | JsonNumber | string | readonly JsonValue[] | JsonObject;

export type JsonObject = { readonly [key: string]: JsonValue };

export const isJsonObject = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The object's own member; unlike plain indexing, a key such as `toString` that somebody sends finds nothing inherited. */
export const member = (object: JsonObject, key: string): JsonValue | undefined => (Object.hasOwn(object, key) ? object[key] : undefined);

const FRACTION_OR_EXPONENT = /\d[.eE]/;
const STRING_OR_NUMBER = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** The first number in a JSON text that is written with a fraction or an exponent, even if its value is an integer (`1.0`). */
const nonIntegerToken = (text: string): string | undefined => {
  if (!FRACTION_OR_EXPONENT.test(text)) return undefined;
  for (const [token] of text.matchAll(STRING_OR_NUMBER)) {
    if (!token.startsWith('"') && FRACTION_OR_EXPONENT.test(token)) return token;
  }
  return undefined;
};

/**
 * Parses JSON that must follow canonical JSON's rule for numbers: integers without fraction or exponent. Their range is checked
 * when the value is encoded again. Throws `notJson` for bad syntax and `badJson` for another number.
 */
export const parseStrictJson = (text: string): JsonValue => {
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch {
    throw notJson('Content is not valid JSON');
  }
  const token = nonIntegerToken(text);
  if (token !== undefined) throw badJson(`Numbers must be integers, written without fraction or exponent: ${token}`);
  return value;
};
