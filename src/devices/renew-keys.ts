import type { Database, Transaction } from '#src/platform/database/types.ts';
import { renewAllKeys, renewKeysOf } from '#src/devices/key-store.ts';
import { changeAllLists } from '#src/devices/list-log.ts';
import type { RemainingKeys } from '#src/devices/remaining-keys.ts';

/** What was dropped, and whose devices are asked for again. */
export interface RenewedKeys {
  readonly oneTimeKeys: number;
  readonly users: number;
}

/**
 * After an older copy of the database was put back: one-time keys are dropped, as they may have been handed out since; fallback keys are still given out but
 * count as used, so that clients upload new ones; and all lists of devices have changed.
 */
export const renewKeys = async (tx: Transaction): Promise<RenewedKeys> => ({
  oneTimeKeys: await renewAllKeys(tx),
  users: await changeAllLists(tx),
});

/** Renews the keys of one device whose client was seen to come from a time that the database does not know. */
export const createRenewDevice =
  ({ database, remaining }: { database: Pick<Database, 'write'>; remaining: RemainingKeys }) =>
  async (userNum: number, deviceId: string): Promise<void> => {
    const { oneTimeKeys, unusedFallbackTypes } = await remaining.of(userNum, deviceId);
    if (unusedFallbackTypes.length === 0 && Object.values(oneTimeKeys).every((count) => count === 0)) return;
    await database.write('renew keys', async (tx) => {
      await renewKeysOf(tx, userNum, deviceId);
      tx.onCommit(() => remaining.forget(userNum, [deviceId]));
    });
  };
