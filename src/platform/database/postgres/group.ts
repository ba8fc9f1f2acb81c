import { CommitInDoubt, DatabaseError } from '#src/platform/database/errors.ts';
import type { Job, Outcome, RunGroup } from '#src/platform/database/group-commit.ts';
import { createGroupTransaction, firstFailure } from '#src/platform/database/postgres/job.ts';
import type { GroupTransaction, JobOptions } from '#src/platform/database/postgres/job.ts';
import type { Writer, WriterConnection } from '#src/platform/database/postgres/writer.ts';
import { COMMIT_MARKER, positionsTable } from '#src/platform/database/tables.ts';

const RETRIES = 5;
/** Serialization failure, deadlock, lock not available. */
const CONFLICTS = new Set(['40001', '40P01', '55P03']);

interface Options extends JobOptions {
  readonly writer: Writer;
  readonly writerName: string;
  /** Takes in all positions again, because they may have moved without us. */
  readonly reload: () => Promise<void>;
  /** A number that no other group has. */
  readonly newMarker: () => number;
}

/** The group must be run again, job by job: a fault has spoilt the transaction that its jobs had in common. */
class Spoilt extends Error {}

/** The connection went away and nothing was committed: the group can be run again. */
class Lost extends Error {}

const isConflict = (error: unknown): boolean => error instanceof Error && 'code' in error && CONFLICTS.has(String(error.code));

/**
 * Groups on PostgreSQL. All jobs first run one after another in one transaction without savepoints, their rows gathered into one
 * statement per table, and what is left of them goes to the server together with the COMMIT. Only when something fails is the
 * group rolled back and run again with a savepoint around each job.
 */
export const createGroups = (options: Options): RunGroup => {
  const { writer, writerName, positions, reload, newMarker } = options;
  let connection: WriterConnection | undefined;
  let lastMarker = 0;

  /** The answer to a COMMIT was lost with the connection: the marker tells whether it was done. Resolves if so. */
  const findOut = async (marker: number): Promise<void> => {
    try {
      connection = await writer.get();
    } catch (error) {
      const message =
        'The connection to the database was lost during a commit and cannot be made again: the changes may or may not be there.';
      throw new CommitInDoubt(message, { cause: error });
    }
    const before = lastMarker;
    lastMarker = connection.marker;
    if (lastMarker === marker) return;
    if (lastMarker === before) throw new Lost();
    await reload();
    throw new CommitInDoubt(`Another process has written as "${writerName}" since: whether the last commit was done is not known.`);
  };

  /** Sends what is left with the COMMIT right behind it. */
  const commit = async (on: WriterConnection, transaction: GroupTransaction, outcomes: readonly Outcome[]): Promise<void> => {
    await transaction.checkLeases();
    const rows = positions.toStore(outcomes);
    const marker = newMarker();
    for (const row of [...rows, { stream: COMMIT_MARKER, writer: writerName, position: marker }]) {
      transaction.buffer.add({ kind: 'put', table: positionsTable, row });
    }
    const [flushed, committed] = await Promise.allSettled([transaction.flush(), transaction.send('COMMIT')]);
    if (committed.status === 'fulfilled' && committed.value.command === 'COMMIT') {
      lastMarker = marker;
    } else {
      const error = firstFailure([flushed, committed]);
      if (!(await on.isLost(error))) throw error ?? new DatabaseError('The database rolled the transaction back.');
      await findOut(marker);
    }
    positions.stored(rows);
  };

  /** Ends a transaction that failed; what is thrown says how to go on. */
  const abandon = async (on: WriterConnection, transaction: GroupTransaction, error: unknown): Promise<Error | undefined> => {
    if (error instanceof CommitInDoubt || error instanceof Lost) return error;
    if (await on.isLost(error)) return new Lost();
    await transaction.send('ROLLBACK').catch(() => undefined);
    return undefined;
  };

  const runTogether = async (on: WriterConnection, jobs: readonly Job[]): Promise<Outcome[]> => {
    const transaction = createGroupTransaction(on.client, options);
    const outcomes: Outcome[] = [];
    const begun = transaction.send('BEGIN');
    // A failure of this shows in every statement that follows.
    begun.catch(() => undefined);
    try {
      for (const job of jobs) {
        const { outcome, touched } = await transaction.runJob(job);
        outcomes.push(outcome);
        if (!('error' in outcome) || !touched) continue;
        if (jobs.length > 1 || isConflict(outcome.error) || (await on.isLost(outcome.error))) throw outcome.error;
        break;
      }
      if (outcomes.some((outcome) => 'ran' in outcome)) await commit(on, transaction, outcomes);
      else await transaction.send('ROLLBACK');
      return outcomes;
    } catch (error) {
      throw (await abandon(on, transaction, error)) ?? new Spoilt();
    }
  };

  const runAlone = async (on: WriterConnection, transaction: GroupTransaction, job: Job): Promise<Outcome> => {
    for (let attempt = 0; ; attempt += 1) {
      await transaction.send('SAVEPOINT job');
      try {
        const { outcome } = await transaction.runJob(job);
        if ('error' in outcome) throw outcome.error;
        await transaction.flush();
        await transaction.checkLeases();
        await transaction.send('RELEASE SAVEPOINT job');
        return outcome;
      } catch (error) {
        if (await on.isLost(error)) throw error;
        transaction.reset();
        await transaction.send('ROLLBACK TO SAVEPOINT job');
        if (!isConflict(error) || attempt === RETRIES) return { error };
      }
    }
  };

  const runOneByOne = async (on: WriterConnection, jobs: readonly Job[]): Promise<Outcome[]> => {
    const transaction = createGroupTransaction(on.client, options);
    try {
      await transaction.send('BEGIN');
      const outcomes: Outcome[] = [];
      for (const job of jobs) outcomes.push(await runAlone(on, transaction, job));
      await commit(on, transaction, outcomes);
      return outcomes;
    } catch (error) {
      throw (await abandon(on, transaction, error)) ?? error;
    }
  };

  const connect = async (): Promise<WriterConnection> => {
    const next = await writer.get();
    if (next !== connection) {
      const moved = next.marker !== lastMarker;
      connection = next;
      lastMarker = next.marker;
      if (moved) await reload();
    }
    return next;
  };

  return async (take) => {
    const jobs: Job[] = [];
    for (let job = take(); job !== undefined; job = take()) jobs.push(job);
    let alone = false;
    for (let attempt = 0; ; attempt += 1) {
      try {
        const on = await connect();
        return await (alone ? runOneByOne(on, jobs) : runTogether(on, jobs));
      } catch (error) {
        if (!(error instanceof Spoilt || error instanceof Lost)) throw error;
        if (attempt === RETRIES) throw new DatabaseError('The connection to the database was lost again and again; nothing was written.');
        alone ||= error instanceof Spoilt;
      }
    }
  };
};
