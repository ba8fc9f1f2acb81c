import type { Accounts, DevicePort, Requester } from '#src/accounts/index.ts';
import type { FirstKeys } from '#src/devices/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import { forbidden, invalidParam, notFound } from '#src/protocol/errors.ts';
import { putDehydrated, readDehydrated } from '#src/dehydrated-devices/store.ts';
import type { ToDevice } from '#src/to-device/index.ts';

export interface DehydratedDevice {
  readonly deviceId: string;
  /** JSON, which only the user's devices understand. */
  readonly data: string;
}

/** What a client uploads: the device, its keys and its name. */
export interface Dehydration {
  readonly deviceId: string;
  readonly data: object;
  readonly displayName: string | undefined;
  readonly keys: Parameters<FirstKeys>[1];
}

/** Some of the messages that a dehydrated device has taken in. */
export interface DehydratedEvents {
  /** JSON texts. */
  readonly events: readonly string[];
  /** From where to go on. */
  readonly next: string;
  /** Whether there are more. */
  readonly limited: boolean;
}

export interface DehydratedDevices {
  /** A user's dehydrated device. Throws `M_NOT_FOUND`. */
  get(userNum: number): Promise<DehydratedDevice>;
  /** The same where it may be missing. */
  find(userNum: number): Promise<DehydratedDevice | undefined>;
  /**
   * Takes a device in, in place of the one before, which goes with its keys and messages. Throws `M_INVALID_PARAM` for the id of a device that is signed
   * in, `M_MISSING_PARAM` without keys, `M_BAD_JSON` for wrong ones, `M_TOO_LARGE` for a name over 100 characters.
   */
  put(requester: Requester, dehydration: Dehydration): Promise<void>;
  /** Deletes the device, and answers its id. Throws `M_NOT_FOUND`. */
  remove(userNum: number): Promise<string>;
  /** The messages for the device after `from`, oldest first; they stay until it is deleted. Throws `M_FORBIDDEN` for another device, `M_INVALID_PARAM`. */
  events(userNum: number, deviceId: string, page: { readonly from: string | undefined; readonly limit: number }): Promise<DehydratedEvents>;
}

export interface DehydratedDevicesTools {
  readonly database: Database;
  readonly devices: DevicePort;
  readonly endSessionsOn: Accounts['endSessionsOn'];
  readonly firstKeys: FirstKeys;
  readonly toDevice: Pick<ToDevice, 'source'>;
}

const MAX_DEVICE_ID_LENGTH = 512;
const MAX_EVENTS = 1000;
const TOKEN = /^d(\d{1,15})$/;

const positionOf = (token: string): number => {
  const [, digits] = TOKEN.exec(token) ?? [];
  if (digits === undefined) throw invalidParam(`from parameter '${token.slice(0, 64)}' has an invalid format`);
  return Number(digits);
};

/** Devices that take in messages for users who are signed in nowhere (MSC3814). */
export const createDehydratedDevices = (tools: DehydratedDevicesTools): DehydratedDevices => {
  const { database, devices, endSessionsOn, firstKeys, toDevice } = tools;

  const find = async (userNum: number): Promise<DehydratedDevice | undefined> => {
    const row = await database.read('dehydrated device', (reader) => readDehydrated(reader, userNum));
    return row && { deviceId: row.device_id, data: row.device_data };
  };

  return {
    find,
    get: async (userNum) => {
      const device = await find(userNum);
      if (device === undefined) throw notFound('No dehydrated device available');
      return device;
    },
    put: async ({ userId, userNum }, { deviceId, data, displayName, keys }) => {
      if (deviceId === '' || deviceId.length > MAX_DEVICE_ID_LENGTH || deviceId.includes('\0'))
        throw invalidParam('device_id is not valid');
      if (displayName?.includes('\0') === true) throw invalidParam('Null bytes are not allowed');
      const storeKeys = firstKeys({ userId, userNum, deviceId }, keys);
      await database.write('dehydrate device', async (tx) => {
        const before = await readDehydrated(tx, userNum);
        if (before !== undefined) {
          await endSessionsOn(tx, userNum, [before.device_id]);
          await devices.remove(tx, userNum, [before.device_id]);
        }
        // One that somebody uses would go with the next dehydrated device.
        if (!(await devices.add(tx, { userNum, deviceId, displayName }))) throw invalidParam('There is another device of this id');
        await storeKeys(tx);
        putDehydrated(tx, { user_num: userNum, device_id: deviceId, device_data: JSON.stringify(data) });
      });
    },
    remove: async (userNum) =>
      database.write('delete dehydrated device', async (tx) => {
        const device = await readDehydrated(tx, userNum);
        if (device === undefined) throw notFound('No dehydrated device available');
        await endSessionsOn(tx, userNum, [device.device_id]);
        await devices.remove(tx, userNum, [device.device_id]);
        return device.device_id;
      }),
    events: async (userNum, deviceId, { from, limit }) => {
      const device = await find(userNum);
      if (device === undefined) throw forbidden('No dehydrated device exists');
      if (device.deviceId !== deviceId) throw forbidden('You may only fetch messages for your dehydrated device');
      const after = from === undefined || from === '' ? 0 : positionOf(from);
      const { position: upTo } = toDevice.source.now();
      const taken = await toDevice.source.look({ userNum, deviceId }, { after, upTo }, Math.min(limit, MAX_EVENTS));
      return { events: taken.events, next: `d${String(taken.upTo)}`, limited: taken.upTo < upTo };
    },
  };
};
