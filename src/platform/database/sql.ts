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
}

/**
 * Builds a statement for both engines: `` sql`SELECT name FROM users WHERE user_num = ${num}` ``. Values become parameters, never text.
 */
export const sql = (parts: TemplateStringsArray, ...values: SqlArgument[]): Sql => ({ parts, values });

sql.in = (list: readonly (string | number)[]): SqlList => ({ list });

const isList = (value: SqlArgument): value is SqlList => typeof value === 'object' && value !== null && 'list' in value;

/** The text of a statement in an engine's dialect, and its parameters. */
export const render = (query: Sql, engine: Engine): { text: string; values: (SqlValue | readonly (string | number)[])[] } => {
  let text = query.parts[0] ?? '';
  const values: (SqlValue | readonly (string | number)[])[] = [];
  query.values.forEach((value, index) => {
    const next = query.parts[index + 1] ?? '';
    if (isList(value)) {
      const placeholder = engine === 'sqlite' ? 'IN (SELECT value FROM json_each(?))' : `= ANY($${String(index + 1)})`;
      text += placeholder + next;
      values.push(engine === 'sqlite' ? JSON.stringify(value.list) : value.list);
    } else {
      text += (engine === 'sqlite' ? '?' : `$${String(index + 1)}`) + next;
      values.push(value);
    }
  });
  return { text, values };
};
