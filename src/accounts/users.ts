import type { Clock } from '#src/platform/clock.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import { userDeactivated, userInUse } from '#src/protocol/errors.ts';
import { makeUserId } from '#src/protocol/identifiers.ts';
import type { DeviceWish, Sessions, StartedSession } from '#src/accounts/sessions.ts';
import { insertUser, readUser, readUsersByFoldedLocalpart, upgradeGuest } from '#src/accounts/store/users.ts';
import type { UserRow } from '#src/accounts/store/users.ts';
import type { LoginResult, ProfilePort, User } from '#src/accounts/types.ts';
import { localpartOf } from '#src/accounts/usernames.ts';

export interface NewUser {
  /** Checked and in lower case; undefined for a user that gets the next free number as its name. */
  readonly localpart: string | undefined;
  readonly passwordHash: string | undefined;
  readonly isGuest?: boolean;
  readonly isAdmin?: boolean;
  readonly userType?: string | undefined;
  /** By default the localpart. */
  readonly displayname?: string | undefined;
}

/** What else has to happen in the transaction that makes a user. */
export type Alongside = (tx: Transaction, userId: string) => Promise<void>;

/** Finding users. */
export interface UserLookup {
  /** A user of this server by exactly this id. */
  readonly find: (userId: string) => Promise<User | undefined>;
  /** A user of this server by number. */
  readonly findByNum: (userNum: number) => Promise<User | undefined>;
  /** The user whom somebody means who types this name or id: case does not matter unless two names differ by it alone. */
  readonly findTyped: (user: string) => Promise<User | undefined>;
  /** Whether a name, in lower case, is taken by anybody, in whatever case. */
  readonly isTaken: (localpart: string) => Promise<boolean>;
}

/** Finding users, making them, and logging them in. */
export interface Users extends UserLookup {
  /** Makes a user, with a profile and, unless `wish` is undefined, a session. Throws `M_USER_IN_USE`. */
  readonly create: (user: NewUser, wish: DeviceWish | undefined, alongside?: Alongside) => Promise<LoginResult>;
  /** Makes a guest a user with a password, who keeps name and profile. Throws `M_USER_IN_USE` for one who is no guest any more. */
  readonly upgrade: (guest: User, passwordHash: string, wish: DeviceWish | undefined, alongside?: Alongside) => Promise<LoginResult>;
  /** Makes a session for a user. Throws `M_USER_DEACTIVATED`. */
  readonly login: (user: User, wish: DeviceWish) => Promise<LoginResult>;
}

const MAX_NUMBER_TRIES = 10;

const createUserLookup = ({
  database,
  strings,
  config,
}: {
  database: Database;
  strings: Strings;
  config: Pick<Config, 'server_name'>;
}): UserLookup => {
  const fromRow = (row: UserRow): User => ({
    userNum: row.user_num,
    userId: makeUserId(row.localpart, config.server_name),
    localpart: row.localpart,
    passwordHash: row.password_hash ?? undefined,
    createdTs: row.created_ts,
    isGuest: row.is_guest === 1,
    isAdmin: row.is_admin === 1,
    deactivated: row.deactivated === 1,
    userType: row.user_type ?? undefined,
  });

  const findFolded = (localpart: string): Promise<UserRow[]> => {
    if (localpart.includes('\0')) return Promise.resolve([]);
    return database.read('user by name', (reader) => readUsersByFoldedLocalpart(reader, localpart.toLowerCase()));
  };

  const findByNum = async (userNum: number): Promise<User | undefined> => {
    const row = await database.read('user', (reader) => readUser(reader, userNum));
    return row && fromRow(row);
  };

  return {
    find: async (userId) => {
      const userNum = await strings.numOf(userId);
      return userNum === undefined ? undefined : findByNum(userNum);
    },
    findByNum,
    findTyped: async (user) => {
      const localpart = localpartOf(user, config.server_name);
      if (localpart === undefined) return undefined;
      const rows = await findFolded(localpart);
      const row = rows.length === 1 ? rows[0] : rows.find((candidate) => candidate.localpart === localpart);
      return row && fromRow(row);
    },
    isTaken: async (localpart) => (await findFolded(localpart)).length > 0,
  };
};

/** Users, and how they come to be. */
export const createUsers = ({
  database,
  strings,
  clock,
  config,
  sessions,
  profiles,
}: {
  database: Database;
  strings: Strings;
  clock: Clock;
  config: Pick<Config, 'server_name'>;
  sessions: Sessions;
  profiles: ProfilePort;
}): Users => {
  const lookup = createUserLookup({ database, strings, config });

  const answer = (userId: string, started: StartedSession | undefined): LoginResult => ({
    user_id: userId,
    home_server: config.server_name,
    ...(started && { access_token: started.accessToken, device_id: started.deviceId }),
    ...(started?.expiresTs !== undefined && { expires_in_ms: started.expiresTs - clock.now() }),
    ...(started?.refreshToken !== undefined && { refresh_token: started.refreshToken }),
  });

  const numberOf = async (userId: string): Promise<number> => {
    const userNum = (await strings.intern([userId])).get(userId);
    if (userNum === undefined) throw new Error('interning a user id answered no number');
    return userNum;
  };

  const createNamed = async (
    localpart: string,
    user: NewUser,
    wish: DeviceWish | undefined,
    alongside: Alongside | undefined,
  ): Promise<LoginResult> => {
    const userId = makeUserId(localpart, config.server_name);
    const userNum = await numberOf(userId);
    const started = await database.write('create user', async (tx) => {
      const namesakes = await readUsersByFoldedLocalpart(tx, localpart);
      const row = {
        user_num: userNum,
        localpart,
        password_hash: user.passwordHash ?? null,
        created_ts: clock.now(),
        is_guest: user.isGuest === true ? 1 : 0,
        is_admin: user.isAdmin === true ? 1 : 0,
        deactivated: 0,
        user_type: user.userType ?? null,
      };
      if (namesakes.length > 0 || !(await insertUser(tx, row))) throw userInUse('User ID already taken.');
      await profiles.create(tx, userNum, user.displayname ?? localpart);
      await alongside?.(tx, userId);
      return wish && sessions.start(tx, { userNum, localpart }, wish);
    });
    return answer(userId, started);
  };

  const nextNumber = async (): Promise<string> => String(await database.write('number a user', (tx) => tx.nextPositions('numbered_users')));

  return {
    ...lookup,
    create: async (user, wish, alongside) => {
      if (user.localpart !== undefined) return createNamed(user.localpart, user, wish, alongside);
      for (let tries = 0; tries < MAX_NUMBER_TRIES; tries += 1) {
        const localpart = await nextNumber();
        if (!(await lookup.isTaken(localpart))) return createNamed(localpart, user, wish, alongside);
      }
      throw new Error(`no free number for a user in ${String(MAX_NUMBER_TRIES)} tries`);
    },
    upgrade: async (guest, passwordHash, wish, alongside) => {
      const started = await database.write('upgrade guest', async (tx) => {
        if (!(await upgradeGuest(tx, guest.userNum, passwordHash))) throw userInUse('User ID already taken.');
        await sessions.endAll(tx, guest.userNum);
        await alongside?.(tx, guest.userId);
        return wish && sessions.start(tx, guest, wish);
      });
      return answer(guest.userId, started);
    },
    login: async (user, wish) => {
      const started = await database.write('login', async (tx) => {
        // Who was deactivated while the password was checked does not get in.
        if ((await readUser(tx, user.userNum))?.deactivated !== 0) throw userDeactivated('This account has been deactivated');
        return sessions.start(tx, user, wish);
      });
      return answer(user.userId, started);
    },
  };
};
