import type { Requester } from '#src/accounts/index.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import { invalidParam, tooLarge, unknown, unknownToken } from '#src/protocol/errors.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import type { JsonObject, JsonValue } from '#src/protocol/json.ts';
import {
  countOneTimeKeys,
  insertOneTimeKeys,
  putDeviceKeys,
  putFallbackKey,
  readDeviceKeys,
  readDeviceKeysOf,
  readOneTimeKeys,
  takeOneTimeKey,
  useFallbackKey,
} from '#src/devices/key-store.ts';
import type { KeyRow } from '#src/devices/key-store.ts';
import { deviceKeysText, keyRows } from '#src/devices/key-upload.ts';
import type { KeyUpload } from '#src/devices/key-upload.ts';
import type { RemainingKeys } from '#src/devices/remaining-keys.ts';
import { hasDevice, noteChangedList } from '#src/devices/store.ts';

/** Many times what clients hold ready. */
const MAX_ONE_TIME_KEYS = 1000;

/** User id to device id to something. */
export type ByDevice<T> = Readonly<Record<string, Readonly<Record<string, T>>>>;

/** What could be had, and the servers that could not be asked. */
export interface KeysFound<T> {
  readonly found: ByDevice<T>;
  readonly failures: Readonly<Record<string, object>>;
}

export interface DeviceKeys {
  /** Stores keys of the requester's device; answers how many one-time keys it has, by algorithm. Throws `M_BAD_JSON` and the like. */
  readonly upload: (requester: Requester, body: KeyUpload) => Promise<Readonly<Record<string, number>>>;
  /** What devices say of themselves: of each user those that are named, or all where none is. */
  readonly query: (wanted: Readonly<Record<string, readonly string[]>>) => Promise<KeysFound<JsonObject>>;
  /** Hands out a key of the wanted algorithm of each device, each one-time key once. */
  readonly claim: (wanted: ByDevice<string>) => Promise<KeysFound<JsonObject>>;
}

const addOneTimeKeys = async (
  tx: Transaction,
  userNum: number,
  deviceId: string,
  keys: readonly KeyRow[],
  nowMs: number,
): Promise<void> => {
  const nameOf = (key: KeyRow): string => `${key.algorithm}:${key.key_id}`;
  const present = await readOneTimeKeys(
    tx,
    userNum,
    deviceId,
    keys.map((key) => key.key_id),
  );
  const known = new Map(present.map((key) => [nameOf(key), key.json]));
  const changed = keys.find((key) => known.has(nameOf(key)) && known.get(nameOf(key)) !== key.json);
  if (changed !== undefined) throw invalidParam(`One time key ${nameOf(changed)} already exists, and is another`);
  const added = keys.filter((key) => !known.has(nameOf(key)));
  const counts = await countOneTimeKeys(tx, userNum, deviceId);
  const total = Object.values(counts).reduce((sum, count) => sum + count, added.length);
  if (total > MAX_ONE_TIME_KEYS) throw tooLarge(`A device cannot have more than ${String(MAX_ONE_TIME_KEYS)} one-time keys`);
  insertOneTimeKeys(tx, { user_num: userNum, device_id: deviceId }, added, nowMs);
};

/** The keys of devices (client-server API, "Key management API"). */
export const createDeviceKeys = ({
  database,
  strings,
  clock,
  serverName,
  remaining,
}: {
  database: Database;
  strings: Strings;
  clock: Clock;
  serverName: string;
  remaining: RemainingKeys;
}): DeviceKeys => {
  /** The numbers of those users who are this server's, and why the servers of the others have nothing to say. */
  const sort = async (userIds: readonly string[]): Promise<Pick<KeysFound<never>, 'failures'> & { own: ReadonlyMap<string, number> }> => {
    const own = new Map<string, number>();
    const failures: Record<string, object> = {};
    for (const userId of userIds) {
      const domain = domainOf(userId);
      if (domain === undefined) throw invalidParam(`Not a user id: ${userId.slice(0, 64)}`);
      if (domain !== serverName) {
        failures[domain] = { status: 503, message: 'This server does not reach other servers' };
        continue;
      }
      const userNum = strings.peekNum(userId) ?? (await strings.numOf(userId));
      if (userNum !== undefined) own.set(userId, userNum);
    }
    return { own, failures };
  };

  return {
    upload: async ({ userId, userNum, deviceId }, body) => {
      if (deviceId === undefined) throw unknown('To upload keys, you must pass device_id when authenticating');
      const deviceText = body.device_keys ? deviceKeysText(body.device_keys, { userId, deviceId }) : undefined;
      const oneTimeKeys = keyRows(body.one_time_keys ?? {}, 'one_time_keys');
      const fallbackKeys = keyRows(body.fallback_keys ?? {}, 'fallback_keys');
      await database.write('upload keys', async (tx) => {
        // Keys that outlived their device would come back with the next of that name.
        if (!(await hasDevice(tx, userNum, deviceId))) throw unknownToken('Unrecognised access token', { soft_logout: false });
        if (deviceText !== undefined && deviceText !== (await readDeviceKeys(tx, userNum, deviceId))) {
          await putDeviceKeys(tx, userNum, deviceId, deviceText);
          await noteChangedList(tx, userNum);
        }
        if (oneTimeKeys.length > 0) await addOneTimeKeys(tx, userNum, deviceId, oneTimeKeys, clock.now());
        for (const key of fallbackKeys) await putFallbackKey(tx, userNum, deviceId, key);
        tx.onCommit(() => remaining.forget(userNum, [deviceId]));
      });
      return (await remaining.of(userNum, deviceId)).oneTimeKeys;
    },
    query: async (wanted) => {
      const { own, failures } = await sort(Object.keys(wanted));
      const rows = await database.read('query keys', (reader) => readDeviceKeysOf(reader, [...own.values()]));
      const found = [...own].map(([userId, userNum]) => {
        const named = new Set(wanted[userId]);
        const devices = rows
          .filter((row) => row.user_num === userNum && (named.size === 0 || named.has(row.device_id)))
          .map((row) => {
            const unsigned = row.display_name === null ? {} : { device_display_name: row.display_name };
            return [row.device_id, { ...(JSON.parse(row.json) as JsonObject), unsigned }] as const;
          });
        return [userId, Object.fromEntries(devices)] as const;
      });
      return { found: Object.fromEntries(found), failures };
    },
    claim: async (wanted) => {
      const { own, failures } = await sort(Object.keys(wanted));
      const found = await database.write('claim keys', async (tx) => {
        const users: Record<string, Record<string, JsonObject>> = {};
        for (const [userId, userNum] of own) {
          for (const [deviceId, algorithm] of Object.entries(wanted[userId] ?? {})) {
            if (deviceId.includes('\0') || algorithm.includes('\0')) continue;
            const key =
              (await takeOneTimeKey(tx, userNum, deviceId, algorithm)) ?? (await useFallbackKey(tx, userNum, deviceId, algorithm));
            if (key === undefined) continue;
            (users[userId] ??= {})[deviceId] = { [`${key.algorithm}:${key.key_id}`]: JSON.parse(key.json) as JsonValue };
            tx.onCommit(() => remaining.forget(userNum, [deviceId]));
          }
        }
        return users;
      });
      return { found, failures };
    },
  };
};
