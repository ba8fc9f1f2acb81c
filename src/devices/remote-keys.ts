import { sql } from '#src/platform/database/sql.ts';
import type { Reader, Transaction } from '#src/platform/database/types.ts';
import { putCrossSigningKey } from '#src/devices/cross-signing/store.ts';
import type { UserKeys } from '#src/devices/published-keys.ts';

/** Why a server could not be asked, as clients are told it. */
export interface Failure {
  readonly status: number;
  readonly message: string;
}

/** By server. */
export type Failures = Readonly<Record<string, Failure>>;

/** What other servers know of the keys of their users. What cannot be had stands in `failures`. */
export interface RemoteKeys {
  /**
   * The keys of users of other servers: of those in `kept` they are among the published keys here, of those in `told` as their server has just said. By user id the
   * devices that are asked for; none for all.
   */
  query(
    wanted: ReadonlyMap<string, readonly string[]>,
    timeoutMs: number,
  ): Promise<{ readonly kept: ReadonlyMap<string, number>; readonly told: ReadonlyMap<string, UserKeys>; readonly failures: Failures }>;
  /** A key of the wanted algorithm of each device; by user id the JSON text of what the server gave. */
  claim(
    wanted: ReadonlyMap<string, Readonly<Record<string, string>>>,
    timeoutMs: number,
  ): Promise<{ readonly keys: ReadonlyMap<string, string>; readonly failures: Failures }>;
}

const remoteDeviceKeys = {
  name: 'remote_device_keys',
  columns: { user_num: 'bigint', device_id: 'text', json: 'text' },
  key: ['user_num', 'device_id'],
} as const;

/** More devices than this are kept of nobody. */
export const MAX_REMOTE_DEVICES = 1000;

/** How many devices are kept of a user of another server. */
export const countRemoteDevices = async (reader: Reader, userNum: number): Promise<number> => {
  const row = await reader.one<{ count: number }>(sql`SELECT COUNT(*) AS count FROM remote_device_keys WHERE user_num = ${userNum}`);
  return row?.count ?? 0;
};

/** Keeps what another server tells of a device, or forgets the device. */
export const putRemoteDevice = async (tx: Transaction, userNum: number, deviceId: string, json: string | undefined): Promise<void> => {
  if (json !== undefined) tx.put(remoteDeviceKeys, { user_num: userNum, device_id: deviceId, json });
  else await tx.run(sql`DELETE FROM remote_device_keys WHERE user_num = ${userNum} AND device_id = ${deviceId}`);
};

/** Forgets what is kept of a user of another server. */
export const deleteRemoteKeys = async (tx: Transaction, userNum: number): Promise<void> => {
  await tx.run(sql`DELETE FROM remote_device_keys WHERE user_num = ${userNum}`);
  await tx.run(sql`DELETE FROM cross_signing_keys WHERE user_num = ${userNum}`);
};

/** Keeps all that another server tells of a user's devices and cross-signing keys, in the place of what was kept. */
export const replaceRemoteKeys = async (tx: Transaction, userNum: number, { devices, crossSigning }: UserKeys): Promise<void> => {
  await deleteRemoteKeys(tx, userNum);
  for (const [deviceId, json] of devices) tx.put(remoteDeviceKeys, { user_num: userNum, device_id: deviceId, json });
  for (const usage of ['master', 'self_signing'] as const) {
    const key = crossSigning[usage];
    if (key !== undefined) putCrossSigningKey(tx, { user_num: userNum, usage, public_key: key.publicKey, json: key.json });
  }
};
