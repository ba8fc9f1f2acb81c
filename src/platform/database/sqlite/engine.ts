import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '#src/platform/clock.ts';
import type { EngineDatabase } from '#src/platform/database/engine.ts';
import { DatabaseError, LeaseLost } from '#src/platform/database/errors.ts';
import type { Job, Outcome, RunGroup } from '#src/platform/database/group-commit.ts';
import type { Positions } from '#src/platform/database/positions.ts';
import { sql } from '#src/platform/database/sql.ts';
import { isBusy, withPath } from '#src/platform/database/sqlite/connection.ts';
import type { Connection } from '#src/platform/database/sqlite/connection.ts';
import type { Snapshot } from '#src/platform/database/sqlite/snapshot.ts';
import { runReader, runWriter } from '#src/platform/database/transaction.ts';
import type { ReadStatements, WriteStatements } from '#src/platform/database/transaction.ts';
import { positionsTable } from '#src/platform/database/tables.ts';
import type { Reader } from '#src/platform/database/types.ts';
import type { Logger } from '#src/platform/logging/index.ts';

/** A group keeps the main thread no longer than this before it commits; what waits goes into the next. */
const MAX_GROUP_MS = 10;
const BUSY_RETRIES = 5;

export interface SqliteParts {
  readonly path: string;
  readonly writer: Connection;
  /** What reads see; in memory, its connection is the writer's. */
  readonly snapshot: Snapshot;
  readonly positions: Positions;
  /** Resolves when what was committed is on the disk. */
  readonly sync: () => Promise<void>;
  /** Called after each group that became durable. */
  readonly afterGroup: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The statements of one job, run at once on the writer's connection. */
const statementsOf = (name: string, connection: Connection, positions: Positions): WriteStatements => ({
  engine: 'sqlite',
  all: (query) => connection.all(name, query),
  run: (query) => connection.run(name, query),
  insert: (table, row) => connection.add(name, 'insert', table, row),
  put: (table, row) => connection.add(name, 'put', table, row),
  takePositions: (stream, count) => {
    positions.begin(stream);
    return positions.allocate(stream, count);
  },
  fence: (lease) => {
    const held = connection.all(name, sql`SELECT 1 FROM leases WHERE name = ${lease.name} AND epoch = ${lease.epoch}`);
    if (held.length === 0) throw new LeaseLost(lease.name);
  },
});

const begin = async (writer: Connection): Promise<void> => {
  for (let attempt = 0; ; attempt += 1) {
    try {
      writer.control('BEGIN IMMEDIATE');
      return;
    } catch (error) {
      if (!isBusy(error) || attempt === BUSY_RETRIES) throw error;
      await pause(10 * 2 ** attempt);
    }
  }
};

const runJob = async (job: Job, writer: Connection, positions: Positions): Promise<Outcome> => {
  writer.control('SAVEPOINT job');
  try {
    const ran = await runWriter(job.name, statementsOf(job.name, writer, positions), job.body);
    writer.control('RELEASE job');
    return { ran };
  } catch (error) {
    // Some faults (no memory, a failing disk) make SQLite roll the whole transaction back: then the group has failed.
    if (!writer.raw.isTransaction) throw error;
    writer.control('ROLLBACK TO job');
    writer.control('RELEASE job');
    return { error };
  }
};

/**
 * SQLite behind the group committer. One connection writes; the reads of the main thread share another one, which holds a
 * snapshot open: the state after the last group that is on the disk. So a row that is committed and not yet synced is seen by
 * nobody, and readers never wait for the writer.
 */
export const createSqliteEngine = (parts: SqliteParts): Pick<EngineDatabase, 'runGroup' | 'read'> => {
  const { path, writer, snapshot, positions, sync, afterGroup, clock, logger } = parts;
  const shared = snapshot.connection === writer;
  /** With one connection for both, reads wait while a group is open. */
  let openGroup: Promise<void> | undefined;
  let broken: DatabaseError | undefined;

  const rollback = (): void => {
    if (writer.raw.isTransaction) writer.control('ROLLBACK');
  };

  const runJobs = async (take: () => Job | undefined): Promise<Outcome[]> => {
    const outcomes: Outcome[] = [];
    const start = clock.monotonic();
    while (clock.monotonic() - start < MAX_GROUP_MS) {
      const job = take();
      if (job === undefined) break;
      outcomes.push(await runJob(job, writer, positions));
    }
    return outcomes;
  };

  /** Commits; false when there was nothing to commit. */
  const runTransaction = async (take: () => Job | undefined): Promise<{ outcomes: Outcome[]; committed: boolean }> => {
    try {
      await begin(writer);
      const outcomes = await runJobs(take);
      if (!outcomes.some((outcome) => 'ran' in outcome)) {
        rollback();
        return { outcomes, committed: false };
      }
      const rows = positions.toStore(outcomes);
      for (const row of rows) writer.add('store positions', 'put', positionsTable, row);
      writer.control('COMMIT');
      positions.stored(rows);
      return { outcomes, committed: true };
    } catch (error) {
      rollback();
      throw withPath(path, error);
    }
  };

  const makeDurable = async (): Promise<void> => {
    try {
      await sync();
      await snapshot.renew();
    } catch (error) {
      broken = new DatabaseError(
        `The disk did not take what was written to ${path}. Nothing more is written until a restart, since what the file holds is uncertain.`,
        { cause: error },
      );
      logger.fatal({ err: error, path }, broken.message);
      throw broken;
    }
  };

  const runGroup: RunGroup = async (take) => {
    if (broken !== undefined) throw broken;
    let closeGroup = (): void => undefined;
    if (shared) {
      while (snapshot.busy) await turn();
      openGroup = new Promise((resolve) => {
        closeGroup = resolve;
      });
    }
    try {
      const { outcomes, committed } = await runTransaction(take);
      if (committed) {
        await makeDurable();
        afterGroup();
      }
      return outcomes;
    } finally {
      openGroup = undefined;
      closeGroup();
    }
  };

  return {
    runGroup,
    read: async <T>(name: string, body: (from: Reader) => Promise<T>): Promise<T> => {
      while (openGroup !== undefined) await openGroup;
      const all: ReadStatements['all'] = (query) => snapshot.connection.all(name, query);
      return snapshot.use(() => runReader(name, { engine: 'sqlite', all }, body));
    },
  };
};
