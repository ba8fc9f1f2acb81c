import type { Clock } from '#src/platform/clock.ts';
import type { EngineDatabase } from '#src/platform/database/engine.ts';
import { CommitInDoubt, DatabaseError } from '#src/platform/database/errors.ts';
import { createGroupCommit } from '#src/platform/database/group-commit.ts';
import { createLeases } from '#src/platform/database/leases.ts';
import { MIGRATIONS_FOLDER } from '#src/platform/database/migrations.ts';
import { createPositions, positionRows } from '#src/platform/database/positions.ts';
import type { PositionRow, Positions } from '#src/platform/database/positions.ts';
import { openSqlite } from '#src/platform/database/sqlite/open.ts';
import type { SqliteOptions } from '#src/platform/database/sqlite/open.ts';
import type { Database, DatabaseMetrics } from '#src/platform/database/types.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import { systemRandom } from '#src/platform/random.ts';
import type { Random } from '#src/platform/random.ts';

const MAX_GROUP_JOBS = 500;
const STORE_RAISED_MS = 100;

/** The `database` section of the configuration. */
export interface DatabaseConfig {
  readonly name: 'sqlite3' | 'psycopg2';
  readonly args?: Readonly<Record<string, unknown>> | undefined;
  readonly allow_unsafe_locale?: boolean | undefined;
  readonly synchronous_commit?: boolean | undefined;
}

export interface OpenOptions {
  readonly config: DatabaseConfig;
  /** This process's name as a writer: `worker_name`, or `master`. */
  readonly writer: string;
  /** Which processes write which streams (`stream_writers`); a stream that is not named is `master`'s. Without it, this process writes all. */
  readonly writers?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly migrationsFolder?: string | undefined;
  readonly clock: Clock;
  readonly random?: Random | undefined;
  readonly logger: Logger;
  readonly metrics?: DatabaseMetrics | undefined;
  /** Settings of the SQLite driver that are not in the configuration. */
  readonly sqlite?: Pick<SqliteOptions, 'wrapSync' | 'maxLogBytes' | 'idleMs'> | undefined;
}

const openEngine = async (options: OpenOptions, positions: Positions): Promise<EngineDatabase> => {
  const { config, clock, random = systemRandom, logger, sqlite, writer, writers = {}, migrationsFolder = MIGRATIONS_FOLDER } = options;
  const args = config.args ?? {};
  if (config.name === 'sqlite3') {
    const path = args['database'];
    if (typeof path !== 'string' || path === '')
      throw new DatabaseError('database.args.database must name the SQLite file, or be ":memory:".');
    return openSqlite({ path, migrationsFolder, clock, logger, ...sqlite }, positions);
  }
  const { openPostgres } = await import('#src/platform/database/postgres/open.ts');
  const sharedStreams = Object.entries(writers)
    .map(([stream, names]) => ({ stream, writers: names }))
    .filter((shared) => shared.writers.length > 1);
  return openPostgres({ config, writer, sharedStreams, migrationsFolder, clock, random, logger }, positions);
};

/** Opens the database that the configuration names, and brings its schema up to date. */
export const openDatabase = async (options: OpenOptions): Promise<Database> => {
  const { writer, clock, logger, metrics } = options;
  let storeLater: NodeJS.Timeout | undefined;
  const storePositions = (): void => {
    storeLater = undefined;
    write('store positions', () => Promise.resolve()).catch((error: unknown) => {
      logger.warn({ err: error }, 'The positions of the streams could not be stored; the next write will do it');
    });
  };
  const onRaise = (): void => {
    storeLater ??= setTimeout(storePositions, STORE_RAISED_MS).unref();
  };
  const positions = createPositions({ writer, writers: options.writers, logger, onRaise });
  const engine = await openEngine(options, positions);
  const commits = createGroupCommit({
    maxJobs: MAX_GROUP_JOBS,
    publish: positions.publish,
    clock,
    logger,
    metrics,
    runGroup: async (take) => {
      try {
        return await engine.runGroup(take);
      } catch (error) {
        // Numbers of a commit that may have been done stay under way until the connection is back and the truth is known.
        if (!(error instanceof CommitInDoubt)) positions.giveUp();
        throw error;
      }
    },
  });
  engine.attach(commits.exclusive);

  const write: Database['write'] = async <T>(name: string, body: Parameters<typeof commits.write>[0]['body']) =>
    (await commits.write({ name, body })) as T;
  const timed = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const start = clock.monotonic();
    try {
      return await work();
    } finally {
      metrics?.transaction(name, (clock.monotonic() - start) / 1000);
    }
  };
  const read: Database['read'] = (name, body) => timed(name, () => engine.read(name, body));
  const refreshPositions = async (): Promise<void> => {
    const rows = await read('refresh positions', (reader) => reader.all<PositionRow>(positionRows));
    for (const row of rows) positions.observe(row.stream, row.writer, row.position);
  };
  try {
    positions.load(await read('load positions', (reader) => reader.all<PositionRow>(positionRows)));
  } catch (error) {
    await engine.close();
    throw error;
  }

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    clearTimeout(storeLater);
    await commits.stop();
    await engine.close();
  };
  return {
    engine: engine.engine,
    writer,
    read,
    write,
    readLong: (name, query) => timed(name, () => engine.readLong(name, query)),
    positions,
    refreshPositions,
    leases: createLeases({ write, writer }, clock),
    close: () => (closing ??= close()),
  };
};
