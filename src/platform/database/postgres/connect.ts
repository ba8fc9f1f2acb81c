import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import type { Client, ClientConfig, Pool, PoolClient } from 'pg';
import type { Clock } from '#src/platform/clock.ts';
import { DatabaseError, messageOf } from '#src/platform/database/errors.ts';
import type { Logger } from '#src/platform/logging/index.ts';

const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 2000;
const GIVE_UP_MS = 20_000;
/** A name that is taken is mostly our former session, which the server is about to notice to be gone. */
const GIVE_UP_TAKEN_MS = 3000;

/** Another process holds what this connection must have alone. */
export class Taken extends DatabaseError {}

/** Wrong password, no such role, no such database: waiting would not help. */
const isRefusal = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (String(error.code).startsWith('28') || error.code === '3D000');

/** Connects and prepares the session; tries again with growing pauses while the server cannot be reached. */
export const connectPatiently = async <T>(
  config: ClientConfig,
  prepare: (client: Client) => Promise<T>,
  { clock, logger, stopped }: { readonly clock: Clock; readonly logger: Logger; readonly stopped?: () => boolean },
): Promise<T> => {
  const start = clock.monotonic();
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
    const client = new pg.Client(config);
    client.on('error', () => undefined);
    try {
      await client.connect();
      return await prepare(client);
    } catch (error) {
      await client.end().catch(() => undefined);
      const patienceMs = isRefusal(error) ? 0 : error instanceof Taken ? GIVE_UP_TAKEN_MS : GIVE_UP_MS;
      if (stopped?.() === true || clock.monotonic() - start >= patienceMs) {
        if (error instanceof DatabaseError) throw error;
        throw new DatabaseError(`The database cannot be reached: ${messageOf(error)}`, { cause: error });
      }
      logger.warn({ err: error }, 'Connecting to the database failed; trying again');
      await pause(pauseMs);
    }
  }
};

const LEND_ATTEMPTS = 5;

/** A connection of the pool; while the server cannot be reached, a second and a half are waited for it. */
export const lend = async (pool: Pool): Promise<PoolClient> => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await pool.connect();
    } catch (error) {
      if (attempt === LEND_ATTEMPTS || pool.ending || isRefusal(error)) {
        throw new DatabaseError(`The database cannot be reached: ${messageOf(error)}`, { cause: error });
      }
      await pause(FIRST_PAUSE_MS * 2 ** attempt);
    }
  }
};
