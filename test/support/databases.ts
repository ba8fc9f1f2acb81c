import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { systemClock } from '#src/platform/clock.ts';
import { openDatabase } from '#src/platform/database/index.ts';
import type { DatabaseConfig, OpenOptions } from '#src/platform/database/index.ts';
import type { Database, Engine } from '#src/platform/database/types.ts';
import { silentLogger } from '#src/platform/logging/index.ts';
import { NO_POSTGRES, makePostgres, postgresPrograms } from './postgres.ts';

/** Opens the test's database, as often as it likes; what it leaves open is closed at its end. */
export interface Open {
  (options?: Partial<OpenOptions>): Promise<Database>;
  readonly engine: Engine;
  readonly config: DatabaseConfig;
}

export const silent = silentLogger;

interface Place {
  readonly config: DatabaseConfig;
  readonly remove: () => Promise<void>;
}

const sqlitePlace = (): Place => {
  const folder = mkdtempSync(join(tmpdir(), 'myelin-test-'));
  const config: DatabaseConfig = { name: 'sqlite3', args: { database: join(folder, 'test.db') } };
  return { config, remove: async () => rmSync(folder, { recursive: true, force: true }) };
};

const postgresPlace = async (empty: boolean): Promise<Place> => {
  const { config, drop } = await makePostgres(empty ? 'empty' : 'migrated');
  return { config, remove: drop };
};

const run = async (t: TestContext, engine: Engine, { config, remove }: Place, body: Body): Promise<void> => {
  const opened: Database[] = [];
  const open = async (options: Partial<OpenOptions> = {}): Promise<Database> => {
    const database = await openDatabase({ config, writer: 'master', clock: systemClock, logger: silent, ...options });
    opened.push(database);
    return database;
  };
  try {
    await body(t, Object.assign(open, { engine, config }));
  } finally {
    await Promise.allSettled(opened.map((database) => database.close()));
    await remove();
  }
};

type Body = (t: TestContext, open: Open) => Promise<void>;

export interface Choice {
  /** Only on this engine. */
  readonly only?: Engine;
  /** Without the schema, for tests of migrations. */
  readonly empty?: boolean;
}

/** Declares a test twice: on SQLite in a folder of its own, and on PostgreSQL where it is found. */
export const withBothDatabases = (name: string, body: Body, { only, empty = false }: Choice = {}): void => {
  if (only !== 'postgres') void test(`${name} (SQLite)`, (t) => run(t, 'sqlite', sqlitePlace(), body));
  if (only === 'sqlite') return;
  void test(`${name} (PostgreSQL)`, async (t) => {
    if (postgresPrograms() === undefined) t.skip(NO_POSTGRES);
    else await run(t, 'postgres', await postgresPlace(empty), body);
  });
};
