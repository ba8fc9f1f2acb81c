import type { Client, QueryResult } from 'pg';
import { LeaseLost } from '#src/platform/database/errors.ts';
import type { Job, Outcome } from '#src/platform/database/group-commit.ts';
import { createBuffer } from '#src/platform/database/postgres/buffer.ts';
import type { Buffered, Pending } from '#src/platform/database/postgres/buffer.ts';
import type { Run } from '#src/platform/database/postgres/values.ts';
import type { Positions } from '#src/platform/database/positions.ts';
import { sql } from '#src/platform/database/sql.ts';
import { runWriter } from '#src/platform/database/transaction.ts';
import type { WriteStatements } from '#src/platform/database/transaction.ts';
import type { LeaseToken } from '#src/platform/database/types.ts';

/** The transaction of one group: the rows of its jobs that were not sent, the leases that were not checked. */
export interface GroupTransaction {
  readonly buffer: Buffered;
  send(text: string): Promise<QueryResult>;
  /** Sends the gathered rows, one statement per table. */
  flush(): Promise<void>;
  /** Checks the leases that the jobs rely on and keeps them from changing hands before the commit. */
  checkLeases(): Promise<void>;
  /** Runs a job. Its rows stay in the buffer; `touched` tells whether it has left anything else in the transaction. */
  runJob(job: Job): Promise<{ readonly outcome: Outcome; readonly touched: boolean }>;
  /** Forgets what was gathered. */
  reset(): void;
}

export interface JobOptions {
  readonly positions: Positions;
  readonly run: Run;
  /** The next numbers of a stream that several processes write. */
  readonly takeShared: (stream: string, count: number) => Promise<number>;
}

export const firstFailure = (results: readonly PromiseSettledResult<unknown>[]): unknown =>
  results.find((result) => result.status === 'rejected')?.reason;

export const createGroupTransaction = (client: Client, { positions, run, takeShared }: JobOptions): GroupTransaction => {
  const buffer = createBuffer();
  const leases = new Map<string, number>();

  const flush = async (): Promise<void> => {
    const error = firstFailure(await Promise.allSettled(buffer.take().map((batch) => client.query(batch))));
    if (error !== undefined) throw error;
  };

  const checkLeases = async (): Promise<void> => {
    if (leases.size === 0) return;
    const names = [...leases.keys()].sort();
    const { rows } = await run(client, sql`SELECT name, epoch FROM leases WHERE name ${sql.in(names)} ORDER BY name FOR SHARE`);
    const epochs = new Map((rows as LeaseToken[]).map(({ name, epoch }) => [name, epoch]));
    for (const [name, epoch] of leases) if (epochs.get(name) !== epoch) throw new LeaseLost(name);
    leases.clear();
  };

  const runJob: GroupTransaction['runJob'] = async (job) => {
    let touched = false;
    let pending: Pending[] = [];
    const fences: LeaseToken[] = [];
    const keep = (): void => {
      for (const one of pending) buffer.add(one);
      pending = [];
    };
    /** A statement sees all rows that were added before it, also those of the jobs before this one. */
    const after = async (writes: boolean, work: () => Promise<QueryResult>): Promise<QueryResult> => {
      touched ||= writes || pending.length > 0;
      keep();
      try {
        await flush();
        return await work();
      } catch (error) {
        touched = true;
        throw error;
      }
    };
    const statements: WriteStatements = {
      engine: 'postgres',
      all: async (query) => (await after(false, () => run(client, query))).rows as object[],
      run: async (query) => (await after(true, () => run(client, query))).rowCount ?? 0,
      insert: (table, row) => void pending.push({ kind: 'insert', table, row }),
      put: (table, row) => void pending.push({ kind: 'put', table, row }),
      takePositions: (stream, count) => {
        positions.begin(stream);
        return positions.writersOf(stream).length > 1 ? takeShared(stream, count) : positions.allocate(stream, count);
      },
      fence: (lease) => void fences.push(lease),
    };
    try {
      const ran = await runWriter(job.name, statements, job.body);
      for (const { name, epoch } of fences) {
        // Two epochs in one group: only each by itself can tell who is right.
        touched ||= (leases.get(name) ?? epoch) !== epoch;
        if ((leases.get(name) ?? epoch) !== epoch) throw new LeaseLost(name);
        leases.set(name, epoch);
      }
      keep();
      return { outcome: { ran }, touched };
    } catch (error) {
      return { outcome: { error }, touched };
    }
  };

  return {
    buffer,
    send: (text) => client.query(text),
    flush,
    checkLeases,
    runJob,
    reset: () => {
      buffer.take();
      leases.clear();
    },
  };
};
