import { setImmediate as turn } from 'node:timers/promises';
import type { Client, ClientConfig } from 'pg';
import type { Clock } from '#src/platform/clock.ts';
import { Taken, connectPatiently } from '#src/platform/database/postgres/connect.ts';
import { COMMIT_MARKER } from '#src/platform/database/tables.ts';
import type { Logger } from '#src/platform/logging/index.ts';

/** The one connection that commits groups, with what is known of the last commit on it. */
export interface WriterConnection {
  readonly client: Client;
  /** Whether the connection is gone, which a failed statement may be the first to notice. */
  isLost(error: unknown): Promise<boolean>;
  /** What this writer's last committed group has left in its marker, 0 before the first. */
  readonly marker: number;
}

export interface Writer {
  /** The connection, made anew when it was lost. Throws when the server cannot be reached for a while. */
  get(): Promise<WriterConnection>;
  close(): Promise<void>;
}

interface Options {
  readonly config: ClientConfig;
  readonly writer: string;
  readonly synchronousCommit: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

const LOCK = `SELECT pg_try_advisory_lock(hashtext('myelin writer'), hashtext($1)) AS locked`;
/** Ends a former session of this process that the server has not noticed to be dead. Only a holder of our own lock is meant. */
const END_FORMER = `
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid::bigint = hashtext('myelin writer')::bigint & 4294967295 AND objid::bigint = hashtext($1)::bigint & 4294967295 AND pid = $2`;
const MARKER = `SELECT position FROM stream_positions WHERE stream = '${COMMIT_MARKER}' AND writer = $1`;
/** A process that is paused inside a transaction must not hold its locks for ever; bodies never wait that long. */
const SESSION = `SET idle_in_transaction_session_timeout = 10000`;
/** Where the server confirms commits before they are on its disk, ours are not: unless `synchronous_commit` is false. What it says of standbys stays. */
const SYNCHRONOUS = `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`;

const isFatal = (error: unknown): boolean =>
  error instanceof Error && 'severity' in error && (error.severity === 'FATAL' || error.severity === 'PANIC');

/**
 * Keeps the connection of group commit. The session holds an advisory lock on the writer's name, so that no two processes
 * write under one name; and having it again after a lost connection proves that the former session, with whatever commit it
 * had under way, is at its end.
 */
export const createWriter = ({ config, writer, synchronousCommit, clock, logger }: Options): Writer => {
  let current: (WriterConnection & { readonly alive: boolean }) | undefined;
  let formerPid: number | undefined;
  let closed = false;

  const lock = async (client: Client): Promise<void> => {
    if (formerPid !== undefined) await client.query(END_FORMER, [writer, formerPid]);
    const { rows } = await client.query<{ locked: number }>(LOCK, [writer]);
    if (rows[0]?.locked === 1) return;
    throw new Taken(`Another process writes to this database as "${writer}". Stop it, or give this one a worker_name of its own.`);
  };

  const prepare = async (client: Client): Promise<WriterConnection & { readonly alive: boolean }> => {
    let alive = true;
    const lose = (error?: unknown): void => {
      if (alive && !closed) logger.warn({ err: error }, 'The connection to the database was lost');
      alive = false;
    };
    client.on('error', lose);
    client.on('end', () => lose());
    await client.query(`${SESSION}; ${synchronousCommit ? SYNCHRONOUS : 'SET synchronous_commit = off'}`);
    await lock(client);
    const { rows } = await client.query<{ position: number }>(MARKER, [writer]);
    formerPid = (client as Client & { processID: number }).processID;
    return {
      client,
      get alive() {
        return alive;
      },
      isLost: async (error) => {
        // The statement fails a moment before the connection is known to be gone.
        if (alive) await turn();
        if (alive && isFatal(error)) {
          lose(error);
          void client.end();
        }
        return !alive;
      },
      marker: rows[0]?.position ?? 0,
    };
  };

  return {
    get: async () => {
      if (current?.alive !== true) current = await connectPatiently(config, prepare, { clock, logger, stopped: () => closed });
      return current;
    },
    close: async () => {
      closed = true;
      await current?.client.end();
    },
  };
};
