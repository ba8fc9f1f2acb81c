import { notJson } from '#src/protocol/errors.ts';

/** A member's value as text; of a list the texts of its items. What is inside of the texts is not checked. */
type JsonPiece = string | readonly string[];

const [QUOTE, COMMA, COLON, BACKSLASH] = [0x22, 0x2c, 0x3a, 0x5c] as const;
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d] as const;

/** After so many characters other work has its turn. */
const SLICE = 1_000_000;

const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;

const skipSpace = (text: string, at: number): number => {
  let next = at;
  while (isSpace(text.charCodeAt(next))) next += 1;
  return next;
};

const expect = (text: string, at: number, code: number): number => {
  if (text.charCodeAt(at) !== code) throw notJson('Content is not valid JSON');
  return at + 1;
};

const endOfString = (text: string, at: number): number => {
  for (let end = text.indexOf('"', at + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return end + 1;
  }
  throw notJson('Content is not valid JSON');
};

const endOfScalar = (text: string, at: number): number => {
  let end = at;
  for (let code = text.charCodeAt(end); end < text.length && !isSpace(code); code = text.charCodeAt(end)) {
    if (code === COMMA || code === CLOSE_LIST || code === CLOSE_OBJECT) break;
    end += 1;
  }
  return end;
};

/** Where the value that begins here ends. */
const endOfValue = (text: string, at: number): number => {
  const first = text.charCodeAt(at);
  if (first === QUOTE) return endOfString(text, at);
  if (first !== OPEN_LIST && first !== OPEN_OBJECT) return endOfScalar(text, at);
  let depth = 0;
  for (let next = at; next < text.length;) {
    const code = text.charCodeAt(next);
    if (code === QUOTE) {
      next = endOfString(text, next);
      continue;
    }
    if (code === OPEN_LIST || code === OPEN_OBJECT) depth += 1;
    if (code === CLOSE_LIST || code === CLOSE_OBJECT) depth -= 1;
    next += 1;
    if (depth === 0) return next;
  }
  throw notJson('Content is not valid JSON');
};

/** Cuts the list whose items begin here; answers where it ends. Pauses now and then. */
const cutList = function* (text: string, at: number, items: string[]): Generator<undefined, number> {
  let next = skipSpace(text, at);
  if (text.charCodeAt(next) === CLOSE_LIST) return next + 1;
  for (let pausesAt = next + SLICE; ;) {
    const end = endOfValue(text, next);
    items.push(text.slice(next, end));
    next = skipSpace(text, end);
    if (text.charCodeAt(next) === CLOSE_LIST) return next + 1;
    next = skipSpace(text, expect(text, next, COMMA));
    if (next < pausesAt) continue;
    pausesAt = next + SLICE;
    yield;
  }
};

const nameOf = (quoted: string): string => {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    throw notJson('Content is not valid JSON');
  }
};

/**
 * Cuts a large JSON object into the texts of its members, and lists among them into the texts of their items, so that it need not be parsed all at once. Of a member that stands twice
 * the last counts. Yields now and then, for other work to have its turn. Throws `notJson` for what is no object; what is wrong inside of the pieces shows when they are parsed.
 */
export const jsonPieces = function* (text: string): Generator<undefined, ReadonlyMap<string, JsonPiece>> {
  const pieces = new Map<string, JsonPiece>();
  let next = skipSpace(text, expect(text, skipSpace(text, 0), OPEN_OBJECT));
  for (let isFirst = true; text.charCodeAt(next) !== CLOSE_OBJECT; isFirst = false) {
    if (!isFirst) next = skipSpace(text, expect(text, next, COMMA));
    expect(text, next, QUOTE);
    const endOfName = endOfString(text, next);
    const name = nameOf(text.slice(next, endOfName));
    next = skipSpace(text, expect(text, skipSpace(text, endOfName), COLON));
    if (text.charCodeAt(next) === OPEN_LIST) {
      const items: string[] = [];
      next = yield* cutList(text, next + 1, items);
      pieces.set(name, items);
    } else {
      const end = endOfValue(text, next);
      pieces.set(name, text.slice(next, end));
      next = end;
    }
    next = skipSpace(text, next);
  }
  return pieces;
};
