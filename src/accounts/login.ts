import type { Config } from '#src/platform/config/index.ts';
import type { Passwords } from '#src/platform/crypto/passwords.ts';
import type { RateLimiter } from '#src/platform/http/rate-limits.ts';
import { forbidden, invalidParam, unknown, userDeactivated } from '#src/protocol/errors.ts';
import { readDeviceWish } from '#src/accounts/sessions.ts';
import type { LoginResult, User } from '#src/accounts/types.ts';
import { localpartOf } from '#src/accounts/usernames.ts';
import type { PassingTokens } from '#src/accounts/passing-tokens.ts';
import type { Users } from '#src/accounts/users.ts';

type Json = Readonly<Record<string, unknown>>;

/** Stands for whatever cannot be looked up: it names nobody, but is refused in no other way than a wrong password. */
const NOBODY = '';

export interface Login {
  /** What `GET /login` offers. */
  readonly flows: () => readonly { readonly type: string; readonly get_login_token?: true }[];
  /** The user of an `m.login.password` body, for those who are logged in and confirm who they are; throws as `login` does. */
  readonly reauthenticate: (body: Json) => Promise<User>;
  /** Whether a user can confirm with a password who it is. */
  readonly canReauthenticate: (user: User) => boolean;
  /** Logs somebody in; throws `M_FORBIDDEN` alike for a wrong password and a user who is not there. */
  readonly login: (body: Json, ip: string) => Promise<LoginResult>;
}

const isMap = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whom a log-in names: by an identifier, or by the older fields beside it. */
const userNamedIn = (body: Json): string => {
  let { identifier } = body;
  if (body['user']) identifier = { type: 'm.id.user', user: body['user'] };
  if (body['medium'] && body['address']) identifier = { type: 'm.id.thirdparty', medium: body['medium'], address: body['address'] };
  if (!isMap(identifier)) throw invalidParam('Invalid login submission');
  switch (identifier['type']) {
    case 'm.id.user':
      if (typeof identifier['user'] !== 'string' || identifier['user'] === '') throw unknown("User identifier is missing 'user' key");
      return identifier['user'];
    case 'm.id.thirdparty':
    case 'm.id.phone':
      return NOBODY;
    case undefined:
      throw unknown("Invalid legacy identifier: missing 'type'");
    default:
      throw unknown('Unknown login identifier type');
  }
};

/** Logging in (client-server API, "Login"). */
export const createLogin = ({
  config,
  users,
  passwords,
  passingTokens,
  limiters,
}: {
  config: Pick<Config, 'server_name' | 'password_config' | 'login_via_existing_session'>;
  users: Users;
  passwords: Passwords;
  passingTokens: PassingTokens;
  limiters: { byAddress: RateLimiter; byAccount: RateLimiter; failedAttempts: RateLimiter };
}): Login => {
  const withPassword = config.password_config.enabled === true && config.password_config.localdb_enabled;
  const withReauthentication = config.password_config.enabled !== false && config.password_config.localdb_enabled;
  // Somebody who is not there takes as long to refuse as somebody who is.
  let decoy: Promise<string> | undefined;

  const matches = async (user: User | undefined, password: string): Promise<boolean> => {
    if (user?.passwordHash !== undefined) return passwords.verify(password, user.passwordHash);
    decoy ??= passwords.hash('nobody has this password');
    await passwords.verify(password, await decoy);
    return false;
  };

  const checkPassword = async (body: Json): Promise<User> => {
    const { password } = body;
    if (typeof password !== 'string') throw invalidParam('Bad parameter: password');
    const named = userNamedIn(body);
    const localpart = localpartOf(named, config.server_name);
    const account = (localpart === undefined ? named : `@${localpart}:${config.server_name}`).toLowerCase();
    limiters.failedAttempts.check(account, { count: false });
    const user = named === NOBODY ? undefined : await users.findTyped(named);
    const isRight = await matches(user, password);
    if (user?.deactivated === true) throw userDeactivated('This account has been deactivated');
    if (user === undefined || !isRight) {
      limiters.failedAttempts.tryTake(account);
      throw forbidden('Invalid username or password');
    }
    return user;
  };

  const checkToken = async ({ token }: Json): Promise<User> => {
    if (token === undefined) throw unknown('Missing JSON keys.');
    if (typeof token !== 'string') throw invalidParam('Bad parameter: token');
    const user = await users.findByNum(await passingTokens.takeLoginToken(token));
    if (user === undefined) throw forbidden('Invalid login token');
    return user;
  };

  /** How each type of log-in finds its user. */
  const userOf = async (type: string, body: Json): Promise<User> => {
    if (type === 'm.login.token') return checkToken(body);
    if (type !== 'm.login.password') throw unknown(`Unknown login type ${type.slice(0, 64)}`);
    if (!withPassword) throw unknown('Password login has been disabled.');
    return checkPassword(body);
  };

  return {
    reauthenticate: async (body) => {
      if (!withReauthentication) throw unknown('Password login has been disabled.');
      return checkPassword(body);
    },
    canReauthenticate: (user) => withReauthentication && user.passwordHash !== undefined,
    flows: () => [
      ...(config.login_via_existing_session.enabled ? [{ type: 'm.login.token', get_login_token: true } as const] : []),
      ...(withPassword ? [{ type: 'm.login.password' }] : []),
    ],
    login: async (body, ip) => {
      const wish = readDeviceWish(body);
      const { type } = body;
      if (type === undefined) throw unknown('Missing JSON keys.');
      if (typeof type !== 'string') throw invalidParam('Bad parameter: type');
      limiters.byAddress.check(ip);
      const user = await userOf(type, body);
      limiters.byAccount.check(user.userId.toLowerCase());
      return users.login(user, wish);
    },
  };
};
