import { DatabaseSync } from 'node:sqlite';
import type { SQLInputValue, StatementSync } from 'node:sqlite';
import type { Clock } from '#src/platform/clock.ts';
import { DatabaseError, messageOf } from '#src/platform/database/errors.ts';
import { render } from '#src/platform/database/sql.ts';
import type { Columns, RowOf, Sql, SqlArgument, Table } from '#src/platform/database/types.ts';
import type { Logger } from '#src/platform/logging/index.ts';

const SLOW_STATEMENT_MS = 20;
const MAX_STATEMENTS = 2000;

interface Prepared {
  readonly statement: StatementSync;
  readonly text: string;
  /** Which of the values were lists when the text was made. */
  readonly lists: string;
}

/** One connection on the main thread, with its prepared statements. Everything on it is synchronous. */
export interface Connection {
  readonly raw: DatabaseSync;
  all(transaction: string, query: Sql): object[];
  run(transaction: string, query: Sql): number;
  add<C extends Columns>(transaction: string, kind: 'insert' | 'put', table: Table<C>, row: RowOf<C>): void;
  /** Runs a statement without values, prepared once. */
  control(text: string): void;
  close(): void;
}

interface Options {
  readonly path: string;
  readonly readOnly?: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

const REASONS: Readonly<Record<number, string>> = {
  5: 'it is locked by another program',
  8: 'it is read-only',
  10: 'the disk failed',
  11: 'it is damaged',
  13: 'the disk is full',
  14: 'it cannot be opened',
  26: 'it is not an SQLite database',
};

const primaryCode = (error: unknown): number | undefined =>
  error instanceof Error && 'errcode' in error ? (error.errcode as number) & 0xff : undefined;

export const isBusy = (error: unknown): boolean => primaryCode(error) === 5;

/** Names the file and the reason when the fault lies with the file and not with the statement. */
export const withPath = (path: string, error: unknown): unknown => {
  const reason = REASONS[primaryCode(error) ?? 0];
  return reason === undefined ? error : new DatabaseError(`The database file ${path}: ${reason} (${messageOf(error)}).`, { cause: error });
};

const isList = (value: SqlArgument): boolean => typeof value === 'object' && value !== null && 'list' in value;

const tableText = <C extends Columns>(kind: 'insert' | 'put', { name, columns, key }: Table<C>): string => {
  const names = Object.keys(columns);
  const text = `INSERT INTO ${name} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`;
  if (kind === 'insert') return text;
  const changed = names.filter((column) => !key.includes(column)).map((column) => `${column} = excluded.${column}`);
  return `${text} ON CONFLICT (${key.join(', ')}) DO ${changed.length === 0 ? 'NOTHING' : `UPDATE SET ${changed.join(', ')}`}`;
};

/** Opens a connection. Numbers are read as numbers; an integer beyond 2^53 is an error. */
export const openConnection = ({ path, readOnly = false, clock, logger }: Options): Connection => {
  const raw = new DatabaseSync(path, { readOnly, timeout: 0, enableForeignKeyConstraints: false });
  const byParts = new Map<readonly string[], Prepared>();
  const byTable = new Map<object, { insert?: StatementSync; put?: StatementSync }>();
  const byText = new Map<string, StatementSync>();

  const timed = <T>(transaction: string, text: string, work: () => T): T => {
    const start = clock.monotonic();
    const value = work();
    const tookMs = clock.monotonic() - start;
    if (tookMs > SLOW_STATEMENT_MS)
      logger.warn({ transaction, statement: text, tookMs: Math.round(tookMs) }, 'Slow statement on the main thread');
    return value;
  };

  const prepare = (query: Sql, lists: string): Prepared => {
    const known = byParts.get(query.parts);
    if (known?.lists === lists) return known;
    const { text } = render(query, 'sqlite');
    const made = { statement: raw.prepare(text), text, lists };
    if (byParts.size >= MAX_STATEMENTS) byParts.clear();
    byParts.set(query.parts, made);
    return made;
  };

  const bind = (query: Sql): { prepared: Prepared; values: SQLInputValue[] } => {
    let lists = '';
    const values = query.values.map((value, index) => {
      if (!isList(value)) return value as SQLInputValue;
      lists += `${String(index)},`;
      return JSON.stringify((value as { list: unknown }).list);
    });
    return { prepared: prepare(query, lists), values };
  };

  return {
    raw,
    all: (transaction, query) => {
      const { prepared, values } = bind(query);
      return timed(transaction, prepared.text, () => prepared.statement.all(...values));
    },
    run: (transaction, query) => {
      const { prepared, values } = bind(query);
      return timed(transaction, prepared.text, () => Number(prepared.statement.run(...values).changes));
    },
    add: (transaction, kind, table, row) => {
      let statements = byTable.get(table);
      if (statements === undefined) byTable.set(table, (statements = {}));
      const statement = (statements[kind] ??= raw.prepare(tableText(kind, table)));
      const values = Object.keys(table.columns).map((column) => (row as Record<string, SQLInputValue>)[column] ?? null);
      timed(transaction, `${kind} ${table.name}`, () => statement.run(...values));
    },
    control: (text) => {
      let statement = byText.get(text);
      if (statement === undefined) byText.set(text, (statement = raw.prepare(text)));
      statement.run();
    },
    close: () => raw.close(),
  };
};
