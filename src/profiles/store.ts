import { sql } from '#src/platform/database/sql.ts';
import type { Reader, Transaction } from '#src/platform/database/types.ts';

export interface ProfileRow {
  readonly user_num: number;
  readonly displayname: string | null;
  readonly avatar_url: string | null;
}

/** What a profile may be changed in. */
export type ProfileField = 'displayname' | 'avatar_url';

/** The profiles of those users who have one. */
export const readProfiles = (reader: Reader, userNums: readonly number[]): Promise<ProfileRow[]> =>
  reader.all<ProfileRow>(sql`SELECT user_num, displayname, avatar_url FROM profiles WHERE user_num ${sql.in(userNums)}`);

/** The users whose profiles last changed after `from` and not after `to`, in that order. */
export const readChangedProfiles = (reader: Reader, from: number, to: number): Promise<(ProfileRow & { position: number })[]> =>
  reader.all(sql`
    SELECT user_num, displayname, avatar_url, position FROM profiles
    WHERE position > ${from} AND position <= ${to} ORDER BY position`);

/** Adds a profile unless the user has one. */
export const insertProfile = async (tx: Transaction, row: ProfileRow, position: number): Promise<void> => {
  await tx.run(sql`
    INSERT INTO profiles (user_num, displayname, avatar_url, position)
    VALUES (${row.user_num}, ${row.displayname}, ${row.avatar_url}, ${position})
    ON CONFLICT DO NOTHING`);
};

/** Sets one field of a profile. */
export const setProfileField = async (
  tx: Transaction,
  userNum: number,
  field: ProfileField,
  value: string | null,
  position: number,
): Promise<void> => {
  await insertProfile(tx, { user_num: userNum, displayname: null, avatar_url: null }, position);
  await tx.run(
    field === 'displayname'
      ? sql`UPDATE profiles SET displayname = ${value}, position = ${position} WHERE user_num = ${userNum}`
      : sql`UPDATE profiles SET avatar_url = ${value}, position = ${position} WHERE user_num = ${userNum}`,
  );
};
