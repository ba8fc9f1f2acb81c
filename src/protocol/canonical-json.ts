import { badJson } from '#src/protocol/errors.ts';
import type { JsonNumber, JsonObject, JsonValue } from '#src/protocol/json.ts';
import { floatText, isExactNumber } from '#src/protocol/json.ts';

/** Deeper nesting is refused, so that no event can exhaust the stack here or at a peer. */
export const MAX_JSON_DEPTH = 500;

/** Which numbers a text may have: those of canonical JSON, or all, for events of room versions 1 to 5. */
export type Numbers = 'integers' | 'any';

/** Thrown while writing; the path to the culprit is looked for only then. */
class NotCanonical extends Error {
  override readonly name = 'NotCanonical';
}

const SURROGATE = /[\ud800-\udfff]/;

/** Moves surrogates, which stand for code points beyond U+FFFF, above U+E000–U+FFFF. */
const rank = (unit: number): number => (unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800);

/** Orders by Unicode code point. JavaScript's own order is by UTF-16 unit and differs beyond the basic plane. */
export const compareCodePoints = (a: string, b: string): number => {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
};

const isSorted = (keys: readonly string[]): boolean => {
  for (let index = 1; index < keys.length; index++) if (keys[index - 1]! > keys[index]!) return false;
  return true;
};

const sortedKeys = (object: JsonObject): string[] => {
  const keys = Object.keys(object);
  if (!isSorted(keys)) keys.sort();
  // The two orders can differ only where a surrogate is.
  return keys.some((key) => SURROGATE.test(key)) ? keys.sort(compareCodePoints) : keys;
};

const quote = (text: string): string => {
  if (!text.isWellFormed()) throw new NotCanonical();
  return JSON.stringify(text);
};

/** A number that is no integer within ±(2^53 − 1). */
const writeOtherNumber = (value: JsonNumber, numbers: Numbers): string => {
  if (numbers === 'integers' || (typeof value === 'number' && !Number.isFinite(value))) throw new NotCanonical();
  return typeof value === 'number' ? floatText(value) : value.rawJSON;
};

const writeArray = (items: readonly JsonValue[], depth: number, numbers: Numbers): string => {
  let text = '';
  for (const item of items) text += text === '' ? write(item, depth, numbers) : `,${write(item, depth, numbers)}`;
  return `[${text}]`;
};

const writeObject = (object: JsonObject, depth: number, numbers: Numbers): string => {
  let text = '';
  for (const key of sortedKeys(object)) text += `${text === '' ? '' : ','}${quote(key)}:${write(object[key]!, depth, numbers)}`;
  return `{${text}}`;
};

const write = (value: JsonValue, depth: number, numbers: Numbers): string => {
  switch (typeof value) {
    case 'string':
      return quote(value);
    case 'number':
      // Negative zero becomes `0`.
      return Number.isSafeInteger(value) ? String(value) : writeOtherNumber(value, numbers);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      if (value === null) return 'null';
      if (isExactNumber(value)) return writeOtherNumber(value, numbers);
      if (depth >= MAX_JSON_DEPTH) throw new NotCanonical();
      return Array.isArray(value) ? writeArray(value, depth + 1, numbers) : writeObject(value as JsonObject, depth + 1, numbers);
    default:
      throw new NotCanonical();
  }
};

const numberFault = (value: JsonNumber, here: string, numbers: Numbers): string | undefined => {
  const text = typeof value === 'number' ? String(value) : value.rawJSON.slice(0, 30);
  if (numbers === 'any') return value === Infinity || value === -Infinity ? `${here}: ${text} is out of range` : undefined;
  return Number.isSafeInteger(value) ? undefined : `${here}: ${text} is not an integer from -(2^53)+1 to (2^53)-1`;
};

const faultIn = (value: unknown, path: string, depth: number, numbers: Numbers): string | undefined => {
  const here = path === '' ? 'The value' : path;
  if (value === null || typeof value === 'boolean') return undefined;
  if (typeof value === 'string') return value.isWellFormed() ? undefined : `${here}: the text has a lone surrogate`;
  if (typeof value === 'number' || isExactNumber(value)) return numberFault(value, here, numbers);
  if (typeof value !== 'object') return `${here}: not a JSON value`;
  if (depth >= MAX_JSON_DEPTH) return `${path.slice(0, 100)}…: nested more than ${MAX_JSON_DEPTH} levels deep`;
  for (const [key, item] of Object.entries(value)) {
    if (!key.isWellFormed()) return `${here}: a key has a lone surrogate`;
    const inner = Array.isArray(value) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`;
    const fault = faultIn(item, inner, depth + 1, numbers);
    if (fault !== undefined) return fault;
  }
  return undefined;
};

/**
 * Why the value has no canonical JSON, as a sentence that begins with the path of the culprit (`content.levels[2]: 1.5 is not …`);
 * `undefined` when it has one. `path` names the value itself.
 */
export const canonicalFault = (value: unknown, path = '', numbers: Numbers = 'integers'): string | undefined =>
  faultIn(value, path, 0, numbers);

const guarded = <Result>(value: unknown, numbers: Numbers, encode: () => Result): Result => {
  try {
    return encode();
  } catch (error) {
    if (!(error instanceof NotCanonical)) throw error;
    throw badJson(canonicalFault(value, '', numbers) ?? 'Not canonical JSON');
  }
};

/**
 * The canonical JSON of a value: shortest UTF-8 form, keys by code point, integers only (appendices, Canonical JSON)
 * unless `numbers` allows any; floats are then written as `floatText` says. Throws `badJson` with the path of the first value that has none.
 */
export const canonicalJson = (value: JsonValue, numbers: Numbers = 'integers'): string =>
  guarded(value, numbers, () => write(value, 0, numbers));

/** One top-level key of an object with its canonical text, `"key":value`. */
export interface CanonicalMember {
  readonly key: string;
  readonly text: string;
}

/** The canonical text of one member. Throws `badJson` as `canonicalJson` does. */
export const canonicalMember = (key: string, value: JsonValue, numbers: Numbers = 'integers'): CanonicalMember =>
  guarded({ [key]: value }, numbers, () => ({ key, text: `${quote(key)}:${write(value, 1, numbers)}` }));

/**
 * The canonical text of each top-level key, in canonical order. An event is hashed, signed and stored as different selections of
 * its keys: with this each value is encoded once. Throws `badJson` as `canonicalJson` does.
 */
export const canonicalMembers = (object: JsonObject, numbers: Numbers = 'integers'): CanonicalMember[] =>
  guarded(object, numbers, () => sortedKeys(object).map((key) => ({ key, text: `${quote(key)}:${write(object[key]!, 1, numbers)}` })));

/** The canonical JSON of the object that has these members, which must be in canonical order. */
export const joinMembers = (members: readonly CanonicalMember[]): string => {
  let text = '';
  for (const member of members) text += text === '' ? member.text : `,${member.text}`;
  return `{${text}}`;
};

/** The members with one more, or with that one replaced, still in canonical order. */
export const withMember = (members: readonly CanonicalMember[], added: CanonicalMember): CanonicalMember[] => [
  ...members.filter(({ key }) => compareCodePoints(key, added.key) < 0),
  added,
  ...members.filter(({ key }) => compareCodePoints(key, added.key) > 0),
];
