import { entryCache } from '#src/platform/cache/index.ts';
import type { Transaction } from '#src/platform/database/types.ts';
import { readDeviceIds } from '#src/devices/store.ts';

/** Which devices users have, for writes that must not outlive a device. Writes follow one another, so memory is as exact as the database. */
export interface KnownDevices {
  /** The ids of users' devices, as they are at this place in the order of writes; a user without devices may be missing. */
  readonly of: (tx: Transaction, userNums: readonly number[]) => Promise<ReadonlyMap<number, ReadonlySet<string>>>;
  /** To be called in each transaction that adds or deletes a device of the user. */
  readonly forget: (userNum: number) => void;
}

const MAX_USERS = 50_000;

/** Keeps the devices of the users that are asked for most. */
export const createKnownDevices = (): KnownDevices => {
  const cache = entryCache<number, ReadonlySet<string>>(MAX_USERS);
  // What was read before a later write of the same group changed it is not kept.
  let changes = 0;
  return {
    of: async (tx, userNums) => {
      const found = new Map<number, ReadonlySet<string>>();
      const unknown: number[] = [];
      for (const userNum of userNums) {
        const known = cache.get(userNum);
        if (known === undefined) unknown.push(userNum);
        else found.set(userNum, known);
      }
      if (unknown.length === 0) return found;
      const before = changes;
      const read = new Map(unknown.map((userNum) => [userNum, new Set<string>()]));
      for (const row of await readDeviceIds(tx, unknown)) read.get(row.user_num)?.add(row.device_id);
      tx.onCommit(() => {
        if (before === changes) for (const [userNum, deviceIds] of read) cache.set(userNum, deviceIds);
      });
      for (const [userNum, deviceIds] of read) found.set(userNum, deviceIds);
      return found;
    },
    forget: (userNum) => {
      changes += 1;
      cache.delete(userNum);
    },
  };
};
