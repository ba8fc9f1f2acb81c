import { createHash } from 'node:crypto';
import type { Client, PoolClient, QueryResult } from 'pg';
import { DatabaseError } from '#src/platform/database/errors.ts';
import { render } from '#src/platform/database/sql.ts';
import type { Sql, SqlArgument } from '#src/platform/database/types.ts';

const BOOL = 16;
const INT8 = 20;
const NUMERIC = 1700;
const BYTEA = 17;
const PLAIN_NUMBERS = new Set([21, 23, 26, 700, 701]);

const toNumber = (text: string): number => {
  const number = Number(text);
  if (Number.isInteger(number) && !Number.isSafeInteger(number)) {
    throw new DatabaseError(`The database answered ${text}, which is beyond what a number holds exactly (2^53)`);
  }
  return number;
};

const toBytes = (text: string): Buffer => Buffer.from(text.slice(2), 'hex');

/** Reads values as SQLite gives them: integers and sums as numbers, truth as 0 or 1, bytes as bytes, everything else as text. */
export const parseType = (oid: number): ((text: string) => unknown) => {
  if (oid === INT8 || oid === NUMERIC) return toNumber;
  if (PLAIN_NUMBERS.has(oid)) return Number;
  if (oid === BOOL) return (text) => (text === 't' ? 1 : 0);
  if (oid === BYTEA) return toBytes;
  return (text) => text;
};

export type Connection = Client | PoolClient;

interface Named {
  readonly text: string;
  readonly name: string;
  /** Which of the values were lists when the text was made. */
  readonly lists: string;
}

/** A name for a prepared statement, the same for the same text. */
export const statementName = (text: string): string => `m${createHash('sha256').update(text).digest('base64url').slice(0, 22)}`;

const MAX_STATEMENTS = 2000;
const listsOf = (values: readonly SqlArgument[]): string =>
  values.map((value) => (typeof value === 'object' && value !== null && 'list' in value ? '1' : '0')).join('');

export type Run = (connection: Connection, query: Sql) => Promise<QueryResult<object>>;

/** Runs statements as prepared ones, under names that are kept by template. */
export const createStatements = (): Run => {
  const byParts = new Map<readonly string[], Named>();
  return (connection, query) => {
    const { text, values } = render(query, 'postgres');
    const lists = listsOf(query.values);
    let named = byParts.get(query.parts);
    if (named?.lists !== lists) {
      if (byParts.size >= MAX_STATEMENTS) byParts.clear();
      named = { text, name: statementName(text), lists };
      byParts.set(query.parts, named);
    }
    return connection.query<object>({ name: named.name, text: named.text, values });
  };
};
