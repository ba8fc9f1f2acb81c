import type { Config } from '#src/platform/config/index.ts';
import type { Passwords } from '#src/platform/crypto/passwords.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { RateLimiter } from '#src/platform/http/rate-limits.ts';
import { forbidden, missingParam, unknown, userInUse } from '#src/protocol/errors.ts';
import type { InteractiveAuth } from '#src/accounts/interactive-auth.ts';
import type { InteractiveSession } from '#src/accounts/interactive-sessions.ts';
import { sessionIdOf } from '#src/accounts/interactive-auth.ts';
import { checkNewPassword } from '#src/accounts/passwords.ts';
import type { RegistrationTokens } from '#src/accounts/registration-tokens.ts';
import type { Requesters } from '#src/accounts/requesters.ts';
import { readDeviceWish } from '#src/accounts/sessions.ts';
import type { DeviceWish } from '#src/accounts/sessions.ts';
import type { LoginResult, User } from '#src/accounts/types.ts';
import { checkLocalpart } from '#src/accounts/usernames.ts';
import type { Alongside, Users } from '#src/accounts/users.ts';

type Json = Readonly<Record<string, unknown>>;

type RegistrationConfig = Pick<
  Config,
  | 'server_name'
  | 'enable_registration'
  | 'enable_registration_without_verification'
  | 'enable_registration_captcha'
  | 'registration_requires_token'
  | 'registrations_require_3pid'
  | 'user_consent'
  | 'allow_guest_access'
  | 'inhibit_user_in_use_error'
  | 'allow_underscore_prefixed_localpart'
  | 'password_config'
>;

/** A request to register, from `POST /register`. */
export interface RegisterRequest {
  readonly method: string;
  readonly uri: string;
  readonly ip: string;
  readonly body: Json;
}

/** A finished registration, or the body of the 401 that asks for the next stage of authentication. */
export type RegisterOutcome = { readonly done: true; readonly result: LoginResult } | { readonly done: false; readonly body: Json };

export interface Registration {
  readonly registerUser: (request: RegisterRequest) => Promise<RegisterOutcome>;
  readonly registerGuest: (request: RegisterRequest) => Promise<LoginResult>;
  /** Answers when a name is free; throws `M_INVALID_USERNAME` or `M_USER_IN_USE` when it is not. */
  readonly checkAvailable: (username: string) => Promise<void>;
  /** Throws `M_FORBIDDEN` unless users may register. */
  readonly checkEnabled: () => void;
}

/**
 * The stages that a new user has to pass. Empty when the configuration demands one that this server cannot ask for: then nobody
 * registers, rather than anybody.
 */
export const registrationFlows = (config: Omit<RegistrationConfig, 'server_name'>): readonly (readonly string[])[] => {
  const asksForMore =
    config.registrations_require_3pid.length > 0 ||
    config.enable_registration_captcha ||
    config.user_consent?.require_at_registration === true;
  if (!config.enable_registration || asksForMore) return [];
  if (config.registration_requires_token) return [['m.login.registration_token', 'm.login.dummy']];
  return config.enable_registration_without_verification ? [['m.login.dummy']] : [];
};

const usernameIn = (body: Json): string | undefined => {
  const { username } = body;
  if (username === undefined) return undefined;
  if (typeof username !== 'string' || username.length > 512) throw unknown('Invalid username');
  return username.toLowerCase();
};

/** Who may have which name. */
const createNameChecks = ({
  config,
  users,
  requesters,
}: {
  config: RegistrationConfig;
  users: Users;
  requesters: Requesters;
}): {
  checkName: (localpart: string, mayBeNumeric?: boolean) => void;
  guestOf: (token: unknown, localpart: string) => Promise<User | undefined>;
  checkWanted: (body: Json, localpart: string, registeredUser: string | undefined) => Promise<void>;
} => {
  const checkName = (localpart: string, mayBeNumeric = false): void =>
    checkLocalpart(localpart, config.server_name, { mayBeNumeric, mayBeginWithUnderscore: config.allow_underscore_prefixed_localpart });

  /** The guest whose token comes with a registration, when it is to keep its name. */
  const guestOf = async (token: unknown, localpart: string): Promise<User | undefined> => {
    if (token === undefined) return undefined;
    const requester = typeof token === 'string' ? await requesters.byToken(token) : undefined;
    const guest = requester?.isGuest === true ? await users.find(requester.userId) : undefined;
    if (guest?.localpart !== localpart) {
      throw forbidden('Cannot register taken user ID without valid guest credentials for that user.');
    }
    return guest;
  };

  const checkWanted = async (body: Json, localpart: string, registeredUser: string | undefined): Promise<void> => {
    const isUpgrade = body['guest_access_token'] !== undefined;
    checkName(localpart, isUpgrade);
    if (registeredUser !== undefined) {
      if (registeredUser === `@${localpart}:${config.server_name}`) return;
      throw unknown('A different user ID has already been registered for this session');
    }
    if (isUpgrade) await guestOf(body['guest_access_token'], localpart);
    else if (!config.inhibit_user_in_use_error && (await users.isTaken(localpart))) throw userInUse('User ID already taken.');
  };

  return { checkName, guestOf, checkWanted };
};

/** Registration by the people themselves (client-server API, "Account registration and management"). */
export const createRegistration = ({
  config,
  database,
  users,
  requesters,
  interactive,
  registrationTokens,
  passwords,
  limiter,
}: {
  config: RegistrationConfig;
  database: Database;
  users: Users;
  requesters: Requesters;
  interactive: InteractiveAuth;
  registrationTokens: RegistrationTokens;
  passwords: Passwords;
  limiter: RateLimiter;
}): Registration => {
  const flows = registrationFlows(config);

  const checkEnabled = (): void => {
    if (flows.length === 0) throw forbidden('Registration has been disabled');
  };

  const { checkName, guestOf, checkWanted } = createNameChecks({ config, users, requesters });

  /** Makes the user of a session whose stages are all passed. */
  const finish = async (
    session: InteractiveSession,
    passwordHash: string,
    wish: DeviceWish | undefined,
    ip: string,
  ): Promise<LoginResult> => {
    limiter.check(ip);
    const { sessionId, params, data } = session;
    const localpart = usernameIn(params);
    const alongside: Alongside = async (tx, userId) => {
      await interactive.remember(tx, sessionId, { registeredUser: userId });
      if (data.registrationToken !== undefined) await registrationTokens.complete(tx, data.registrationToken);
    };
    if (localpart !== undefined && params['guest_access_token'] !== undefined) {
      checkName(localpart, true);
      const guest = await guestOf(params['guest_access_token'], localpart);
      if (guest !== undefined) return users.upgrade(guest, passwordHash, wish, alongside);
    }
    if (localpart !== undefined) checkName(localpart);
    return users.create({ localpart, passwordHash }, wish, alongside);
  };

  const loginAgain = async (userId: string, wish: DeviceWish | undefined): Promise<LoginResult> => {
    const user = await users.find(userId);
    if (user === undefined || user.deactivated) throw forbidden('This account is not there any more');
    return wish === undefined ? { user_id: userId, home_server: config.server_name } : users.login(user, wish);
  };

  const registerUser: Registration['registerUser'] = async ({ method, uri, ip, body }) => {
    limiter.check(ip, { count: false });
    readDeviceWish(body);
    const localpart = usernameIn(body);
    checkEnabled();
    // The password is kept out of what is stored: only its hash may reach the database.
    const { auth, password: givenPassword, ...rest } = body;
    const isGiven = givenPassword !== undefined && givenPassword !== null && givenPassword !== '';
    const password = isGiven ? checkNewPassword(givenPassword, config.password_config.policy) : undefined;
    // Some clients send this name alone with a later stage, which would replace what they asked for at first.
    const { initial_device_display_name: displayName, ...others } = rest;
    const params = password === undefined || displayName === undefined ? others : rest;

    const sessionId = sessionIdOf(auth);
    const known = sessionId === undefined ? {} : await interactive.dataOf(sessionId);
    if (localpart !== undefined) await checkWanted(body, localpart, known.registeredUser);

    const interaction = await interactive.proceed({ flows, method, uri, auth, params });
    const { session } = interaction;
    if (!interaction.done) {
      if (password !== undefined && session.data.passwordHash === undefined) {
        const passwordHash = await passwords.hash(password);
        await database.write('keep password hash', (tx) => interactive.remember(tx, session.sessionId, { passwordHash }));
      }
      return { done: false, body: interaction.body };
    }
    const wish =
      session.params['inhibit_login'] === true ? undefined : readDeviceWish({ ...session.params, refresh_token: body['refresh_token'] });
    if (session.data.registeredUser !== undefined) {
      return { done: true, result: await loginAgain(session.data.registeredUser, wish) };
    }
    const passwordHash = password === undefined ? session.data.passwordHash : await passwords.hash(password);
    if (passwordHash === undefined) throw missingParam('Missing params: password');
    return { done: true, result: await finish(session, passwordHash, wish, ip) };
  };

  return {
    registerUser,
    registerGuest: async ({ ip, body }) => {
      limiter.check(ip, { count: false });
      if (!config.allow_guest_access) throw forbidden('Guest access is disabled');
      limiter.check(ip);
      const { displayName } = readDeviceWish(body);
      const wish = { deviceId: 'guest_device', displayName, refreshable: false };
      return users.create({ localpart: undefined, passwordHash: undefined, isGuest: true }, wish);
    },
    checkAvailable: async (username) => {
      checkEnabled();
      if (config.inhibit_user_in_use_error) return;
      checkName(username);
      if (await users.isTaken(username)) throw userInUse('User ID already taken.');
    },
    checkEnabled,
  };
};
