import { entryCache } from '#src/platform/cache/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import { countOneTimeKeys, readUnusedFallbackTypes } from '#src/devices/key-store.ts';

/** What others can still claim of a device. */
export interface Remaining {
  /** By algorithm. Clients look for `signed_curve25519`, so that one is always there. */
  readonly oneTimeKeys: Readonly<Record<string, number>>;
  readonly unusedFallbackTypes: readonly string[];
}

/** Each sync tells it, so it is kept in memory. */
export interface RemainingKeys {
  readonly of: (userNum: number, deviceId: string) => Promise<Remaining>;
  /** To be called when a change of these devices' keys is committed. */
  readonly forget: (userNum: number, deviceIds: readonly string[]) => void;
}

const MAX_DEVICES = 20_000;

const keyOf = (userNum: number, deviceId: string): string => `${String(userNum)} ${deviceId}`;

/** Counts the keys of devices, from a bounded cache before the database. */
export const createRemainingKeys = (database: Database): RemainingKeys => {
  const cache = entryCache<string, Remaining>(MAX_DEVICES);
  // What was read while keys changed may be old: it is not kept.
  let changes = 0;

  return {
    of: async (userNum, deviceId) => {
      const key = keyOf(userNum, deviceId);
      const known = cache.get(key);
      if (known !== undefined) return known;
      const before = changes;
      const remaining = await database.read('remaining keys', async (reader) => ({
        oneTimeKeys: { signed_curve25519: 0, ...(await countOneTimeKeys(reader, userNum, deviceId)) },
        unusedFallbackTypes: await readUnusedFallbackTypes(reader, userNum, deviceId),
      }));
      if (before === changes) cache.set(key, remaining);
      return remaining;
    },
    forget: (userNum, deviceIds) => {
      changes += 1;
      for (const deviceId of deviceIds) cache.delete(keyOf(userNum, deviceId));
    },
  };
};
