import type { Clock } from '#src/platform/clock.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Database, Leases, LeaseToken, Transaction } from '#src/platform/database/types.ts';

interface LeaseRow {
  readonly holder: string;
  readonly epoch: number;
  readonly expires_ts: number;
}

/** Makes the transaction fail with `LeaseLost` if the lease was taken over before it is committed. */
export const assertLease = (tx: Transaction, lease: LeaseToken): void => tx.fence(lease);

/** The leases of one process, which is known by the database's writer name. */
export const createLeases = (database: Pick<Database, 'write' | 'writer'>, clock: Clock): Leases => {
  const take = async (tx: Transaction, name: string, durationMs: number): Promise<LeaseToken | undefined> => {
    const now = clock.now();
    const row = await tx.one<LeaseRow>(sql`SELECT holder, epoch, expires_ts FROM leases WHERE name = ${name}`);
    const expires = now + durationMs;
    if (row === undefined) {
      const added = await tx.run(
        sql`INSERT INTO leases (name, holder, epoch, expires_ts) VALUES (${name}, ${database.writer}, 1, ${expires}) ON CONFLICT (name) DO NOTHING`,
      );
      return added === 1 ? { name, epoch: 1 } : undefined;
    }
    if (row.holder !== database.writer && row.expires_ts > now) return undefined;
    const epoch = row.epoch + 1;
    const changed = await tx.run(
      sql`UPDATE leases SET holder = ${database.writer}, epoch = ${epoch}, expires_ts = ${expires} WHERE name = ${name} AND epoch = ${row.epoch}`,
    );
    return changed === 1 ? { name, epoch } : undefined;
  };
  return {
    acquire: (name, durationMs) => database.write('acquire lease', (tx) => take(tx, name, durationMs)),
    renew: ({ name, epoch }, durationMs) =>
      database.write('renew lease', async (tx) => {
        const expires = clock.now() + durationMs;
        return (await tx.run(sql`UPDATE leases SET expires_ts = ${expires} WHERE name = ${name} AND epoch = ${epoch}`)) === 1;
      }),
    release: ({ name, epoch }) =>
      database.write('release lease', async (tx) => {
        await tx.run(sql`UPDATE leases SET expires_ts = 0 WHERE name = ${name} AND epoch = ${epoch}`);
      }),
  };
};
