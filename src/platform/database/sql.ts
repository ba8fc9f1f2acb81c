import type { Engine } from '#src/platform/database/types.ts';

export type SqlValue = string | number | bigint | Uint8Array | null;

/** A statement with its values, made by the `sql` template; the text is the same object for the same template, so statements are cached by it. */
export interface Sql {
  readonly parts: readonly string[];
  readonly values: readonly SqlArgument[];
}

export type SqlArgument = SqlValue | SqlList;

/** A list of values for `IN`: `WHERE x ${sql.in(ids)}` is one statement whatever the length (`json_each` on SQLite, `ANY` on PostgreSQL). */
export interface SqlList {
  readonly list: readonly (string | number)[];
  /** True for texts that are to be rows of a table, see `sql.texts`. */
  readonly isTable?: true;
}

/**
 * Builds a statement for both engines: `` sql`SELECT name FROM users WHERE user_num = ${num}` ``. Values become parameters, never text.
 */
export const sql = (parts: TemplateStringsArray, ...values: SqlArgument[]): Sql => ({ parts, values });

sql.in = (list: readonly (string | number)[]): SqlList => ({ list });

/**
 * Texts as a table of one column, `value`: `FROM ${sql.texts(ids)} AS wanted CROSS JOIN nodes WHERE node_id = wanted.value` looks each of them up by index. With
 * `sql.in` PostgreSQL may rather read all that the other conditions leave, when it knows little of the table yet or the list is long.
 */
sql.texts = (list: readonly string[]): SqlList => ({ list, isTable: true });

const PLACEHOLDERS = {
  sqlite: { in: () => 'IN (SELECT value FROM json_each(?))', table: () => '(SELECT value FROM json_each(?))' },
  postgres: {
    in: (place: number) => `= ANY($${String(place)})`,
    table: (place: number) => `(SELECT unnest($${String(place)}::text[]) AS value)`,
  },
} as const;

const isList = (value: SqlArgument): value is SqlList => typeof value === 'object' && value !== null && 'list' in value;

/** The text of a statement in an engine's dialect, and its parameters. */
export const render = (query: Sql, engine: Engine): { text: string; values: (SqlValue | readonly (string | number)[])[] } => {
  let text = query.parts[0] ?? '';
  const values: (SqlValue | readonly (string | number)[])[] = [];
  query.values.forEach((value, index) => {
    const next = query.parts[index + 1] ?? '';
    if (isList(value)) {
      text += PLACEHOLDERS[engine][value.isTable === true ? 'table' : 'in'](index + 1) + next;
      values.push(engine === 'sqlite' ? JSON.stringify(value.list) : value.list);
    } else {
      text += (engine === 'sqlite' ? '?' : `$${String(index + 1)}`) + next;
      values.push(value);
    }
  });
  return { text, values };
};
