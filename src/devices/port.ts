import type { DevicePort } from '#src/accounts/index.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Transaction } from '#src/platform/database/types.ts';
import { MatrixError } from '#src/protocol/errors.ts';
import type { KeyMemory } from '#src/devices/key-memory.ts';
import type { KnownDevices } from '#src/devices/known-devices.ts';
import { deleteDevices, insertDevice, readDevices } from '#src/devices/store.ts';

const MAX_DISPLAY_NAME_LENGTH = 100;

/** Throws `M_TOO_LARGE` for a name over 100 characters. */
export const checkDisplayName = (name: string | undefined): void => {
  if (name !== undefined && name.length > MAX_DISPLAY_NAME_LENGTH) {
    throw new MatrixError(400, 'M_TOO_LARGE', `Device display name is too long (max ${String(MAX_DISPLAY_NAME_LENGTH)})`);
  }
};

/** Deletes what slices above keep for devices, in the transaction that deletes these. */
export type OnDevicesRemoved = (tx: Transaction, userNum: number, deviceIds: readonly string[]) => Promise<void>;

/** What accounts, which live below, are handed: devices come with a session and go with it. */
export const devicePort = ({
  clock,
  memory,
  known,
  onRemoved,
}: {
  clock: Clock;
  memory: KeyMemory;
  known?: Pick<KnownDevices, 'forget'>;
  onRemoved?: OnDevicesRemoved;
}): DevicePort => {
  const remove: DevicePort['remove'] = async (tx, userNum, deviceIds) => {
    if (deviceIds.length === 0 || (await deleteDevices(tx, userNum, deviceIds)) === 0) return;
    known?.forget(userNum);
    await onRemoved?.(tx, userNum, deviceIds);
    await memory.listChanged(tx, userNum, deviceIds);
    tx.onCommit(() => memory.remaining.forget(userNum, deviceIds));
  };
  return {
    add: async (tx, { userNum, deviceId, displayName }) => {
      checkDisplayName(displayName);
      known?.forget(userNum);
      const device = { device_id: deviceId, display_name: displayName ?? null, created_ts: clock.now() };
      const isNew = await insertDevice(tx, userNum, device);
      if (isNew) await memory.listChanged(tx, userNum, [deviceId]);
      return isNew;
    },
    remove,
    removeAll: async (tx, userNum, exceptDevice) => {
      const devices = await readDevices(tx, userNum);
      await remove(
        tx,
        userNum,
        devices.map((device) => device.device_id).filter((deviceId) => deviceId !== exceptDevice),
      );
    },
  };
};
