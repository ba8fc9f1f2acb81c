import { entryCache } from '#src/platform/cache/index.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Database, Reader, Table } from '#src/platform/database/types.ts';

const stringsTable = { name: 'strings', columns: { text: 'text' }, key: ['text'] } as const satisfies Table<{ text: 'text' }>;

/** One statement looks up or adds at most so many, so that none of them holds the main thread up. */
const CHUNK = 1000;
const DEFAULT_CACHED = 100_000;

/** User ids, server names, event types and state keys by small numbers, which stand for them in all other tables. */
export interface Strings {
  /** The numbers of all texts; those that have none yet get one, in a short write of its own. Never call it inside a transaction. */
  intern(texts: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** The number of a text if it has one. */
  numOf(text: string): Promise<number | undefined>;
  /** As `numOf` for many at once; a text that has none is left out. */
  numsOf(texts: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** The texts of the numbers; an unknown number is left out. */
  textOf(nums: readonly number[]): Promise<ReadonlyMap<number, string>>;
  /** As `numOf`, from memory only. */
  peekNum(text: string): number | undefined;
  /** As `textOf`, from memory only. */
  peekText(num: number): string | undefined;
}

interface Row {
  readonly num: number;
  readonly text: string;
}

// PostgreSQL's text holds no NUL and no half of a surrogate pair, both of which a client may send: NUL is written as
// U+FFFE 0 (and U+FFFE itself as U+FFFE 1), a lone half becomes U+FFFD as in any UTF-8.
const encode = (text: string): string => {
  const wellFormed = text.toWellFormed();
  return wellFormed.includes('\0') || wellFormed.includes('\uFFFE')
    ? wellFormed.replaceAll('\uFFFE', '\uFFFE1').replaceAll('\0', '\uFFFE0')
    : wellFormed;
};
const decode = (text: string): string =>
  text.includes('\uFFFE') ? text.replaceAll('\uFFFE0', '\0').replaceAll('\uFFFE1', '\uFFFE') : text;

const chunksOf = <T>(items: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(items.length / CHUNK) }, (_, index) => items.slice(index * CHUNK, (index + 1) * CHUNK));

/** The interned strings of a database; `maxCached` of the most recently used are kept in memory. */
export const createStrings = (database: Pick<Database, 'read' | 'write'>, maxCached = DEFAULT_CACHED): Strings => {
  const nums = entryCache<string, number>(maxCached);
  const texts = entryCache<number, string>(maxCached);

  const remember = (row: Row): void => {
    const text = decode(row.text);
    nums.set(text, row.num);
    texts.set(row.num, text);
  };
  const select = (reader: Reader, encoded: readonly string[]): Promise<Row[]> =>
    reader.all<Row>(sql`SELECT num, text FROM strings WHERE text ${sql.in(encoded)}`);

  /** Looks up what is stored; rows that a reader or a finished write answers are committed and may be remembered. */
  const find = async (encoded: readonly string[], into: Map<string, number>): Promise<void> => {
    for (const chunk of chunksOf(encoded)) {
      for (const row of await database.read('find strings', (reader) => select(reader, chunk))) {
        remember(row);
        into.set(row.text, row.num);
      }
    }
  };
  const add = async (encoded: readonly string[], into: Map<string, number>): Promise<void> => {
    for (const chunk of chunksOf(encoded.toSorted())) {
      const rows = await database.write('intern strings', async (tx) => {
        for (const text of chunk) tx.put(stringsTable, { text });
        return select(tx, chunk);
      });
      for (const row of rows) {
        remember(row);
        into.set(row.text, row.num);
      }
    }
  };

  /** What is in memory of the texts, and the encoded forms of the others. */
  const recall = (wanted: readonly string[]): { result: Map<string, number>; unknown: ReadonlyMap<string, string> } => {
    const result = new Map<string, number>();
    const unknown = new Map<string, string>();
    for (const text of wanted) {
      const num = nums.get(text);
      if (num === undefined) unknown.set(text, encode(text));
      else result.set(text, num);
    }
    return { result, unknown };
  };

  const intern = async (wanted: readonly string[]): Promise<ReadonlyMap<string, number>> => {
    const { result, unknown } = recall(wanted);
    if (unknown.size === 0) return result;
    const found = new Map<string, number>();
    const encoded = [...new Set(unknown.values())];
    await find(encoded, found);
    await add(
      encoded.filter((text) => !found.has(text)),
      found,
    );
    for (const [text, stored] of unknown) {
      const num = found.get(stored);
      if (num !== undefined) result.set(text, num);
    }
    return result;
  };

  return {
    intern,
    numOf: async (text) => {
      const known = nums.get(text);
      if (known !== undefined) return known;
      const found = new Map<string, number>();
      await find([encode(text)], found);
      return found.get(encode(text));
    },
    numsOf: async (wanted) => {
      const { result, unknown } = recall(wanted);
      if (unknown.size === 0) return result;
      const found = new Map<string, number>();
      await find([...new Set(unknown.values())], found);
      for (const [text, stored] of unknown) {
        const num = found.get(stored);
        if (num !== undefined) result.set(text, num);
      }
      return result;
    },
    textOf: async (wanted) => {
      const result = new Map<number, string>();
      const unknown = new Set<number>();
      for (const num of wanted) {
        const text = texts.get(num);
        if (text === undefined) unknown.add(num);
        else result.set(num, text);
      }
      for (const chunk of chunksOf([...unknown])) {
        const rows = await database.read('find strings', (reader) =>
          reader.all<Row>(sql`SELECT num, text FROM strings WHERE num ${sql.in(chunk)}`),
        );
        for (const row of rows) {
          remember(row);
          result.set(row.num, decode(row.text));
        }
      }
      return result;
    },
    peekNum: (text) => nums.get(text),
    peekText: (num) => texts.get(num),
  };
};
