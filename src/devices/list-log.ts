import { sql } from '#src/platform/database/sql.ts';
import type { Reader, Transaction } from '#src/platform/database/types.ts';

/** The stream of changes of devices, and of what is known of them. */
export const DEVICE_LISTS_STREAM = 'device_lists';

/** Of each user so many changes are kept one by one. */
const MAX_CHANGES = 100;

const lists = { name: 'device_lists', columns: { user_num: 'bigint', position: 'bigint' }, key: ['user_num'] } as const;
const changes = {
  name: 'device_list_changes',
  columns: { position: 'bigint', user_num: 'bigint', device_id: 'text', previous_position: 'bigint' },
  key: ['position'],
} as const;
const signedUsers = {
  name: 'signed_users',
  columns: { signer_num: 'bigint', target_num: 'bigint', position: 'bigint' },
  key: ['signer_num', 'target_num'],
} as const;

/** The position of a user's last change; 0 when there was none. */
export const readLastChange = async (reader: Reader, userNum: number): Promise<number> => {
  const row = await reader.one<{ position: number }>(sql`SELECT position FROM device_lists WHERE user_num = ${userNum}`);
  return row?.position ?? 0;
};

/** Writes into a user's list that these devices, or what is known of them, have changed. */
export const logListChange = async (tx: Transaction, userNum: number, deviceIds: readonly string[]): Promise<void> => {
  if (deviceIds.length === 0) return;
  let previous = await readLastChange(tx, userNum);
  const first = await tx.nextPositions(DEVICE_LISTS_STREAM, deviceIds.length);
  for (const [index, deviceId] of deviceIds.entries()) {
    tx.insert(changes, { position: first + index, user_num: userNum, device_id: deviceId, previous_position: previous });
    previous = first + index;
  }
  tx.put(lists, { user_num: userNum, position: previous });
  await tx.run(sql`
    DELETE FROM device_list_changes WHERE user_num = ${userNum} AND position <= (
      SELECT position FROM device_list_changes WHERE user_num = ${userNum} ORDER BY position DESC LIMIT 1 OFFSET ${MAX_CHANGES})`);
};

/** Writes down that the devices of a user of another server have changed; who they are that server knows. */
export const noteListChange = async (tx: Transaction, userNum: number): Promise<void> => {
  tx.put(lists, { user_num: userNum, position: await tx.nextPositions(DEVICE_LISTS_STREAM) });
};

/** Writes down that a user has signed the keys of these, or has a new key to sign with: the signer alone is told. */
export const logSignatures = async (tx: Transaction, signerNum: number, targetNums: readonly number[]): Promise<void> => {
  if (targetNums.length === 0) return;
  const position = await tx.nextPositions(DEVICE_LISTS_STREAM);
  for (const targetNum of targetNums) tx.put(signedUsers, { signer_num: signerNum, target_num: targetNum, position });
};

/** A device of a user, or a cross-signing key, that has changed; `previous` is the user's change before this one. */
export interface ListChange {
  readonly position: number;
  readonly deviceId: string;
  readonly previous: number;
}

/**
 * What changed in a user's list after a position. `isComplete` is false when the log does not reach back so far; then only the whole list will do.
 * Whoever is sent the changes one by one (server-server API, `m.device_list_update`) can tell the same from `previous`.
 */
export const readListChanges = async (
  reader: Reader,
  userNum: number,
  after: number,
): Promise<{ readonly isComplete: boolean; readonly changes: readonly ListChange[] }> => {
  const rows = await reader.all<{ position: number; device_id: string; previous_position: number }>(sql`
    SELECT position, device_id, previous_position FROM device_list_changes
    WHERE user_num = ${userNum} AND position > ${after} ORDER BY position`);
  const found = rows.map((row) => ({ position: row.position, deviceId: row.device_id, previous: row.previous_position }));
  const [first] = found;
  const isComplete = first === undefined ? (await readLastChange(reader, userNum)) <= after : first.previous <= after;
  return { isComplete, changes: found };
};

/** The users whose devices last changed after `from` and not after `to`. */
export const readChangedLists = async (reader: Reader, from: number, to: number): Promise<number[]> => {
  const rows = await reader.all<{ user_num: number }>(sql`
    SELECT user_num FROM device_lists WHERE position > ${from} AND position <= ${to} ORDER BY position`);
  return rows.map((row) => row.user_num);
};

/** Who has signed others' keys after `from` and not after `to`. */
export const readSigners = async (reader: Reader, from: number, to: number): Promise<number[]> => {
  const rows = await reader.all<{ signer_num: number }>(sql`
    SELECT DISTINCT signer_num FROM signed_users WHERE position > ${from} AND position <= ${to}`);
  return rows.map((row) => row.signer_num);
};

/** Whose keys a user has signed after `from` and not after `to`. */
export const readSignedUsers = async (reader: Reader, signerNum: number, from: number, to: number): Promise<number[]> => {
  const rows = await reader.all<{ target_num: number }>(sql`
    SELECT target_num FROM signed_users WHERE signer_num = ${signerNum} AND position > ${from} AND position <= ${to}`);
  return rows.map((row) => row.target_num);
};

/** Everybody's list has changed, and nobody can follow what changed one by one; answers how many users that are. */
export const changeAllLists = async (tx: Transaction): Promise<number> => {
  const position = await tx.nextPositions(DEVICE_LISTS_STREAM);
  await tx.run(sql`DELETE FROM device_list_changes WHERE position < ${position}`);
  return tx.run(sql`UPDATE device_lists SET position = ${position}`);
};
