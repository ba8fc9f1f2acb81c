import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Clock } from '#src/platform/clock.ts';
import type { EngineDatabase, MigrationConnection } from '#src/platform/database/engine.ts';
import { messageOf, DatabaseError } from '#src/platform/database/errors.ts';
import { migrate, refuseSynapse } from '#src/platform/database/migrations.ts';
import type { Positions } from '#src/platform/database/positions.ts';
import { render, sql } from '#src/platform/database/sql.ts';
import { createCheckpoints } from '#src/platform/database/sqlite/checkpoints.ts';
import type { Checkpoints, LogState } from '#src/platform/database/sqlite/checkpoints.ts';
import { openConnection, withPath } from '#src/platform/database/sqlite/connection.ts';
import type { Connection } from '#src/platform/database/sqlite/connection.ts';
import { createDurability } from '#src/platform/database/sqlite/durability.ts';
import { createSqliteEngine } from '#src/platform/database/sqlite/engine.ts';
import { lockFile } from '#src/platform/database/sqlite/lock.ts';
import { createSnapshot } from '#src/platform/database/sqlite/snapshot.ts';
import { createThreadPool } from '#src/platform/database/sqlite/threads.ts';
import type { Sql } from '#src/platform/database/types.ts';
import type { Logger } from '#src/platform/logging/index.ts';

export interface SqliteOptions {
  /** The file, or `:memory:`. */
  readonly path: string;
  readonly migrationsFolder: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Wraps the sync of the log, so that a test can hold it, watch it or let it fail. */
  readonly wrapSync?: ((sync: () => Promise<void>) => Promise<void>) | undefined;
  /** The log is moved into the database file when it is larger than this. */
  readonly maxLogBytes?: number | undefined;
  /** … or when nothing was written for this long. */
  readonly idleMs?: number | undefined;
}

const MAX_LOG_BYTES = 4 * 1024 * 1024;
const IDLE_MS = 2000;
const LONG_READ_THREADS = 2;
const MAX_MAPPED_BYTES = 128 * 1024 * 1024;

const PRAGMAS = `
PRAGMA journal_mode = WAL;
PRAGMA cache_spill = OFF;
PRAGMA cache_size = -16000;
PRAGMA temp_store = MEMORY;
PRAGMA wal_autocheckpoint = 0;
PRAGMA journal_size_limit = 67108864;
`;

const migrationConnection = (connection: Connection): MigrationConnection => ({
  engine: 'sqlite',
  all: <Row extends object>(query: Sql) => Promise.resolve(connection.all('migrate', query) as Row[]),
  run: (query) => Promise.resolve(connection.run('migrate', query)),
  script: async (text) => connection.raw.exec(text),
});

/** Looks whether the file is Synapse's with a connection that cannot change it: switching to a log would write to it. */
const refuseSynapseFile = (path: string, clock: Clock, logger: Logger): void => {
  if (!existsSync(path) || statSync(path).size === 0) return;
  const connection = openConnection({ path, readOnly: true, clock, logger });
  try {
    const rows = connection.all('open', sql`SELECT name FROM sqlite_schema WHERE type = 'table'`) as { name: string }[];
    refuseSynapse(new Set(rows.map(({ name }) => name)));
  } finally {
    connection.close();
  }
};

const openInMemory = async ({ migrationsFolder, clock, logger }: SqliteOptions, positions: Positions): Promise<EngineDatabase> => {
  const writer = openConnection({ path: ':memory:', clock, logger });
  await migrate(migrationConnection(writer), migrationsFolder, clock, logger);
  const engine = createSqliteEngine({
    path: ':memory:',
    writer,
    snapshot: createSnapshot(writer, true),
    positions,
    sync: () => Promise.resolve(),
    afterGroup: () => undefined,
    clock,
    logger,
  });
  return {
    engine: 'sqlite',
    ...engine,
    readLong: (name, query) => engine.read(name, (reader) => reader.all(query)),
    attach: () => undefined,
    close: async () => writer.close(),
  };
};

const openWriter = async ({ path, migrationsFolder, clock, logger }: SqliteOptions): Promise<Connection> => {
  const writer = openConnection({ path, clock, logger });
  try {
    writer.raw.exec(`${PRAGMAS} PRAGMA synchronous = FULL;`);
    await migrate(migrationConnection(writer), migrationsFolder, clock, logger);
    // From here on the groups' durability is ours (see durability.ts). NORMAL is not OFF: SQLite still syncs the header when it
    // starts the log anew, without which old pages could come back after a power failure.
    writer.raw.exec('PRAGMA wal_checkpoint(PASSIVE); PRAGMA synchronous = NORMAL;');
    return writer;
  } catch (error) {
    writer.close();
    throw error;
  }
};

const openFile = async (options: SqliteOptions, positions: Positions): Promise<EngineDatabase> => {
  const { path, clock, logger, wrapSync = (sync) => sync(), maxLogBytes = MAX_LOG_BYTES } = options;
  const writer = await openWriter(options);
  const durability = createDurability(path, maxLogBytes);
  const sync = (): Promise<void> => wrapSync(() => durability.sync());
  const reader = openConnection({ path, readOnly: true, clock, logger });
  // What is read is mostly looked up here and there: from mapped memory a page costs neither a call nor a copy.
  reader.raw.exec(`PRAGMA busy_timeout = 1000; PRAGMA mmap_size = ${String(MAX_MAPPED_BYTES)}`);
  const snapshot = createSnapshot(reader, false);
  const threads = createThreadPool(path, LONG_READ_THREADS);
  const logState = writer.raw.prepare('PRAGMA wal_checkpoint(NOOP)');
  let checkpoints: Checkpoints | undefined;
  let exclusive: <T>(work: () => Promise<T>) => Promise<T> = (work) => work();

  const engine = createSqliteEngine({
    path,
    writer,
    snapshot,
    positions,
    sync,
    afterGroup: () => checkpoints?.afterGroup(),
    clock,
    logger,
  });
  return {
    engine: 'sqlite',
    ...engine,
    readLong: <Row extends object>(_name: string, query: Sql) =>
      threads.use(async (thread) => {
        // The thread starts up before groups have to wait for it.
        await thread.ask({ kind: 'release' });
        await exclusive(() => thread.ask({ kind: 'snapshot' }));
        try {
          return (await thread.ask({ kind: 'query', ...render(query, 'sqlite') })) as Row[];
        } finally {
          if (thread.alive) await thread.ask({ kind: 'release' });
        }
      }),
    attach: (betweenGroups) => {
      exclusive = betweenGroups;
      checkpoints = createCheckpoints({
        path,
        state: () => logState.get() as unknown as LogState,
        exclusive,
        renewSnapshot: snapshot.renew,
        maxLogBytes,
        idleMs: options.idleMs ?? IDLE_MS,
        logger,
      });
    },
    close: async () => {
      await Promise.all([checkpoints?.close(), threads.close(), durability.close()]);
      reader.close();
      // As the last connection, the writer moves the rest of the log into the file and removes the log.
      writer.close();
    },
  };
};

/** Opens a database on SQLite; the file is this process's alone until `close`. */
export const openSqlite = async (given: SqliteOptions, positions: Positions): Promise<EngineDatabase> => {
  if (given.path === ':memory:') return openInMemory(given, positions);
  const options = { ...given, path: resolve(given.path) };
  const { path, clock, logger } = options;
  let unlock: (() => void) | undefined;
  try {
    refuseSynapseFile(path, clock, logger);
    unlock = lockFile(path);
    const engine = await openFile(options, positions);
    return {
      ...engine,
      close: async () => {
        await engine.close();
        unlock?.();
      },
    };
  } catch (error) {
    unlock?.();
    if (error instanceof DatabaseError) throw error;
    const named = withPath(path, error);
    throw named === error ? new DatabaseError(`The database file ${path} cannot be opened: ${messageOf(error)}`, { cause: error }) : named;
  }
};
