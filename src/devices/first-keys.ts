import type { Transaction } from '#src/platform/database/types.ts';
import { invalidParam, missingParam } from '#src/protocol/errors.ts';
import { insertOneTimeKeys, putDeviceKeys, putFallbackKey } from '#src/devices/key-store.ts';
import { deviceKeysText, keyRows } from '#src/devices/key-upload.ts';
import type { KeyUpload } from '#src/devices/key-upload.ts';
import type { KeyMemory } from '#src/devices/key-memory.ts';

/** Many times what clients hold ready. */
const MAX_ONE_TIME_KEYS = 500;

/** The owner of a device that is to be. */
export interface NewDevice {
  readonly userId: string;
  readonly userNum: number;
  readonly deviceId: string;
}

/**
 * Checks the keys with which a device begins, and answers what stores them in the transaction that adds it. Throws `M_MISSING_PARAM` without keys of the device, `M_BAD_JSON` for those of another
 * device or of another form, `M_INVALID_PARAM` for too many.
 */
export type FirstKeys = (device: NewDevice, keys: KeyUpload) => (tx: Transaction) => Promise<void>;

export const createFirstKeys =
  ({ memory }: { memory: Pick<KeyMemory, 'listChanged' | 'remaining'> }): FirstKeys =>
  ({ userId, userNum, deviceId }, keys) => {
    if (!keys.device_keys) throw missingParam('Device key(s) not found, these must be provided.');
    const deviceText = deviceKeysText(keys.device_keys, { userId, deviceId });
    const oneTimeKeys = keyRows(keys.one_time_keys ?? {}, 'one_time_keys');
    const fallbackKeys = keyRows(keys.fallback_keys ?? {}, 'fallback_keys');
    if (oneTimeKeys.length > MAX_ONE_TIME_KEYS) throw invalidParam(`More than ${String(MAX_ONE_TIME_KEYS)} one-time keys`);
    return async (tx) => {
      await putDeviceKeys(tx, userNum, deviceId, deviceText);
      await insertOneTimeKeys(tx, { user_num: userNum, device_id: deviceId }, oneTimeKeys);
      for (const key of fallbackKeys) await putFallbackKey(tx, userNum, deviceId, key);
      await memory.listChanged(tx, userNum, [deviceId]);
      tx.onCommit(() => memory.remaining.forget(userNum, [deviceId]));
    };
  };
