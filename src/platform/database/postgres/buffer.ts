import type { QueryConfig } from 'pg';
import { statementName } from '#src/platform/database/postgres/values.ts';
import type { Columns } from '#src/platform/database/types.ts';

type Kind = 'insert' | 'put';
type Row = Readonly<Record<string, unknown>>;

interface AnyTable {
  readonly name: string;
  readonly columns: Columns;
  readonly key: readonly string[];
}

/** One `insert` or `put` that has not been sent. */
export interface Pending {
  readonly kind: Kind;
  readonly table: AnyTable;
  readonly row: object;
}

interface Batch {
  readonly kind: Kind;
  readonly table: AnyTable;
  /** By key for `put`, where the last of a key wins; by a running number for `insert`. */
  readonly rows: Map<string | number, Row>;
}

const ARRAY_TYPES = { bigint: 'bigint[]', text: 'text[]', bytes: 'bytea[]', double: 'double precision[]' } as const;

const arrayType = (type: string): string => ARRAY_TYPES[type.replace('?', '') as keyof typeof ARRAY_TYPES];

/** `INSERT … SELECT * FROM unnest(…)`: one statement, prepared once, for any number of rows. */
const textOf = ({ kind, table: { name, columns, key } }: Batch): string => {
  const names = Object.keys(columns);
  const arrays = names.map((column, index) => `$${String(index + 1)}::${arrayType(columns[column] ?? 'text')}`);
  const text = `INSERT INTO ${name} (${names.join(', ')}) SELECT * FROM unnest(${arrays.join(', ')})`;
  if (kind === 'insert') return text;
  const changed = names.filter((column) => !key.includes(column)).map((column) => `${column} = excluded.${column}`);
  return `${text} ON CONFLICT (${key.join(', ')}) DO ${changed.length === 0 ? 'NOTHING' : `UPDATE SET ${changed.join(', ')}`}`;
};

const asBuffer = (value: unknown): unknown =>
  value instanceof Uint8Array && !Buffer.isBuffer(value) ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : (value ?? null);

const keyOf = ({ table, row }: { readonly table: AnyTable; readonly row: Row }): string =>
  JSON.stringify(
    table.key.map((column) => {
      const value = row[column];
      return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
    }),
  );

const named = (text: string): { text: string; name: string } => ({ text, name: statementName(text) });

export interface Buffered {
  add(pending: Pending): void;
  /** The statements for all that was added, in the order in which it must be written; the buffer is empty afterwards. */
  take(): QueryConfig[];
}

/** Gathers the rows of a group into one statement per table. */
export const createBuffer = (): Buffered => {
  let batches: Batch[] = [];
  const latest = new Map<string, Batch>();
  const texts = new Map<object, Partial<Record<Kind, { text: string; name: string }>>>();

  const statementOf = (batch: Batch): { text: string; name: string } => {
    let known = texts.get(batch.table);
    if (known === undefined) texts.set(batch.table, (known = {}));
    return (known[batch.kind] ??= named(textOf(batch)));
  };

  return {
    add: (pending) => {
      const { kind, table } = pending;
      const row = pending.row as Row;
      let batch = latest.get(table.name);
      // A table's inserts and puts keep their order among each other.
      if (batch?.kind !== kind) {
        batch = { kind, table, rows: new Map() };
        batches.push(batch);
        latest.set(table.name, batch);
      }
      batch.rows.set(kind === 'put' ? keyOf({ table, row }) : batch.rows.size, row);
    },
    take: () => {
      const taken = batches;
      batches = [];
      latest.clear();
      return taken.map((batch) => {
        const rows = [...batch.rows.values()];
        const values = Object.keys(batch.table.columns).map((column) => rows.map((row) => asBuffer(row[column])));
        const { name, text } = statementOf(batch);
        return { name, text, values };
      });
    },
  };
};
