import { sql } from '#src/platform/database/sql.ts';
import type { Reader, Transaction } from '#src/platform/database/types.ts';

/** A key by the two parts of its name; `json` is canonical. */
export interface KeyRow {
  readonly algorithm: string;
  readonly key_id: string;
  readonly json: string;
}

/** What a device has uploaded about itself. */
export const readDeviceKeys = async (reader: Reader, userNum: number, deviceId: string): Promise<string | undefined> => {
  const row = await reader.one<{ json: string }>(sql`SELECT json FROM device_keys WHERE user_num = ${userNum} AND device_id = ${deviceId}`);
  return row?.json;
};

/** Stores what a device says of itself. */
export const putDeviceKeys = async (tx: Transaction, userNum: number, deviceId: string, json: string): Promise<void> => {
  await tx.run(sql`
    INSERT INTO device_keys (user_num, device_id, json) VALUES (${userNum}, ${deviceId}, ${json})
    ON CONFLICT (user_num, device_id) DO UPDATE SET json = excluded.json`);
};

export interface NamedDeviceKeysRow {
  readonly user_num: number;
  readonly device_id: string;
  readonly json: string;
  readonly display_name: string | null;
}

/** What all devices of users say of themselves, with their names. */
export const readDeviceKeysOf = (reader: Reader, userNums: readonly number[]): Promise<NamedDeviceKeysRow[]> =>
  reader.all<NamedDeviceKeysRow>(sql`
    SELECT k.user_num, k.device_id, k.json, d.display_name
    FROM device_keys k JOIN devices d ON d.user_num = k.user_num AND d.device_id = k.device_id
    WHERE k.user_num ${sql.in(userNums)} ORDER BY k.user_num, k.device_id`);

/** Those of a device's one-time keys that have one of these ids. */
export const readOneTimeKeys = (reader: Reader, userNum: number, deviceId: string, keyIds: readonly string[]): Promise<KeyRow[]> =>
  reader.all<KeyRow>(sql`
    SELECT algorithm, key_id, json FROM one_time_keys
    WHERE user_num = ${userNum} AND device_id = ${deviceId} AND key_id ${sql.in(keyIds)}`);

const oneTimeKeys = {
  name: 'one_time_keys',
  columns: { user_num: 'bigint', device_id: 'text', algorithm: 'text', key_id: 'text', json: 'text', uploaded_ts: 'bigint' },
  key: ['user_num', 'device_id', 'algorithm', 'key_id'],
} as const;

/** Adds one-time keys. */
export const insertOneTimeKeys = (
  tx: Transaction,
  device: { readonly user_num: number; readonly device_id: string },
  keys: readonly KeyRow[],
  uploadedTs: number,
): void => {
  for (const key of keys) tx.insert(oneTimeKeys, { ...device, ...key, uploaded_ts: uploadedTs });
};

/** How many one-time keys of each algorithm a device has. */
export const countOneTimeKeys = async (reader: Reader, userNum: number, deviceId: string): Promise<Record<string, number>> => {
  const rows = await reader.all<{ algorithm: string; count: number }>(sql`
    SELECT algorithm, COUNT(*) AS count FROM one_time_keys
    WHERE user_num = ${userNum} AND device_id = ${deviceId} GROUP BY algorithm`);
  return Object.fromEntries(rows.map((row) => [row.algorithm, row.count]));
};

/** Deletes the oldest one-time key of an algorithm, and answers it. */
export const takeOneTimeKey = async (
  tx: Transaction,
  userNum: number,
  deviceId: string,
  algorithm: string,
): Promise<KeyRow | undefined> => {
  const row = await tx.one<KeyRow>(sql`
    SELECT algorithm, key_id, json FROM one_time_keys
    WHERE user_num = ${userNum} AND device_id = ${deviceId} AND algorithm = ${algorithm} ORDER BY uploaded_ts, key_id LIMIT 1`);
  if (row !== undefined) {
    await tx.run(sql`
      DELETE FROM one_time_keys
      WHERE user_num = ${userNum} AND device_id = ${deviceId} AND algorithm = ${algorithm} AND key_id = ${row.key_id}`);
  }
  return row;
};

/** Stores the fallback key of an algorithm, which counts as unused unless it is the one that was there. */
export const putFallbackKey = async (tx: Transaction, userNum: number, deviceId: string, key: KeyRow): Promise<void> => {
  await tx.run(sql`
    INSERT INTO fallback_keys (user_num, device_id, algorithm, key_id, json, used)
    VALUES (${userNum}, ${deviceId}, ${key.algorithm}, ${key.key_id}, ${key.json}, 0)
    ON CONFLICT (user_num, device_id, algorithm) DO UPDATE SET key_id = excluded.key_id, json = excluded.json, used = 0
    WHERE fallback_keys.key_id <> excluded.key_id OR fallback_keys.json <> excluded.json`);
};

/** The fallback key of an algorithm, which counts as used from now on. */
export const useFallbackKey = async (
  tx: Transaction,
  userNum: number,
  deviceId: string,
  algorithm: string,
): Promise<KeyRow | undefined> => {
  const row = await tx.one<KeyRow>(sql`
    SELECT algorithm, key_id, json FROM fallback_keys
    WHERE user_num = ${userNum} AND device_id = ${deviceId} AND algorithm = ${algorithm}`);
  if (row !== undefined) {
    await tx.run(sql`
      UPDATE fallback_keys SET used = 1 WHERE user_num = ${userNum} AND device_id = ${deviceId} AND algorithm = ${algorithm}`);
  }
  return row;
};

/** The algorithms of which a device has a fallback key that was never given out. */
export const readUnusedFallbackTypes = async (reader: Reader, userNum: number, deviceId: string): Promise<string[]> => {
  const rows = await reader.all<{ algorithm: string }>(sql`
    SELECT algorithm FROM fallback_keys WHERE user_num = ${userNum} AND device_id = ${deviceId} AND used = 0 ORDER BY algorithm`);
  return rows.map((row) => row.algorithm);
};
