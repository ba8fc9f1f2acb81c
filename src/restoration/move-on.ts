import { type RenewedKeys, renewKeys } from '#src/devices/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import { putLostStretch } from '#src/restoration/store.ts';

/** More than a server writes between two copies of its database; tokens have room for a million of these. */
const LEAP = 1_000_000_000;

/**
 * Makes a database fit to go on with after an older copy of it was put back: every stream goes on beyond all that was given out since the copy was made,
 * one-time keys that may have been handed out are dropped, and everybody is told to ask for all devices again. Once more does no harm.
 */
export const moveOn = (database: Pick<Database, 'write' | 'positions'>): Promise<RenewedKeys> =>
  database.write('move on after restoring', async (tx) => {
    for (const stream of database.positions.streams()) {
      const first = await tx.nextPositions(stream, LEAP);
      putLostStretch(tx, { stream, after_position: first - 1, before_position: first - 1 + LEAP });
    }
    return renewKeys(tx);
  });
