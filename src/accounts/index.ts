import type { Clock } from '#src/platform/clock.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { Passwords } from '#src/platform/crypto/passwords.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import { createRateLimiter } from '#src/platform/http/rate-limits.ts';
import type { RateLimiter, RateLimiters, RateLimitSettings } from '#src/platform/http/rate-limits.ts';
import type { IncomingRequest, Route } from '#src/platform/http/route.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import type { Random } from '#src/platform/random.ts';
import { accountRoutes } from '#src/accounts/account-routes.ts';
import { createAccess } from '#src/accounts/access.ts';
import type { AccountAccess } from '#src/accounts/access.ts';
import { fallbackRoutes } from '#src/accounts/fallback-routes.ts';
import { createDeactivate } from '#src/accounts/deactivation.ts';
import type { OnDeactivated } from '#src/accounts/deactivation.ts';
import type { ErasedUsers } from '#src/accounts/erased-users.ts';
import { createInteractiveAuth } from '#src/accounts/interactive-auth.ts';
import { createInteractiveSessions } from '#src/accounts/interactive-sessions.ts';
import { interactiveStages } from '#src/accounts/interactive-stages.ts';
import { createLastSeen } from '#src/accounts/last-seen.ts';
import { createLogin } from '#src/accounts/login.ts';
import { createParting } from '#src/accounts/parting.ts';
import type { Parting } from '#src/accounts/parting.ts';
import { createPassingTokens } from '#src/accounts/passing-tokens.ts';
import { createConfirmation } from '#src/accounts/confirmation.ts';
import type { Confirm, ConfirmedLately } from '#src/accounts/confirmation.ts';
import { createChangePassword } from '#src/accounts/password-change.ts';
import { createResetPassword } from '#src/accounts/password-reset.ts';
import type { ResetPassword } from '#src/accounts/password-reset.ts';
import { createRefresh } from '#src/accounts/refresh.ts';
import { createRegistration } from '#src/accounts/registration.ts';
import { createRegistrationTokens } from '#src/accounts/registration-tokens.ts';
import { createRequesters } from '#src/accounts/requesters.ts';
import { identityRoutes } from '#src/accounts/routes.ts';
import { createSessions } from '#src/accounts/sessions.ts';
import { createSharedSecretRegistration } from '#src/accounts/shared-secret.ts';
import { tokenRoutes } from '#src/accounts/token-routes.ts';
import type { DevicePort, DeviceSeen, Job, LoginResult, ProfilePort, User } from '#src/accounts/types.ts';
import { createUsers } from '#src/accounts/users.ts';

export { openErasedUsers } from '#src/accounts/erased-users.ts';
export type { ErasedUsers } from '#src/accounts/erased-users.ts';
export type { Interaction, InteractiveRequest } from '#src/accounts/interactive-auth.ts';
export type { Confirm, ConfirmedLately } from '#src/accounts/confirmation.ts';
export type { LeaveRooms } from '#src/accounts/parting.ts';
export type { AccountAccess } from '#src/accounts/access.ts';
export type { DevicePort, DeviceSeen, Job, ProfilePort, Requester, User } from '#src/accounts/types.ts';

export interface Accounts {
  readonly access: AccountAccess;
  readonly routes: readonly Route[];
  /** A user of this server by id. */
  readonly find: (userId: string) => Promise<User | undefined>;
  /** Asks a user who is logged in for the password, before what cannot be undone. */
  readonly confirm: Confirm;
  /** Whether a user has done so lately enough to delete devices without. */
  readonly confirmedLately: ConfirmedLately;
  /** Gives a user a new password in the name of an administrator. */
  readonly resetPassword: ResetPassword;
  /** Ends a user's sessions on these devices; the devices are the caller's to delete. */
  readonly endSessionsOn: (tx: Transaction, userNum: number, deviceIds: readonly string[]) => Promise<void>;
  /** Where each of a user's devices was last seen, by device id. */
  readonly devicesSeen: (userNum: number) => Promise<ReadonlyMap<string, DeviceSeen>>;
  /** All addresses from which a user was seen. */
  readonly seenFrom: (userNum: number) => Promise<readonly DeviceSeen[]>;
  /** Makes a token with which `uses` people may register; any number of them when it is undefined. */
  readonly createRegistrationToken: (uses: number | undefined) => Promise<string>;
  /** The deactivated leave their rooms; to be started by who knows how. */
  readonly parting: Pick<Parting, 'start' | 'idle'>;
  /** What has to be done now and then. */
  readonly jobs: readonly Job[];
  readonly close: () => Promise<void>;
}

export interface AccountDependencies {
  database: Database;
  strings: Strings;
  clock: Clock;
  random: Random;
  config: Config;
  log: Logger;
  passwords: Passwords;
  limiters: RateLimiters;
  devices: DevicePort;
  profiles: ProfilePort;
  erasedUsers: ErasedUsers;
  onDeactivated: OnDeactivated;
  /** Deletes what belongs to sessions that end. */
  onSessionsEnded?: (tx: Transaction, sessionNums: readonly number[]) => Promise<void>;
  /** What `/.well-known/matrix/client` says, if it says anything. */
  clientWellKnown: object | undefined;
}

/** One look every two seconds at whether a name is free, after a handful at once. */
const AVAILABLE: RateLimitSettings = { per_second: 0.5, burst_count: 5 };

/** Each token lets one more device in, so one a minute is plenty. */
const LOGIN_TOKENS: RateLimitSettings = { per_second: 1 / 60, burst_count: 1 };

const MINUTE_MS = 60_000;

/** What accounts are made of, put together. */
const assemble = (dependencies: AccountDependencies) => {
  const { database, clock, random, config, log, limiters } = dependencies;
  const requesters = createRequesters({ database, clock, serverName: config.server_name });
  const lastSeen = createLastSeen({ database, clock, config, log });
  const sessions = createSessions({ ...dependencies, requesters });
  const users = createUsers({ ...dependencies, sessions });
  const registrationTokens = createRegistrationTokens({ database, clock, random });
  const passingTokens = createPassingTokens(dependencies);
  const login = createLogin({
    ...dependencies,
    users,
    passingTokens,
    limiters: {
      byAddress: limiters.of('rc_login.address'),
      byAccount: limiters.of('rc_login.account'),
      failedAttempts: limiters.of('rc_login.failed_attempts'),
    },
  });
  const interactive = createInteractiveAuth({
    database,
    sessions: createInteractiveSessions({ database, clock, random }),
    stages: interactiveStages({ registrationTokens, checkPassword: login.reauthenticate }),
    registrationTokens,
  });
  const { confirm, confirmedLately } = createConfirmation({ ...dependencies, interactive, login, users });
  const parting = createParting(dependencies);
  return {
    access: createAccess(requesters, lastSeen.note),
    lastSeen,
    noteLogin: async ({ access_token: token }: LoginResult, request: IncomingRequest) => {
      if (token !== undefined) lastSeen.note(await requesters.byToken(token), request);
    },
    sessions,
    users,
    registrationTokens,
    passingTokens,
    login,
    interactive,
    confirm,
    confirmedLately,
    parting,
    deactivate: createDeactivate({ ...dependencies, sessions, parting }),
    registration: createRegistration({
      ...dependencies,
      users,
      requesters,
      interactive,
      registrationTokens,
      limiter: limiters.of('rc_registration'),
    }),
    sharedSecret: createSharedSecretRegistration({ ...dependencies, users }),
    changePassword: createChangePassword({ ...dependencies, confirm, interactive, sessions }),
    resetPassword: createResetPassword({ ...dependencies, sessions }),
    refresh: createRefresh({ ...dependencies, requesters }),
  };
};

const routesOf = ({ clock, config, limiters, clientWellKnown }: AccountDependencies, parts: ReturnType<typeof assemble>): Route[] => {
  const limiter = (key: string, settings: RateLimitSettings): RateLimiter => createRateLimiter({ clock, key, settings });
  const tokenValidity = limiters.of('rc_registration_token_validity');
  return [
    ...identityRoutes({
      ...parts,
      config,
      clientWellKnown,
      limiters: { available: limiter('register/available', AVAILABLE), tokenValidity },
    }),
    ...fallbackRoutes({ ...parts, limiter: tokenValidity }),
    ...tokenRoutes({ ...parts, config, limiter: limiter('login/get_token', LOGIN_TOKENS) }),
    ...accountRoutes({ ...parts, config }),
  ];
};

/** Users, their sessions, and how they register and log in. */
export const createAccounts = (dependencies: AccountDependencies): Accounts => {
  const parts = assemble(dependencies);
  const { access, users, sessions, interactive, passingTokens, parting, lastSeen } = parts;
  return {
    access,
    routes: routesOf(dependencies, parts),
    find: users.find,
    confirm: parts.confirm,
    confirmedLately: parts.confirmedLately,
    resetPassword: parts.resetPassword,
    endSessionsOn: sessions.endOnDevices,
    devicesSeen: lastSeen.devicesOf,
    seenFrom: lastSeen.placesOf,
    createRegistrationToken: parts.registrationTokens.create,
    parting,
    jobs: [
      { name: 'let deactivated users leave', everyMs: 10 * MINUTE_MS, run: async () => parting.wake() },
      { name: 'delete expired tokens', everyMs: 10 * MINUTE_MS, run: passingTokens.sweep },
      { name: 'expire interactive auth', everyMs: 5 * MINUTE_MS, run: interactive.sweep },
      { name: 'delete ended sessions', everyMs: 60 * MINUTE_MS, run: sessions.sweep },
      { name: 'delete old client addresses', everyMs: 60 * MINUTE_MS, run: lastSeen.sweep },
    ],
    close: async () => {
      await parting.close();
      await lastSeen.close();
    },
  };
};
