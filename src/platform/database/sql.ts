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

const isSql = (value: SqlArgument | Sql): value is Sql => typeof value === 'object' && value !== null && 'parts' in value;

/** Texts that were put together, by those that they were put together of: the same text is the same object. */
const nested = new WeakMap<readonly string[], { readonly within: readonly (readonly string[])[]; readonly parts: readonly string[] }[]>();

const nest = (parts: readonly string[], within: readonly (readonly string[] | undefined)[]): readonly string[] => {
  const made: string[] = [];
  let text = parts[0] ?? '';
  for (const [index, inner] of within.entries()) {
    const [first, ...rest] = inner ?? [];
    if (first !== undefined) text += first;
    for (const part of inner === undefined ? [''] : rest) {
      made.push(text);
      text = part;
    }
    text += parts[index + 1] ?? '';
  }
  return [...made, text];
};

const withStatements = (parts: readonly string[], values: readonly (SqlArgument | Sql)[]): Sql => {
  const within = values.flatMap((value) => (isSql(value) ? [value.parts] : []));
  const known = nested.get(parts) ?? [];
  let found = known.find((each) => each.within.length === within.length && each.within.every((inner, index) => inner === within[index]));
  if (found === undefined) {
    found = {
      within,
      parts: nest(
        parts,
        values.map((value) => (isSql(value) ? value.parts : undefined)),
      ),
    };
    nested.set(parts, [...known, found]);
  }
  return { parts: found.parts, values: values.flatMap((value) => (isSql(value) ? value.values : [value])) };
};

/**
 * Builds a statement for both engines: `` sql`SELECT name FROM users WHERE user_num = ${num}` ``. Values become parameters, never text; a statement in their place
 * becomes a part of this one.
 */
export const sql = (parts: TemplateStringsArray, ...values: (SqlArgument | Sql)[]): Sql =>
  values.some(isSql) ? withStatements(parts, values) : { parts, values: values as SqlArgument[] };

sql.in = (list: readonly (string | number)[]): SqlList => ({ list });

/**
 * Texts as a table of one column, `value`: `FROM ${sql.texts(ids)} AS wanted CROSS JOIN nodes WHERE node_id = wanted.value` looks each of them up by index. With
 * `sql.in` PostgreSQL may rather read all that the other conditions leave, when it knows little of the table yet or the list is long.
 */
sql.texts = (list: readonly string[]): SqlList => ({ list, isTable: true });

const unions = new WeakMap<readonly string[], Map<number, readonly string[]>>();

/** The rows of several statements that differ in their values alone; at least one. */
sql.unionAll = (queries: readonly Sql[]): Sql => {
  const [first] = queries;
  if (first === undefined || queries.some((query) => query.parts !== first.parts))
    throw new Error('Only statements of one form are united');
  const known = unions.get(first.parts) ?? new Map<number, readonly string[]>();
  unions.set(first.parts, known);
  let parts = known.get(queries.length);
  if (parts === undefined) {
    const between = queries.map((_, index) => (index === 0 ? '' : ' UNION ALL '));
    parts = nest(
      [...between, ''],
      queries.map((query) => query.parts),
    );
    known.set(queries.length, parts);
  }
  return { parts, values: queries.flatMap((query) => query.values) };
};

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
