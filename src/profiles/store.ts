import { sql } from '#src/platform/database/sql.ts';
import type { Reader, Transaction } from '#src/platform/database/types.ts';
import type { NamedField } from '#src/profiles/field-names.ts';

export interface ProfileRow {
  readonly user_num: number;
  readonly displayname: string | null;
  readonly avatar_url: string | null;
}

/** The profiles of those users who have one. */
export const readProfiles = (reader: Reader, userNums: readonly number[]): Promise<ProfileRow[]> =>
  reader.all<ProfileRow>(sql`SELECT user_num, displayname, avatar_url FROM profiles WHERE user_num ${sql.in(userNums)}`);

/** The users whose profiles last changed after `from` and not after `to`, in that order. */
export const readChangedProfiles = (
  reader: Reader,
  from: number,
  to: number,
): Promise<(ProfileRow & { position: number; events_position: number })[]> =>
  reader.all(sql`
    SELECT user_num, displayname, avatar_url, position, events_position FROM profiles
    WHERE position > ${from} AND position <= ${to} ORDER BY position`);

/** Adds a profile unless the user has one. */
export const insertProfile = async (tx: Transaction, row: ProfileRow, position: number): Promise<void> => {
  await tx.run(sql`
    INSERT INTO profiles (user_num, displayname, avatar_url, position)
    VALUES (${row.user_num}, ${row.displayname}, ${row.avatar_url}, ${position})
    ON CONFLICT DO NOTHING`);
};

/** Where a change of a profile stands in its own stream, and how far that of events was. */
export interface ChangePlace {
  readonly position: number;
  readonly eventsPosition: number;
}

/** Sets one field of a profile. */
export const setProfileField = async (
  tx: Transaction,
  userNum: number,
  field: NamedField,
  value: string | null,
  { position, eventsPosition }: ChangePlace,
): Promise<void> => {
  await insertProfile(tx, { user_num: userNum, displayname: null, avatar_url: null }, position);
  await tx.run(
    field === 'displayname'
      ? sql`UPDATE profiles SET displayname = ${value} WHERE user_num = ${userNum}`
      : sql`UPDATE profiles SET avatar_url = ${value} WHERE user_num = ${userNum}`,
  );
  await tx.run(sql`UPDATE profiles SET position = ${position}, events_position = ${eventsPosition} WHERE user_num = ${userNum}`);
};

/** The further fields of a profile, as JSON by name. */
export const readFields = async (reader: Reader, userNum: number): Promise<ReadonlyMap<string, string>> => {
  const rows = await reader.all<{ name: string; value: string }>(sql`
    SELECT name, value FROM profile_fields WHERE user_num = ${userNum} ORDER BY name`);
  return new Map(rows.map(({ name, value }) => [name, value]));
};

/** Sets a further field, to JSON. */
export const putField = async (tx: Transaction, userNum: number, name: string, value: string): Promise<void> => {
  await tx.run(sql`
    INSERT INTO profile_fields (user_num, name, value) VALUES (${userNum}, ${name}, ${value})
    ON CONFLICT (user_num, name) DO UPDATE SET value = EXCLUDED.value`);
};

export const deleteField = async (tx: Transaction, userNum: number, name: string): Promise<void> => {
  await tx.run(sql`DELETE FROM profile_fields WHERE user_num = ${userNum} AND name = ${name}`);
};

/** Deletes all further fields of a profile. */
export const deleteFields = async (tx: Transaction, userNum: number): Promise<void> => {
  await tx.run(sql`DELETE FROM profile_fields WHERE user_num = ${userNum}`);
};
