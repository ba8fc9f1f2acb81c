import { sql } from '#src/platform/database/sql.ts';
import type { Reader, Transaction } from '#src/platform/database/types.ts';

export interface DeviceRow {
  readonly device_id: string;
  readonly display_name: string | null;
  readonly created_ts: number;
}

/** Adds a device unless it is there; answers whether it was added. */
export const insertDevice = async (tx: Transaction, userNum: number, row: DeviceRow): Promise<boolean> => {
  const added = await tx.run(sql`
    INSERT INTO devices (user_num, device_id, display_name, created_ts)
    VALUES (${userNum}, ${row.device_id}, ${row.display_name}, ${row.created_ts})
    ON CONFLICT DO NOTHING`);
  return added === 1;
};

/** Deletes devices with their keys; answers how many devices there were. */
export const deleteDevices = async (tx: Transaction, userNum: number, deviceIds: readonly string[]): Promise<number> => {
  const ids = sql.in(deviceIds);
  await tx.run(sql`DELETE FROM device_keys WHERE user_num = ${userNum} AND device_id ${ids}`);
  await tx.run(sql`DELETE FROM key_signatures WHERE target_num = ${userNum} AND signer_num = ${userNum} AND target_key ${ids}`);
  await tx.run(sql`
    DELETE FROM key_signatures WHERE target_num = ${userNum} AND signer_num = ${userNum}
      AND key_id ${sql.in(deviceIds.map((deviceId) => `ed25519:${deviceId}`))}`);
  await tx.run(sql`DELETE FROM one_time_keys WHERE user_num = ${userNum} AND device_id ${ids}`);
  await tx.run(sql`DELETE FROM claimed_keys WHERE user_num = ${userNum} AND device_id ${ids}`);
  await tx.run(sql`DELETE FROM fallback_keys WHERE user_num = ${userNum} AND device_id ${ids}`);
  return tx.run(sql`DELETE FROM devices WHERE user_num = ${userNum} AND device_id ${ids}`);
};

/** Names a device; answers whether it is there. */
export const setDisplayName = async (tx: Transaction, userNum: number, deviceId: string, name: string): Promise<boolean> => {
  const changed = await tx.run(sql`UPDATE devices SET display_name = ${name} WHERE user_num = ${userNum} AND device_id = ${deviceId}`);
  return changed === 1;
};

/** Whether a device is there. */
export const hasDevice = async (reader: Reader, userNum: number, deviceId: string): Promise<boolean> => {
  const row = await reader.one(sql`SELECT device_id FROM devices WHERE user_num = ${userNum} AND device_id = ${deviceId}`);
  return row !== undefined;
};

/** The ids of all devices of users. */
export const readDeviceIds = (reader: Reader, userNums: readonly number[]): Promise<{ user_num: number; device_id: string }[]> =>
  reader.all(sql`SELECT user_num, device_id FROM devices WHERE user_num ${sql.in(userNums)}`);

/** A user's devices, by id. */
export const readDevices = (reader: Reader, userNum: number): Promise<DeviceRow[]> =>
  reader.all<DeviceRow>(sql`SELECT device_id, display_name, created_ts FROM devices WHERE user_num = ${userNum} ORDER BY device_id`);
