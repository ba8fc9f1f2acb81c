import type { ProfilePort, Requester, User } from '#src/accounts/index.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { Database, Reader } from '#src/platform/database/types.ts';
import { forbidden, invalidParam, notFound, unknown } from '#src/protocol/errors.ts';
import { domainOf, isUserId } from '#src/protocol/identifiers.ts';
import { insertProfile, readChangedProfiles, readProfiles, setProfileField } from '#src/profiles/store.ts';
import type { ProfileField, ProfileRow } from '#src/profiles/store.ts';

/** A user's profile; a field that is not set is undefined. */
export interface Profile {
  readonly displayname: string | undefined;
  readonly avatarUrl: string | undefined;
}

/** A profile as it is after a change of the stream `profiles`. */
export interface ChangedProfile {
  readonly userNum: number;
  readonly position: number;
  readonly profile: Profile;
}

export interface Profiles {
  /** The profiles of those users of this server who have one. */
  readonly profilesOf: (userNums: readonly number[]) => Promise<ReadonlyMap<number, Profile>>;
  /** As `profilesOf`, within a read or a transaction of the caller. */
  readonly read: (reader: Reader, userNums: readonly number[]) => Promise<ReadonlyMap<number, Profile>>;
  /**
   * Profiles whose last change has a position above `from` and up to `to`, in that order, as they are now. One that changed twice
   * comes once, at its last position, so a follower that lags does not repeat itself.
   */
  readonly changesSince: (reader: Reader, from: number, to: number) => Promise<ChangedProfile[]>;
  /** The profile of a user id; throws `M_NOT_FOUND`, or `M_INVALID_PARAM` for what is no user id. */
  readonly get: (userId: string) => Promise<Profile>;
  /** Sets a field, or removes it with `''`; of others only for administrators. */
  readonly set: (requester: Requester, userId: string, field: ProfileField, value: unknown) => Promise<void>;
}

const LIMITS = {
  displayname: {
    name: 'Displayname',
    maxLength: 256,
    setting: 'enable_set_displayname',
    disabled: 'Changing display name is disabled on this server',
  },
  avatar_url: {
    name: 'Avatar URL',
    maxLength: 1000,
    setting: 'enable_set_avatar_url',
    disabled: 'Changing avatar is disabled on this server',
  },
} as const;

const fromRow = (row: ProfileRow): Profile => ({ displayname: row.displayname ?? undefined, avatarUrl: row.avatar_url ?? undefined });

const readAll = async (reader: Reader, userNums: readonly number[]): Promise<ReadonlyMap<number, Profile>> => {
  if (userNums.length === 0) return new Map();
  return new Map((await readProfiles(reader, userNums)).map((row) => [row.user_num, fromRow(row)]));
};

/** Display names and avatars of this server's users. */
export const createProfiles = ({
  database,
  config,
  findUser,
}: {
  database: Database;
  config: Pick<Config, 'server_name' | 'enable_set_displayname' | 'enable_set_avatar_url'>;
  /** `Accounts.find`. */
  findUser: (userId: string) => Promise<User | undefined>;
}): Profiles => {
  const checkValue = (field: ProfileField, value: unknown): string => {
    const { name, maxLength } = LIMITS[field];
    if (typeof value !== 'string' || value.includes('\0')) throw invalidParam(`'${field}' must be a string`);
    if (value.length > maxLength) throw unknown(`${name} is too long (max ${String(maxLength)})`);
    return value;
  };

  const profilesOf = (userNums: readonly number[]): Promise<ReadonlyMap<number, Profile>> =>
    database.read('profiles', (reader) => readAll(reader, userNums));

  const checkMayChange = async (userNum: number, field: ProfileField): Promise<void> => {
    const { setting, disabled } = LIMITS[field];
    if (config[setting]) return;
    const profile = (await profilesOf([userNum])).get(userNum);
    const current = field === 'displayname' ? profile?.displayname : profile?.avatarUrl;
    if (current !== undefined) throw forbidden(disabled);
  };

  return {
    profilesOf,
    read: readAll,
    changesSince: async (reader, from, to) => {
      const rows = await readChangedProfiles(reader, from, to);
      return rows.map((row) => ({ userNum: row.user_num, position: row.position, profile: fromRow(row) }));
    },
    get: async (userId) => {
      if (!isUserId(userId)) throw invalidParam('Invalid user id');
      const user = await findUser(userId);
      const profile = user === undefined ? undefined : (await profilesOf([user.userNum])).get(user.userNum);
      if (profile === undefined) throw notFound('Profile was not found');
      return profile;
    },
    set: async (requester, userId, field, value) => {
      if (!isUserId(userId)) throw invalidParam('Invalid user id');
      if (domainOf(userId) !== config.server_name) throw unknown('User is not hosted on this homeserver');
      if (userId !== requester.userId && !requester.isAdmin) throw forbidden(`Cannot set another user's ${field}`);
      const text = checkValue(field, value);
      const user = await findUser(userId);
      if (user === undefined) throw notFound('Profile was not found');
      if (!requester.isAdmin) await checkMayChange(user.userNum, field);
      await database.write('set profile', async (tx) => {
        const position = await tx.nextPositions('profiles');
        await setProfileField(tx, user.userNum, field, text === '' ? null : text, position);
      });
    },
  };
};

/** Gives new users a profile, and takes that of erased ones; accounts, which live below, are handed this. */
export const profilePort: ProfilePort = {
  create: async (tx, userNum, displayname) => {
    const position = await tx.nextPositions('profiles');
    await insertProfile(tx, { user_num: userNum, displayname: displayname ?? null, avatar_url: null }, position);
  },
  clear: async (tx, userNum) => {
    const position = await tx.nextPositions('profiles');
    await setProfileField(tx, userNum, 'displayname', null, position);
    await setProfileField(tx, userNum, 'avatar_url', null, position);
  },
};
