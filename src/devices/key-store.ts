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

/** What all devices of users say of themselves, with their names; of users of other servers what is kept of them, with the names in it. */
export const readDeviceKeysOf = (reader: Reader, userNums: readonly number[]): Promise<NamedDeviceKeysRow[]> =>
  reader.all<NamedDeviceKeysRow>(sql`
    SELECT k.user_num, k.device_id, k.json, d.display_name
    FROM device_keys k JOIN devices d ON d.user_num = k.user_num AND d.device_id = k.device_id
    WHERE k.user_num ${sql.in(userNums)}
    UNION ALL SELECT r.user_num, r.device_id, r.json, NULL FROM remote_device_keys r WHERE r.user_num ${sql.in(userNums)}
    ORDER BY user_num, device_id`);

/** Those of a device's one-time keys that have one of these ids. */
export const readOneTimeKeys = (reader: Reader, userNum: number, deviceId: string, keyIds: readonly string[]): Promise<KeyRow[]> =>
  reader.all<KeyRow>(sql`
    SELECT algorithm, key_id, json FROM one_time_keys
    WHERE user_num = ${userNum} AND device_id = ${deviceId} AND key_id ${sql.in(keyIds)}`);

/** The stream that numbers one-time keys in the order of their upload; claims move it, too. */
export const ONE_TIME_KEYS_STREAM = 'one_time_keys';

const oneTimeKeys = {
  name: 'one_time_keys',
  columns: { upload_order: 'bigint', user_num: 'bigint', device_id: 'text', algorithm: 'text', key_id: 'text', json: 'text' },
  key: ['upload_order'],
} as const;

/** Adds one-time keys behind all that are there. */
export const insertOneTimeKeys = async (
  tx: Transaction,
  device: { readonly user_num: number; readonly device_id: string },
  keys: readonly KeyRow[],
): Promise<void> => {
  if (keys.length === 0) return;
  const first = await tx.nextPositions(ONE_TIME_KEYS_STREAM, keys.length);
  for (const [index, key] of keys.entries()) tx.insert(oneTimeKeys, { ...device, ...key, upload_order: first + index });
};

const claimedKeys = {
  name: 'claimed_keys',
  columns: { user_num: 'bigint', device_id: 'text', algorithm: 'text', key_id: 'text', json: 'text' },
  key: ['user_num', 'device_id', 'algorithm', 'key_id'],
} as const;

/** One-time keys of a device that were handed out since the upload before its last. */
export const readClaimedKeys = (reader: Reader, userNum: number, deviceId: string): Promise<KeyRow[]> =>
  reader.all<KeyRow>(sql`SELECT algorithm, key_id, json FROM claimed_keys WHERE user_num = ${userNum} AND device_id = ${deviceId}`);

/** Forgets that these were handed out. */
export const forgetClaimedKeys = async (tx: Transaction, userNum: number, deviceId: string, keyIds: readonly string[]): Promise<void> => {
  await tx.run(sql`DELETE FROM claimed_keys WHERE user_num = ${userNum} AND device_id = ${deviceId} AND key_id ${sql.in(keyIds)}`);
};

/** How many one-time keys of each algorithm a device has. */
export const countOneTimeKeys = async (reader: Reader, userNum: number, deviceId: string): Promise<Record<string, number>> => {
  const rows = await reader.all<{ algorithm: string; count: number }>(sql`
    SELECT algorithm, COUNT(*) AS count FROM one_time_keys
    WHERE user_num = ${userNum} AND device_id = ${deviceId} GROUP BY algorithm`);
  return Object.fromEntries(rows.map((row) => [row.algorithm, row.count]));
};

/** A key of a device that somebody may have. */
export interface OwnedKeyRow extends KeyRow {
  readonly user_num: number;
  readonly device_id: string;
}

/** Which keys are wanted: any device of any of the users, of one algorithm; `wants` says which of those it is. */
export interface ClaimQuery {
  readonly userNums: readonly number[];
  readonly algorithm: string;
  readonly wants: (key: Pick<OwnedKeyRow, 'user_num' | 'device_id'>) => boolean;
}

/** Takes away the first uploaded one-time key of each device that is wanted, and answers them. */
export const takeOneTimeKeys = async (tx: Transaction, { userNums, algorithm, wants }: ClaimQuery): Promise<OwnedKeyRow[]> => {
  const first = await tx.all<OwnedKeyRow & { upload_order: number }>(sql`
    SELECT k.upload_order, k.user_num, k.device_id, k.algorithm, k.key_id, k.json
    FROM devices d JOIN one_time_keys k ON k.upload_order = (
      SELECT MIN(other.upload_order) FROM one_time_keys other
      WHERE other.user_num = d.user_num AND other.device_id = d.device_id AND other.algorithm = ${algorithm})
    WHERE d.user_num ${sql.in(userNums)}`);
  const taken = first.filter(wants);
  if (taken.length > 0) {
    await tx.nextPositions(ONE_TIME_KEYS_STREAM);
    await tx.run(sql`DELETE FROM one_time_keys WHERE upload_order ${sql.in(taken.map((row) => row.upload_order))}`);
    for (const { upload_order: _, ...key } of taken) tx.put(claimedKeys, key);
  }
  return taken;
};

const fallbackKeys = {
  name: 'fallback_keys',
  columns: { user_num: 'bigint', device_id: 'text', algorithm: 'text', key_id: 'text', json: 'text', used: 'bigint' },
  key: ['user_num', 'device_id', 'algorithm'],
} as const;

/** The fallback key of each device that is wanted; they count as used from now on. */
export const useFallbackKeys = async (tx: Transaction, { userNums, algorithm, wants }: ClaimQuery): Promise<OwnedKeyRow[]> => {
  const rows = await tx.all<OwnedKeyRow & { used: number }>(sql`
    SELECT user_num, device_id, algorithm, key_id, json, used FROM fallback_keys
    WHERE user_num ${sql.in(userNums)} AND algorithm = ${algorithm}`);
  const wanted = rows.filter(wants);
  for (const row of wanted) if (row.used === 0) tx.put(fallbackKeys, { ...row, used: 1 });
  return wanted;
};

/** Stores the fallback key of an algorithm, which counts as unused unless it is the one that was there. */
export const putFallbackKey = async (tx: Transaction, userNum: number, deviceId: string, key: KeyRow): Promise<void> => {
  await tx.run(sql`
    INSERT INTO fallback_keys (user_num, device_id, algorithm, key_id, json, used)
    VALUES (${userNum}, ${deviceId}, ${key.algorithm}, ${key.key_id}, ${key.json}, 0)
    ON CONFLICT (user_num, device_id, algorithm) DO UPDATE SET key_id = excluded.key_id, json = excluded.json, used = 0
    WHERE fallback_keys.key_id <> excluded.key_id OR fallback_keys.json <> excluded.json`);
};

/** The algorithms of which a device has a fallback key that was never given out. */
export const readUnusedFallbackTypes = async (reader: Reader, userNum: number, deviceId: string): Promise<string[]> => {
  const rows = await reader.all<{ algorithm: string }>(sql`
    SELECT algorithm FROM fallback_keys WHERE user_num = ${userNum} AND device_id = ${deviceId} AND used = 0 ORDER BY algorithm`);
  return rows.map((row) => row.algorithm);
};

/** Drops all one-time keys; answers how many. Fallback keys count as used from now on. */
export const renewAllKeys = async (tx: Transaction): Promise<number> => {
  await tx.run(sql`UPDATE fallback_keys SET used = 1 WHERE used = 0`);
  return tx.run(sql`DELETE FROM one_time_keys`);
};

/** Does that to the keys of one device. */
export const renewKeysOf = async (tx: Transaction, userNum: number, deviceId: string): Promise<void> => {
  await tx.run(sql`UPDATE fallback_keys SET used = 1 WHERE used = 0 AND user_num = ${userNum} AND device_id = ${deviceId}`);
  await tx.run(sql`DELETE FROM one_time_keys WHERE user_num = ${userNum} AND device_id = ${deviceId}`);
};
