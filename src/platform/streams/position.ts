import type { StreamPosition } from '#src/platform/database/types.ts';

/** The position before the first row of a stream. */
export const BEGINNING: StreamPosition = { min: 0, ahead: new Map() };

/** How far the position reaches for one writer. */
export const of = (position: StreamPosition, writer: string): number => position.ahead.get(writer) ?? position.min;

/** Whether the writer's row n lies at or before the position. */
export const includes = (position: StreamPosition, writer: string, n: number): boolean => n <= of(position, writer);

const join = (min: number, writers: Iterable<string>, reach: (writer: string) => number): StreamPosition => {
  const ahead = new Map<string, number>();
  for (const writer of writers) {
    const n = reach(writer);
    if (n > min) ahead.set(writer, n);
  }
  return { min, ahead };
};

const writersOf = (positions: readonly StreamPosition[]): Set<string> => new Set(positions.flatMap(({ ahead }) => [...ahead.keys()]));

/** The position that includes what either includes. */
export const maximum = (a: StreamPosition, b: StreamPosition): StreamPosition =>
  join(Math.max(a.min, b.min), writersOf([a, b]), (writer) => Math.max(of(a, writer), of(b, writer)));

/** The position that includes what all of them include: where streams that must agree can be read together. */
export const minimumOf = (positions: readonly [StreamPosition, ...StreamPosition[]]): StreamPosition =>
  join(Math.min(...positions.map(({ min }) => min)), writersOf(positions), (writer) =>
    Math.min(...positions.map((position) => of(position, writer))),
  );

/** The position with one writer moved on to n; never backwards. */
export const advanceWriter = (position: StreamPosition, writer: string, n: number): StreamPosition =>
  includes(position, writer, n) ? position : { min: position.min, ahead: new Map(position.ahead).set(writer, n) };

/** Whether a includes everything that b includes. */
export const isAtLeast = (a: StreamPosition, b: StreamPosition): boolean =>
  a.min >= b.min ? [...b.ahead].every(([writer, n]) => includes(a, writer, n)) : false;

/** A position on the way from one to another, at most `count` numbers further. */
export const stepTowards = (from: StreamPosition, to: StreamPosition, count: number): StreamPosition =>
  to.min - from.min <= count ? to : maximum(from, { min: from.min + count, ahead: new Map() });

const WRITER_NAME = /^(?:[A-Za-z0-9-]|%[0-9A-F]{2})+$/;
const NUMBER = /^\d{1,16}$/;

// In tokens, positions are joined by `_`, writers by `~`, and a writer's number follows a dot.
const encodeWriter = (writer: string): string =>
  encodeURIComponent(writer).replaceAll(
    /[^A-Za-z0-9%-]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );

const parseNumber = (text: string | undefined): number | undefined => {
  const number = text !== undefined && NUMBER.test(text) ? Number(text) : undefined;
  return Number.isSafeInteger(number) ? number : undefined;
};

const decodeWriter = (text: string): string | undefined => {
  try {
    return WRITER_NAME.test(text) ? decodeURIComponent(text) : undefined;
  } catch {
    return undefined;
  }
};

/** `123` with one writer, else `m<min>~<writer>.<n>~…`, in the form that Synapse gives to its tokens. */
export const format = ({ min, ahead }: StreamPosition): string =>
  ahead.size === 0
    ? String(min)
    : [
        `m${String(min)}`,
        ...[...ahead].sort(([a], [b]) => (a < b ? -1 : 1)).map(([writer, n]) => `${encodeWriter(writer)}.${String(n)}`),
      ].join('~');

/** Reads what `format` writes; `undefined` for anything else. */
export const parse = (text: string): StreamPosition | undefined => {
  if (!text.startsWith('m')) {
    const min = parseNumber(text);
    return min === undefined ? undefined : { min, ahead: new Map() };
  }
  const [head, ...entries] = text.slice(1).split('~');
  const min = parseNumber(head);
  if (min === undefined) return undefined;
  const ahead = new Map<string, number>();
  for (const entry of entries) {
    const dot = entry.indexOf('.');
    const writer = decodeWriter(entry.slice(0, Math.max(dot, 0)));
    const n = parseNumber(entry.slice(dot + 1));
    if (writer === undefined || n === undefined) return undefined;
    if (n > min) ahead.set(writer, n);
  }
  return { min, ahead };
};
