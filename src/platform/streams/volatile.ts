import type { Random } from '#src/platform/random.ts';

/** What has changed since a token; a row that was removed is `undefined`. */
export interface VolatileChanges<Row> {
  readonly changes: ReadonlyMap<string, Row | undefined>;
  readonly token: string;
}

/**
 * A stream without rows in the database, such as typing: it lives in the memory of one owner, under an epoch that ends with the
 * process. A token is `<epoch>.<n>`; one of another epoch (or anything else) means that the reader must be sent everything.
 */
export interface VolatileStream<Row> {
  /** Where the stream stands. */
  token(): string;
  set(key: string, row: Row): void;
  remove(key: string): void;
  get(key: string): Row | undefined;
  /** All rows with the token that goes with them. */
  all(): { readonly rows: ReadonlyMap<string, Row>; readonly token: string };
  since(token: string): VolatileChanges<Row> | 'everything';
  /** Calls back on each change with the key. Returns how to stop. */
  subscribe(listener: (key: string) => void): () => void;
}

const EPOCH_LETTERS = 8;
const DEFAULT_MAX_CHANGES = 10_000;

interface Change {
  readonly n: number;
  readonly key: string;
}

/** The index of the first change behind n, in a list that is ordered by n. */
const firstBehind = (changes: readonly Change[], n: number): number => {
  let low = 0;
  let high = changes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((changes[middle]?.n ?? 0) > n) high = middle;
    else low = middle + 1;
  }
  return low;
};

/** Makes a stream with an epoch of its own. The last `maxChanges` changes are remembered; who is further behind gets everything. */
export const createVolatileStream = <Row>(random: Random, maxChanges = DEFAULT_MAX_CHANGES): VolatileStream<Row> => {
  const epoch = random.string(EPOCH_LETTERS);
  const rows = new Map<string, Row>();
  const listeners = new Set<(key: string) => void>();
  let changes: Change[] = [];
  let last = 0;
  let forgotten = 0;

  const token = (): string => `${epoch}.${String(last)}`;
  const note = (key: string): void => {
    last += 1;
    changes.push({ n: last, key });
    if (changes.length >= 2 * maxChanges) {
      forgotten = changes[changes.length - maxChanges - 1]?.n ?? 0;
      changes = changes.slice(-maxChanges);
    }
    for (const listener of listeners) listener(key);
  };

  return {
    token,
    set: (key, row) => {
      rows.set(key, row);
      note(key);
    },
    remove: (key) => {
      if (rows.delete(key)) note(key);
    },
    get: (key) => rows.get(key),
    all: () => ({ rows: new Map(rows), token: token() }),
    since: (given) => {
      const [otherEpoch, digits = ''] = given.split('.');
      const n = /^\d{1,15}$/.test(digits) ? Number(digits) : -1;
      if (otherEpoch !== epoch || n < forgotten || n > last) return 'everything';
      const changed = new Map<string, Row | undefined>();
      for (const { key } of changes.slice(firstBehind(changes, n))) changed.set(key, rows.get(key));
      return { changes: changed, token: token() };
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
};
