import { TransactionEnded, TransactionStalled } from '#src/platform/database/errors.ts';
import type { Columns, Engine, LeaseToken, Reader, RowOf, Sql, Table, Transaction } from '#src/platform/database/types.ts';

/** What an engine does for a reading body. SQLite answers at once, PostgreSQL by a promise. */
export interface ReadStatements {
  readonly engine: Engine;
  all(query: Sql): object[] | Promise<object[]>;
}

/** What an engine does for a writing body. */
export interface WriteStatements extends ReadStatements {
  run(query: Sql): number | Promise<number>;
  insert<C extends Columns>(table: Table<C>, row: RowOf<C>): void;
  put<C extends Columns>(table: Table<C>, row: RowOf<C>): void;
  takePositions(stream: string, count: number): number | Promise<number>;
  fence(lease: LeaseToken): void;
}

/** A body that ran to its end, not yet durable. */
export interface Ran {
  readonly value: unknown;
  readonly onCommit: readonly (() => void)[];
  /** The last position that was taken, per stream. */
  readonly positions: ReadonlyMap<string, number>;
}

interface Guard {
  /** Runs one statement of the body. The first that fails dooms the whole body, as PostgreSQL would, even if the body catches the error. */
  statement<T>(work: () => T | Promise<T>): Promise<T>;
  /** The same for what answers nothing. */
  immediate(work: () => void): void;
}

/**
 * Runs a body and sees to it that it awaits nothing but its statements: a body that is still pending after a turn of the
 * event loop in which no statement of its was under way is rejected, whatever it may be waiting for.
 */
const guarded = async <T>(name: string, body: (guard: Guard) => Promise<T>): Promise<T> => {
  let ended = false;
  let inFlight = 0;
  let fault: { readonly error: unknown } | undefined;
  let check: NodeJS.Immediate | undefined;
  let stall: (error: Error) => void = () => undefined;
  const stalled = new Promise<never>((_resolve, reject) => {
    stall = reject;
  });
  const arm = (): void => {
    check ??= setImmediate(() => {
      check = undefined;
      if (!ended && inFlight === 0) stall(new TransactionStalled(name));
    });
  };
  const usable = (): void => {
    if (ended) throw new TransactionEnded(name);
    if (fault !== undefined) throw fault.error;
  };
  const guard: Guard = {
    statement: async (work) => {
      usable();
      inFlight += 1;
      try {
        return await work();
      } catch (error) {
        fault ??= { error };
        throw error;
      } finally {
        inFlight -= 1;
        if (inFlight === 0 && !ended) arm();
      }
    },
    immediate: (work) => {
      usable();
      try {
        work();
      } catch (error) {
        fault ??= { error };
        throw error;
      }
    },
  };
  arm();
  try {
    const value = await Promise.race([body(guard), stalled]);
    usable();
    return value;
  } finally {
    ended = true;
    clearImmediate(check);
  }
};

const readerOn = (statements: ReadStatements, guard: Guard): Reader => {
  const all = <Row extends object>(query: Sql): Promise<Row[]> => guard.statement(() => statements.all(query) as Row[] | Promise<Row[]>);
  return {
    engine: statements.engine,
    all,
    one: async <Row extends object>(query: Sql) => (await all<Row>(query))[0],
  };
};

/** Runs the body of a `read`. */
export const runReader = <T>(name: string, statements: ReadStatements, body: (reader: Reader) => Promise<T>): Promise<T> =>
  guarded(name, (guard) => body(readerOn(statements, guard)));

/** Runs the body of a `write`; what it registered is answered and nothing of it done yet. */
export const runWriter = async (name: string, statements: WriteStatements, body: (tx: Transaction) => Promise<unknown>): Promise<Ran> => {
  const onCommit: (() => void)[] = [];
  const positions = new Map<string, number>();
  const value = await guarded(name, (guard) =>
    body({
      ...readerOn(statements, guard),
      run: (query) => guard.statement(() => statements.run(query)),
      insert: (table, row) => guard.immediate(() => statements.insert(table, row)),
      put: (table, row) => guard.immediate(() => statements.put(table, row)),
      fence: (lease) => guard.immediate(() => statements.fence(lease)),
      nextPositions: async (stream, count = 1) => {
        if (!Number.isInteger(count) || count < 1)
          throw new RangeError(`nextPositions: count is ${String(count)}, must be a positive integer`);
        const first = await guard.statement(() => statements.takePositions(stream, count));
        positions.set(stream, first + count - 1);
        return first;
      },
      onCommit: (callback) => guard.immediate(() => void onCommit.push(callback)),
    }),
  );
  return { value, onCommit, positions };
};
