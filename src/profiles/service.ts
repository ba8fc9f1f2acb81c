import type { ProfilePort, Requester, User } from '#src/accounts/index.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { Database, Reader } from '#src/platform/database/types.ts';
import { forbidden, invalidParam, notFound, profileTooLarge, unknown } from '#src/protocol/errors.ts';
import { byteLength, domainOf, isUserId } from '#src/protocol/identifiers.ts';
import { checkFieldName, isNamedField, type NamedField } from '#src/profiles/field-names.ts';
import {
  deleteField,
  deleteFields,
  insertProfile,
  putField,
  readChangedProfiles,
  readFields,
  readProfiles,
  setProfileField,
} from '#src/profiles/store.ts';
import type { ProfileRow } from '#src/profiles/store.ts';

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
  /** How far the stream of events was when the change was asked for. */
  readonly eventsPosition: number;
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
  /** Name and avatar of a user id; throws `M_NOT_FOUND`, or `M_INVALID_PARAM` for what is no user id. */
  readonly get: (userId: string) => Promise<Profile>;
  /** All fields that a user has set, by name; throws as `get` does, and `M_NOT_FOUND` where there are none. */
  readonly all: (userId: string) => Promise<Readonly<Record<string, unknown>>>;
  /** One field as an object with that member; throws `M_NOT_FOUND` for one that is not set, unless it is the name or the avatar. */
  readonly field: (userId: string, name: string) => Promise<Readonly<Record<string, unknown>>>;
  /**
   * Sets a field of any name; the empty text removes the name and the avatar. Of others only for administrators. Throws `M_KEY_TOO_LARGE`,
   * `M_PROFILE_TOO_LARGE`, `M_INVALID_PARAM`, `M_FORBIDDEN`, `M_NOT_FOUND`.
   */
  readonly set: (requester: Requester, userId: string, name: string, value: unknown) => Promise<void>;
  /** Removes a field, as `set` does in all else; one that is not there may be removed. */
  readonly remove: (requester: Requester, userId: string, name: string) => Promise<void>;
}

/** Profiles of other servers' users: all fields, or the one that is named, as an object. Throws what the other server says, or that it did not answer. */
export interface RemoteProfiles {
  profile(userId: string, field?: string): Promise<Readonly<Record<string, unknown>>>;
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

/** All fields of a profile together, as JSON (client-server API, "Profiles"). */
const MAX_PROFILE_BYTES = 65_536;

const fromRow = (row: ProfileRow): Profile => ({ displayname: row.displayname ?? undefined, avatarUrl: row.avatar_url ?? undefined });

const namedFields = ({ displayname, avatarUrl }: Profile): [NamedField, string][] => [
  ...(displayname === undefined ? [] : [['displayname', displayname] as [NamedField, string]]),
  ...(avatarUrl === undefined ? [] : [['avatar_url', avatarUrl] as [NamedField, string]]),
];

/** Throws `M_PROFILE_TOO_LARGE` when a profile would be too large with a field set to a value. */
const checkSize = async (reader: Reader, userNum: number, name: string, value: unknown): Promise<void> => {
  const [row] = await readProfiles(reader, [userNum]);
  const fields = new Map(await readFields(reader, userNum));
  for (const [field, text] of row === undefined ? [] : namedFields(fromRow(row))) fields.set(field, JSON.stringify(text));
  fields.set(name, JSON.stringify(value));
  // With `"name":` and the comma or brace around each.
  const bytes = fields.entries().reduce((sum, [field, text]) => sum + byteLength(field) + byteLength(text) + 4, 1);
  if (bytes > MAX_PROFILE_BYTES) throw profileTooLarge(`A profile is at most ${String(MAX_PROFILE_BYTES)} bytes of JSON`);
};

const readAll = async (reader: Reader, userNums: readonly number[]): Promise<ReadonlyMap<number, Profile>> => {
  if (userNums.length === 0) return new Map();
  return new Map((await readProfiles(reader, userNums)).map((row) => [row.user_num, fromRow(row)]));
};

/** Display names and avatars of this server's users. */
export const createProfiles = ({
  database,
  config,
  findUser,
  remote,
}: {
  database: Database;
  config: Pick<Config, 'server_name' | 'enable_set_displayname' | 'enable_set_avatar_url'>;
  /** `Accounts.find`. */
  findUser: (userId: string) => Promise<User | undefined>;
  remote: RemoteProfiles;
}): Profiles => {
  const checkValue = (field: NamedField, value: unknown): string => {
    const { name, maxLength } = LIMITS[field];
    if (typeof value !== 'string' || value.includes('\0')) throw invalidParam(`'${field}' must be a string`);
    if (value.length > maxLength) throw unknown(`${name} is too long (max ${String(maxLength)})`);
    return value;
  };

  const profilesOf = (userNums: readonly number[]): Promise<ReadonlyMap<number, Profile>> =>
    database.read('profiles', (reader) => readAll(reader, userNums));

  const checkMayChange = async (userNum: number, field: NamedField): Promise<void> => {
    const { setting, disabled } = LIMITS[field];
    if (config[setting]) return;
    const profile = (await profilesOf([userNum])).get(userNum);
    const current = field === 'displayname' ? profile?.displayname : profile?.avatarUrl;
    if (current !== undefined) throw forbidden(disabled);
  };

  const userOf = async (userId: string): Promise<User> => {
    if (!isUserId(userId)) throw invalidParam('Invalid user id');
    const user = await findUser(userId);
    if (user === undefined) throw notFound('Profile was not found');
    return user;
  };

  const get: Profiles['get'] = async (userId) => {
    const { userNum } = await userOf(userId);
    const profile = (await profilesOf([userNum])).get(userNum);
    if (profile === undefined) throw notFound('Profile was not found');
    return profile;
  };

  const furtherFields = async (userId: string): Promise<ReadonlyMap<string, string>> => {
    const { userNum } = await userOf(userId);
    return database.read('profile fields', (reader) => readFields(reader, userNum));
  };

  const isElsewhere = (userId: string): boolean => isUserId(userId) && domainOf(userId) !== config.server_name;

  const all: Profiles['all'] = async (userId) => {
    if (isElsewhere(userId)) return remote.profile(userId);
    const [profile, further] = [await get(userId), await furtherFields(userId)];
    const fields = [...namedFields(profile), ...further.entries().map(([name, value]) => [name, JSON.parse(value) as unknown] as const)];
    if (fields.length === 0) throw notFound('Profile was not found');
    return Object.fromEntries(fields);
  };

  /** Whose profile is to be changed. */
  const ownerFor = async (requester: Requester, userId: string, name: string): Promise<User> => {
    if (!isUserId(userId)) throw invalidParam('Invalid user id');
    if (domainOf(userId) !== config.server_name) throw unknown('User is not hosted on this homeserver');
    if (userId !== requester.userId && !requester.isAdmin) throw forbidden(`Cannot set another user's ${name}`);
    checkFieldName(name);
    return userOf(userId);
  };

  const setNamed = async (requester: Requester, { userNum }: User, name: NamedField, text: string): Promise<void> => {
    if (!requester.isAdmin) await checkMayChange(userNum, name);
    const eventsPosition = database.positions.current('events').min;
    await database.write('set profile', async (tx) => {
      await checkSize(tx, userNum, name, text);
      const position = await tx.nextPositions('profiles');
      await setProfileField(tx, userNum, name, text === '' ? null : text, { position, eventsPosition });
    });
  };

  return {
    profilesOf,
    read: readAll,
    changesSince: async (reader, from, to) => {
      const rows = await readChangedProfiles(reader, from, to);
      return rows.map((row) => ({
        userNum: row.user_num,
        position: row.position,
        profile: fromRow(row),
        eventsPosition: row.events_position,
      }));
    },
    get,
    all,
    field: async (userId, name) => {
      if (!isUserId(userId)) throw invalidParam('Invalid user id');
      checkFieldName(name);
      if (isElsewhere(userId)) {
        const { [name]: value } = await remote.profile(userId, name);
        if (value !== undefined && value !== null) return { [name]: value };
        if (isNamedField(name)) return {};
        throw notFound(`The field '${name}' is not set`);
      }
      if (isNamedField(name)) return Object.fromEntries(namedFields(await get(userId)).filter(([field]) => field === name));
      const value = (await furtherFields(userId)).get(name);
      if (value === undefined) throw notFound(`The field '${name}' is not set`);
      return { [name]: JSON.parse(value) as unknown };
    },
    set: async (requester, userId, name, value) => {
      const user = await ownerFor(requester, userId, name);
      if (isNamedField(name)) return setNamed(requester, user, name, checkValue(name, value));
      const text = JSON.stringify(value);
      await database.write('set profile field', async (tx) => {
        await checkSize(tx, user.userNum, name, value);
        await putField(tx, user.userNum, name, text);
      });
    },
    remove: async (requester, userId, name) => {
      const user = await ownerFor(requester, userId, name);
      if (isNamedField(name)) return setNamed(requester, user, name, '');
      await database.write('remove profile field', (tx) => deleteField(tx, user.userNum, name));
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
    // Whatever its rooms say now goes with it.
    const place = { position: await tx.nextPositions('profiles'), eventsPosition: Number.MAX_SAFE_INTEGER };
    await setProfileField(tx, userNum, 'displayname', null, place);
    await setProfileField(tx, userNum, 'avatar_url', null, place);
    await deleteFields(tx, userNum);
  },
};
