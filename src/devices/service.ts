import type { Accounts, DevicePort, DeviceSeen } from '#src/accounts/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import { invalidParam, notFound } from '#src/protocol/errors.ts';
import type { KeyMemory } from '#src/devices/key-memory.ts';
import { checkDisplayName } from '#src/devices/port.ts';
import { readDevices, setDisplayName } from '#src/devices/store.ts';

export interface Device {
  readonly deviceId: string;
  readonly displayName: string | undefined;
  /** Undefined until a request has come from the device. */
  readonly seen: DeviceSeen | undefined;
}

export interface Devices {
  /** A user's devices, by id. */
  readonly list: (userNum: number) => Promise<Device[]>;
  /** One device; throws `M_NOT_FOUND`. */
  readonly get: (userNum: number, deviceId: string) => Promise<Device>;
  /** Names a device. Throws `M_NOT_FOUND`, or `M_TOO_LARGE` for a name over 100 characters. */
  readonly rename: (userNum: number, deviceId: string, name: string) => Promise<void>;
  /** Deletes devices with their keys, and logs them out; those that are not there are no error. */
  readonly remove: (userNum: number, deviceIds: readonly string[]) => Promise<void>;
}

/** The devices of this server's users. */
export const createDevices = ({
  database,
  accounts,
  memory,
  port,
}: {
  database: Database;
  accounts: Pick<Accounts, 'endSessionsOn' | 'devicesSeen'>;
  memory: KeyMemory;
  port: DevicePort;
}): Devices => {
  const list = async (userNum: number): Promise<Device[]> => {
    const [rows, seen] = await Promise.all([
      database.read('devices', (reader) => readDevices(reader, userNum)),
      accounts.devicesSeen(userNum),
    ]);
    return rows.map((row) => ({
      deviceId: row.device_id,
      displayName: row.display_name ?? undefined,
      seen: seen.get(row.device_id),
    }));
  };

  return {
    list,
    get: async (userNum, deviceId) => {
      const device = (await list(userNum)).find((each) => each.deviceId === deviceId);
      if (device === undefined) throw notFound('No device found');
      return device;
    },
    rename: async (userNum, deviceId, name) => {
      checkDisplayName(name);
      if (name.includes('\0')) throw invalidParam('Null bytes are not allowed');
      if (deviceId.includes('\0')) throw notFound('No device found');
      await database.write('name device', async (tx) => {
        if (!(await setDisplayName(tx, userNum, deviceId, name))) throw notFound('No device found');
        await memory.listChanged(tx, userNum, [deviceId]);
      });
    },
    remove: (userNum, deviceIds) =>
      database.write('delete devices', async (tx) => {
        // No device has a null byte in its id, and not every database could be asked for it.
        const ids = deviceIds.filter((deviceId) => !deviceId.includes('\0'));
        await accounts.endSessionsOn(tx, userNum, ids);
        await port.remove(tx, userNum, ids);
      }),
  };
};
