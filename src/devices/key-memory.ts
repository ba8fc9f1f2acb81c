import type { Database, Transaction } from '#src/platform/database/types.ts';
import { logListChange } from '#src/devices/list-log.ts';
import { createPublishedKeys, type PublishedKeys } from '#src/devices/published-keys.ts';
import { createRemainingKeys, type RemainingKeys } from '#src/devices/remaining-keys.ts';

/** What is kept in memory of devices' keys, and how it follows what changes. */
export interface KeyMemory {
  readonly remaining: RemainingKeys;
  readonly published: PublishedKeys;
  /** Writes into a user's list that devices, or what is known of them, have changed; memory follows when that is committed. */
  readonly listChanged: (tx: Transaction, userNum: number, deviceIds: readonly string[]) => Promise<void>;
}

/** The memory of a process; each has one. */
export const createKeyMemory = (database: Database): KeyMemory => {
  const published = createPublishedKeys(database);
  return {
    remaining: createRemainingKeys(database),
    published,
    listChanged: async (tx, userNum, deviceIds) => {
      await logListChange(tx, userNum, deviceIds);
      tx.onCommit(() => published.forget(userNum));
    },
  };
};
