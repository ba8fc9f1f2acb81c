import { DatabaseError } from '#src/platform/database/errors.ts';
import type { Database, LeaseToken } from '#src/platform/database/types.ts';
import type { Jobs } from '#src/platform/jobs/index.ts';

const NAME = 'event writer';
const DURATION_MS = 30_000;

/**
 * Makes this process the one that writes events. Hot rooms live in its memory, so a process that was taken for dead and comes back must not
 * commit on what it remembers: each commit is fenced by the lease. A process of the same name takes over at once (a restart), one of another
 * name waits until the lease has run out. SQLite files have one process anyway and need none. Throws `DatabaseError` while another process writes.
 */
export const acquireWriterLease = async (database: Database, jobs: Jobs): Promise<LeaseToken | undefined> => {
  if (database.engine === 'sqlite') return undefined;
  const lease = await database.leases.acquire(NAME, DURATION_MS);
  if (lease === undefined)
    throw new DatabaseError('Another process writes events into this database; stop it first, or wait half a minute after it has died.');
  jobs.every('renew the lease of the event writer', DURATION_MS / 3, async () => {
    await database.leases.renew(lease, DURATION_MS);
  });
  return lease;
};
