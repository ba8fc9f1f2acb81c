import type { Pool, PoolClient } from 'pg';
import type { EngineDatabase } from '#src/platform/database/engine.ts';
import { lend } from '#src/platform/database/postgres/connect.ts';
import type { Run } from '#src/platform/database/postgres/values.ts';
import { runReader } from '#src/platform/database/transaction.ts';
import type { Reader, Sql } from '#src/platform/database/types.ts';

/** Ends the transaction without making anybody wait for it; the connection is lent again when that is done. */
const finish = async (client: PoolClient): Promise<void> => {
  try {
    await client.query('COMMIT');
    client.release();
  } catch {
    client.release(true);
  }
};

/**
 * Reads on the pool's connections. A body always has a snapshot of its own: whether it will run a second statement is not
 * known at the first, so each begins a transaction, and BEGIN travels with the first statement and COMMIT is not waited for.
 * That costs no round trip.
 */
export const createReads = (pool: Pool, run: Run): Pick<EngineDatabase, 'read' | 'readLong'> => ({
  read: async <T>(name: string, body: (reader: Reader) => Promise<T>): Promise<T> => {
    const client = await lend(pool);
    const begun = client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    // If this fails, so does every statement that follows.
    begun.catch(() => undefined);
    try {
      return await runReader(name, { engine: 'postgres', all: async (query) => (await run(client, query)).rows }, body);
    } finally {
      void finish(client);
    }
  },
  readLong: async <Row extends object>(_name: string, query: Sql): Promise<Row[]> => {
    const client = await lend(pool);
    try {
      return (await run(client, query)).rows as Row[];
    } finally {
      client.release();
    }
  },
});
