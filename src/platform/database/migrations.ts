import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Clock } from '#src/platform/clock.ts';
import type { MigrationConnection } from '#src/platform/database/engine.ts';
import { DatabaseError } from '#src/platform/database/errors.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Engine } from '#src/platform/database/types.ts';
import type { Logger } from '#src/platform/logging/index.ts';

export const MIGRATIONS_FOLDER = fileURLToPath(new URL('../../migrations', import.meta.url));

interface Migration {
  readonly number: number;
  readonly file: string;
  readonly text: string;
  readonly checksum: string;
  /** The oldest schema version whose program can still work on the database after this migration. */
  readonly oldestCompatible: number;
}

interface Applied {
  readonly number: number;
  readonly name: string;
  readonly checksum: string;
}

const FILE_NAME = /^(\d{4})-[a-z0-9-]+\.sql$/;
const OLDEST_COMPATIBLE = /^-- oldest compatible: (\d+)$/m;
const SYNAPSE_TABLES = ['applied_schema_deltas', 'schema_compat_version', 'event_json'];

const BOOKKEEPING = `
CREATE TABLE schema_migrations (number BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_ts BIGINT NOT NULL);
CREATE TABLE schema_version (version BIGINT NOT NULL, oldest_compatible BIGINT NOT NULL);
`;

/** Throws when the database is Synapse's, before anything in it was touched. */
export const refuseSynapse = (tables: ReadonlySet<string>): void => {
  const found = SYNAPSE_TABLES.filter((table) => tables.has(table));
  if (found.length === 0) return;
  throw new DatabaseError(
    `This database holds Synapse's own tables (${found.join(', ')}); it was left as it is. ` +
      `Give Myelin an empty database in "database", and bring the old one over with: myelin import-synapse`,
  );
};

/**
 * A migration's text in an engine's dialect. The text is PostgreSQL's, except for the named differences:
 * `BIGINT PRIMARY KEY` is a rowid alias on SQLite, `BYTEA` its `BLOB`, and a comment that starts with `sqlite:` or `postgres:` is
 * text for that engine only.
 */
export const inDialect = (text: string, engine: Engine): string => {
  const own = text.replaceAll(new RegExp(`/\\*${engine}:(.*?)\\*/`, 'gs'), '$1');
  if (engine === 'postgres') return own;
  return own.replaceAll(/\bBIGINT PRIMARY KEY\b/g, 'INTEGER PRIMARY KEY').replaceAll(/\bBYTEA\b/g, 'BLOB');
};

const readMigrations = async (folder: string): Promise<Migration[]> => {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.sql')).sort();
  const migrations = await Promise.all(
    files.map(async (file) => {
      const digits = FILE_NAME.exec(file)?.[1];
      if (digits === undefined) throw new DatabaseError(`${join(folder, file)}: a migration is named like 0001-some-words.sql`);
      const text = await readFile(join(folder, file), 'utf8');
      const number = Number(digits);
      const checksum = createHash('sha256').update(text).digest('hex');
      return { number, file, text, checksum, oldestCompatible: Number(OLDEST_COMPATIBLE.exec(text)?.[1] ?? number) };
    }),
  );
  migrations.forEach(({ number, file }, index) => {
    if (migrations[index - 1]?.number === number)
      throw new DatabaseError(`Two migrations have the number ${String(number)}: ${file} is one of them`);
  });
  return migrations;
};

const tablesOf = async (connection: MigrationConnection): Promise<Set<string>> => {
  const rows = await connection.all<{ name: string }>(
    connection.engine === 'sqlite'
      ? sql`SELECT name FROM sqlite_schema WHERE type = 'table'`
      : sql`SELECT tablename AS name FROM pg_tables WHERE schemaname = ANY(current_schemas(false))`,
  );
  return new Set(rows.map(({ name }) => name));
};

const refuseDowngrade = async (connection: MigrationConnection, newest: number): Promise<void> => {
  const [row] = await connection.all<{ version: number; oldest: number }>(
    sql`SELECT version, oldest_compatible AS oldest FROM schema_version`,
  );
  if (row === undefined || row.oldest <= newest) return;
  throw new DatabaseError(
    `The database was written by a newer Myelin: it has schema version ${String(row.version)} and needs a program that knows at least ` +
      `version ${String(row.oldest)}; this one knows ${String(newest)}. Run the newer Myelin again, or restore the backup from before the upgrade.`,
  );
};

const refuseChanged = (migrations: readonly Migration[], applied: readonly Applied[]): void => {
  const last = Math.max(0, ...applied.map(({ number }) => number));
  const done = new Map(applied.map((row) => [row.number, row]));
  for (const { number, file, checksum } of migrations) {
    const row = done.get(number);
    if (row === undefined && number < last) {
      throw new DatabaseError(
        `The migration ${file} comes too late: the database already has number ${String(last)}. Give it a number above that.`,
      );
    }
    if (row !== undefined && row.checksum !== checksum) {
      throw new DatabaseError(
        `The migration ${file} is not the one that was applied to this database (as ${row.name}). Migrations never change: restore the file and add a new one.`,
      );
    }
  }
};

const apply = async (connection: MigrationConnection, migration: Migration, now: number): Promise<void> => {
  const { number, file, checksum, oldestCompatible, text } = migration;
  await connection.script('BEGIN');
  try {
    await connection.script(inDialect(text, connection.engine));
    await connection.run(
      sql`INSERT INTO schema_migrations (number, name, checksum, applied_ts) VALUES (${number}, ${file}, ${checksum}, ${now})`,
    );
    const [before] = await connection.all<{ oldest: number }>(sql`SELECT oldest_compatible AS oldest FROM schema_version`);
    await connection.run(sql`DELETE FROM schema_version`);
    const oldest = Math.max(oldestCompatible, before?.oldest ?? 0);
    await connection.run(sql`INSERT INTO schema_version (version, oldest_compatible) VALUES (${number}, ${oldest})`);
    await connection.script('COMMIT');
  } catch (error) {
    await connection.script('ROLLBACK').catch(() => undefined);
    throw new DatabaseError(`The migration ${file} failed and was rolled back`, { cause: error });
  }
};

/** Brings the database up to what this program knows, or throws a sentence that says why it cannot. */
export const migrate = async (connection: MigrationConnection, folder: string, clock: Clock, logger: Logger): Promise<void> => {
  const migrations = await readMigrations(folder);
  const tables = await tablesOf(connection);
  refuseSynapse(tables);
  if (!tables.has('schema_migrations')) await connection.script(inDialect(BOOKKEEPING, connection.engine));
  await refuseDowngrade(connection, migrations.at(-1)?.number ?? 0);
  const applied = await connection.all<Applied>(sql`SELECT number, name, checksum FROM schema_migrations`);
  refuseChanged(migrations, applied);
  const done = new Set(applied.map(({ number }) => number));
  for (const migration of migrations.filter(({ number }) => !done.has(number))) {
    await apply(connection, migration, clock.now());
    logger.info({ migration: migration.file }, 'Applied a database migration');
  }
};
