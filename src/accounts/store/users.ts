import { sql } from '#src/platform/database/sql.ts';
import type { Reader, Transaction } from '#src/platform/database/types.ts';

export interface UserRow {
  readonly user_num: number;
  readonly localpart: string;
  readonly password_hash: string | null;
  readonly created_ts: number;
  readonly is_guest: number;
  readonly is_admin: number;
  readonly deactivated: number;
  readonly user_type: string | null;
}

/** The user with this number. */
export const readUser = (reader: Reader, userNum: number): Promise<UserRow | undefined> =>
  reader.one<UserRow>(sql`
    SELECT user_num, localpart, password_hash, created_ts, is_guest, is_admin, deactivated, user_type
    FROM users WHERE user_num = ${userNum}`);

/** All users whose localparts differ from the given one by case at most. */
export const readUsersByFoldedLocalpart = (reader: Reader, folded: string): Promise<UserRow[]> =>
  reader.all<UserRow>(sql`
    SELECT user_num, localpart, password_hash, created_ts, is_guest, is_admin, deactivated, user_type
    FROM users WHERE localpart_folded = ${folded}`);

/** Adds a user; answers false, and adds nothing, when the number is taken. */
export const insertUser = async (tx: Transaction, user: UserRow): Promise<boolean> => {
  const added = await tx.run(sql`
    INSERT INTO users (user_num, localpart, localpart_folded, password_hash, created_ts, is_guest, is_admin, deactivated, user_type)
    VALUES (${user.user_num}, ${user.localpart}, ${user.localpart.toLowerCase()}, ${user.password_hash}, ${user.created_ts},
      ${user.is_guest}, ${user.is_admin}, ${user.deactivated}, ${user.user_type})
    ON CONFLICT DO NOTHING`);
  return added === 1;
};

/** Makes a guest a user with a password; answers false when the user is no guest (any more). */
export const upgradeGuest = async (tx: Transaction, userNum: number, passwordHash: string): Promise<boolean> => {
  const changed = await tx.run(sql`
    UPDATE users SET is_guest = 0, password_hash = ${passwordHash} WHERE user_num = ${userNum} AND is_guest = 1`);
  return changed === 1;
};

/** Closes an account: there is nothing left to log in with. */
export const markDeactivated = async (tx: Transaction, userNum: number): Promise<void> => {
  await tx.run(sql`UPDATE users SET deactivated = 1, password_hash = NULL WHERE user_num = ${userNum}`);
};

/** Notes that a user wants what it wrote forgotten as far as that is possible. */
export const insertErasedUser = async (tx: Transaction, userNum: number): Promise<void> => {
  await tx.run(sql`INSERT INTO erased_users (user_num) VALUES (${userNum}) ON CONFLICT DO NOTHING`);
};

export const readErasedUsers = async (reader: Reader): Promise<number[]> => {
  const rows = await reader.all<{ user_num: number }>(sql`SELECT user_num FROM erased_users`);
  return rows.map((row) => row.user_num);
};

/** Notes that a user has yet to leave all rooms. */
export const insertPendingParting = async (tx: Transaction, userNum: number): Promise<void> => {
  await tx.run(sql`INSERT INTO pending_partings (user_num) VALUES (${userNum}) ON CONFLICT DO NOTHING`);
};

/** The users who have yet to leave all rooms. */
export const readPendingPartings = async (reader: Reader): Promise<number[]> => {
  const rows = await reader.all<{ user_num: number }>(sql`SELECT user_num FROM pending_partings ORDER BY user_num`);
  return rows.map((row) => row.user_num);
};

/** Notes that a user has left all rooms. */
export const deletePendingParting = async (tx: Transaction, userNum: number): Promise<void> => {
  await tx.run(sql`DELETE FROM pending_partings WHERE user_num = ${userNum}`);
};

/** Sets what a user's password is checked against. */
export const setPasswordHash = async (tx: Transaction, userNum: number, passwordHash: string): Promise<void> => {
  await tx.run(sql`UPDATE users SET password_hash = ${passwordHash} WHERE user_num = ${userNum}`);
};
