import pg from 'pg';
import type { Client, ClientConfig, Pool } from 'pg';
import type { Clock } from '#src/platform/clock.ts';
import type { EngineDatabase, MigrationConnection } from '#src/platform/database/engine.ts';
import { DatabaseError, messageOf } from '#src/platform/database/errors.ts';
import type { DatabaseConfig } from '#src/platform/database/index.ts';
import { migrate } from '#src/platform/database/migrations.ts';
import { clientConfig, poolSize, prefersTls } from '#src/platform/database/postgres/config.ts';
import { connectPatiently, lend } from '#src/platform/database/postgres/connect.ts';
import { createGroups } from '#src/platform/database/postgres/group.ts';
import { createReads } from '#src/platform/database/postgres/reads.ts';
import { createStatements } from '#src/platform/database/postgres/values.ts';
import type { Run } from '#src/platform/database/postgres/values.ts';
import { createWriter } from '#src/platform/database/postgres/writer.ts';
import { positionRows } from '#src/platform/database/positions.ts';
import type { PositionRow, Positions } from '#src/platform/database/positions.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Sql } from '#src/platform/database/types.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import type { Random } from '#src/platform/random.ts';

export interface PostgresOptions {
  readonly config: DatabaseConfig;
  readonly writer: string;
  /** The streams that several processes write. */
  readonly sharedStreams: readonly { readonly stream: string; readonly writers: readonly string[] }[];
  readonly migrationsFolder: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

const OLDEST_SERVER = 110_000;
const MIGRATE_LOCK = `hashtext('myelin migrate')`;
const MAX_MARKER = 2 ** 48;

interface ServerFacts {
  readonly version: number;
  readonly encoding: string;
  readonly collate: string;
  readonly ctype: string;
}

const SERVER_FACTS = `
SELECT current_setting('server_version_num')::int AS version, current_setting('server_encoding') AS encoding,
  datcollate AS collate, datctype AS ctype
FROM pg_database WHERE datname = current_database()`;

/** Throws when the server or its database would not keep our data as we need it. */
const checkServer = async (client: Client, allowUnsafeLocale: boolean): Promise<void> => {
  const { rows } = await client.query<ServerFacts>(SERVER_FACTS);
  const facts = rows[0];
  if (facts === undefined) throw new DatabaseError('The PostgreSQL server does not know the database that it is connected to.');
  if (facts.version < OLDEST_SERVER) {
    throw new DatabaseError(`PostgreSQL 11 or newer is needed; the server's version number is ${String(facts.version)}.`);
  }
  if (facts.encoding !== 'UTF8') throw new DatabaseError(`The database must have the encoding UTF8; it has ${facts.encoding}.`);
  const safe = [facts.collate, facts.ctype].every((locale) => locale === 'C' || locale === 'POSIX');
  if (safe || allowUnsafeLocale) return;
  throw new DatabaseError(
    `The database must have the locale C, or an upgrade of the system's locales can damage its indexes; it has COLLATE ${facts.collate}, ` +
      `CTYPE ${facts.ctype}. Create it with: CREATE DATABASE … ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0. ` +
      'Or set database.allow_unsafe_locale if you know what you are doing.',
  );
};

const migrationConnection = (client: Client, run: Run): MigrationConnection => ({
  engine: 'postgres',
  all: async <Row extends object>(query: Sql) => (await run(client, query)).rows as Row[],
  run: async (query) => (await run(client, query)).rowCount ?? 0,
  script: async (text) => void (await client.query(text)),
});

/** Makes the rows that a stream with several writers needs before the first of them writes. */
const prepareShared = async (connection: MigrationConnection, { sharedStreams }: PostgresOptions): Promise<void> => {
  for (const { stream, writers } of sharedStreams) {
    await connection.run(sql`
      INSERT INTO stream_sequences (stream, last) SELECT ${stream}, COALESCE(MAX(position), 0) FROM stream_positions WHERE stream = ${stream}
      ON CONFLICT (stream) DO UPDATE SET last = GREATEST(stream_sequences.last, excluded.last)`);
    // A writer that never ran has written nothing up to here; its row keeps the others from thinking so of what it will write.
    for (const writer of writers) {
      await connection.run(sql`
        INSERT INTO stream_positions (stream, writer, position)
        SELECT ${stream}, ${writer}, COALESCE(MAX(position), 0) FROM stream_positions WHERE stream = ${stream}
        ON CONFLICT (stream, writer) DO NOTHING`);
    }
  }
};

/** Checks the server and migrates, on a connection of its own; a second process that starts meanwhile waits. */
const prepareDatabase = async (config: ClientConfig, run: Run, options: PostgresOptions): Promise<void> => {
  const { clock, logger, migrationsFolder } = options;
  const client = await connectPatiently(config, (made) => Promise.resolve(made), { clock, logger });
  try {
    const allowUnsafeLocale = options.config.allow_unsafe_locale === true;
    await checkServer(client, allowUnsafeLocale);
    await client.query(`SELECT pg_advisory_lock(${MIGRATE_LOCK}, 0)`);
    const connection = migrationConnection(client, run);
    await migrate(connection, migrationsFolder, clock, logger);
    await prepareShared(connection, options);
  } finally {
    await client.end();
  }
};

/** libpq's `prefer`: TLS where the server has it, else plain. */
const settleTls = async (config: ClientConfig, args: Readonly<Record<string, unknown>>): Promise<ClientConfig> => {
  if (config.ssl === undefined || !prefersTls(args)) return config;
  const client = new pg.Client(config);
  try {
    await client.connect();
    return config;
  } catch (error) {
    return messageOf(error).includes('does not support SSL') ? { ...config, ssl: false } : config;
  } finally {
    await client.end().catch(() => undefined);
  }
};

/** Numbers of shared streams come from a row that is counted up outside of the group's transaction, so that none is given twice. */
const sharedNumbers =
  (pool: Pool, run: Run) =>
  async (stream: string, count: number): Promise<number> => {
    const client = await lend(pool);
    try {
      const { rows } = await run(client, sql`UPDATE stream_sequences SET last = last + ${count} WHERE stream = ${stream} RETURNING last`);
      const last = (rows[0] as { last: number } | undefined)?.last;
      if (last === undefined) throw new DatabaseError(`The stream "${stream}" has no sequence`);
      return last - count + 1;
    } finally {
      client.release();
    }
  };

/** Opens a database on a PostgreSQL server. */
export const openPostgres = async (options: PostgresOptions, positions: Positions): Promise<EngineDatabase> => {
  const { writer: writerName, clock, random, logger } = options;
  const args = options.config.args ?? {};
  const config = await settleTls(clientConfig(args, writerName), args);
  const run = createStatements();
  await prepareDatabase(config, run, options);

  const makePool = (more: ClientConfig & { max: number }): Pool => {
    const pool = new pg.Pool({ ...config, ...more });
    pool.on('error', (error) => logger.warn({ err: error }, 'An idle connection to the database was lost'));
    // A connection that is lost while it is lent shows in the statement that was under way.
    pool.on('connect', (client) => client.on('error', () => undefined));
    return pool;
  };
  const pool = makePool({ max: poolSize(args) });
  // Its writes need no sync of their own: a number is in the log before the rows that use it.
  const sequencePool = makePool({ max: 1, options: `${config.options ?? ''} -c synchronous_commit=off` });
  const writer = createWriter({
    config,
    writer: writerName,
    synchronousCommit: options.config.synchronous_commit !== false,
    clock,
    logger,
  });
  const reads = createReads(pool, run);
  const close = async (): Promise<void> => {
    await Promise.all([writer.close(), pool.end(), sequencePool.end()]);
  };
  const runGroup = createGroups({
    writer,
    writerName,
    positions,
    run,
    takeShared: sharedNumbers(sequencePool, run),
    reload: async () => positions.load(await reads.read('load positions', (reader) => reader.all<PositionRow>(positionRows))),
    newMarker: () => 1 + random.below(MAX_MARKER - 1),
  });
  try {
    await writer.get();
  } catch (error) {
    await close();
    throw error;
  }
  return { engine: 'postgres', runGroup, ...reads, attach: () => undefined, close };
};

/** Only the reading half, on two connections: for a program that looks at the database beside the server. */
export const openPostgresReads = async (config: DatabaseConfig): Promise<Pick<EngineDatabase, 'read' | 'close'>> => {
  const args = config.args ?? {};
  const pool = new pg.Pool({ ...(await settleTls(clientConfig(args, 'doctor'), args)), max: 2 });
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return { read: createReads(pool, createStatements()).read, close: async () => pool.end() };
};
