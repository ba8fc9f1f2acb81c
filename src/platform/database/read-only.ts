import { resolve } from 'node:path';
import type { Clock } from '#src/platform/clock.ts';
import { DatabaseError, messageOf } from '#src/platform/database/errors.ts';
import type { DatabaseConfig } from '#src/platform/database/index.ts';
import { openConnection, withPath } from '#src/platform/database/sqlite/connection.ts';
import { runReader } from '#src/platform/database/transaction.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Logger } from '#src/platform/logging/index.ts';

/** A database that is only looked at, also while a server works on it. Writing to it throws `DatabaseError`. */
export type ReadOnlyDatabase = Pick<Database, 'engine' | 'read' | 'write' | 'close'>;

export interface ReadOnlyOptions {
  readonly config: DatabaseConfig;
  readonly clock: Clock;
  readonly logger: Logger;
}

const refuseWrite: Database['write'] = async (name) => {
  throw new DatabaseError(`The database is open for reading only; it was asked to write (${name}).`);
};

const openSqliteFile = ({ config, clock, logger }: ReadOnlyOptions): ReadOnlyDatabase => {
  const name = config.args?.['database'];
  if (typeof name !== 'string' || name === ':memory:') throw new DatabaseError('A database in memory cannot be looked at from outside.');
  const path = resolve(name);
  try {
    // What a long statement costs matters to a server; nobody waits for this process.
    const connection = openConnection({ path, readOnly: true, clock, logger });
    connection.raw.exec('PRAGMA busy_timeout = 5000');
    let last: Promise<unknown> = Promise.resolve();
    const alone = async <T>(label: string, body: Parameters<Database['read']>[1]): Promise<T> => {
      connection.control('BEGIN');
      try {
        return (await runReader(label, { engine: 'sqlite', all: (query) => connection.all(label, query) }, body)) as T;
      } finally {
        connection.control('COMMIT');
      }
    };
    return {
      engine: 'sqlite',
      // One connection has one snapshot at a time: reads wait for one another.
      read: async <T>(label: string, body: Parameters<Database['read']>[1]): Promise<T> => {
        const mine = last.then(() => alone<T>(label, body));
        last = mine.catch(() => undefined);
        return mine;
      },
      write: refuseWrite,
      close: async () => connection.close(),
    };
  } catch (error) {
    const named = withPath(path, error);
    throw named === error ? new DatabaseError(`The database file ${path} cannot be opened: ${messageOf(error)}`, { cause: error }) : named;
  }
};

/**
 * Opens the database of the configuration for reading, beside a server or without one: takes no lock, changes nothing, not even the schema. Each `read` sees
 * one state and ends soon, so that it does not keep the server from tidying its log. Throws `DatabaseError`.
 */
export const openReadOnly = async (options: ReadOnlyOptions): Promise<ReadOnlyDatabase> => {
  if (options.config.name === 'sqlite3') return openSqliteFile(options);
  const { openPostgresReads } = await import('#src/platform/database/postgres/open.ts');
  return { engine: 'postgres', write: refuseWrite, ...(await openPostgresReads(options.config)) };
};
