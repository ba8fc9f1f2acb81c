import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Clock } from '#src/platform/clock.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { Passwords } from '#src/platform/crypto/passwords.ts';
import type { Random } from '#src/platform/random.ts';
import { badJson, MatrixError, unknown } from '#src/protocol/errors.ts';
import { readDeviceWish } from '#src/accounts/sessions.ts';
import type { LoginResult } from '#src/accounts/types.ts';
import { checkLocalpart } from '#src/accounts/usernames.ts';
import type { Users } from '#src/accounts/users.ts';

type Json = Readonly<Record<string, unknown>>;

const NONCE_LIFETIME_MS = 60_000;
/** More nonces than anybody needs within a minute: the oldest give way. */
const MAX_NONCES = 10_000;
const MAX_LENGTH = 512;
const USER_TYPES: ReadonlySet<unknown> = new Set(['support', 'bot']);

/** Registration by whoever knows `registration_shared_secret`, as `register_new_matrix_user` does it. */
export interface SharedSecretRegistration {
  /** A nonce, good once and for a minute. */
  readonly nonce: () => string;
  /** Registers a user, perhaps as administrator, whatever `enable_registration` says. */
  readonly register: (body: Json) => Promise<LoginResult>;
}

/**
 * The proof that a registration comes from somebody who knows the secret: HMAC-SHA1, in hexadecimal, of nonce, name, password,
 * `admin` or `notadmin` and the type of user if there is one, with null bytes between.
 */
export const registrationMac = (
  secret: string,
  fields: { nonce: string; username: string; password: string; isAdmin: boolean; userType: string | undefined },
): string => {
  const parts = [fields.nonce, fields.username, fields.password, fields.isAdmin ? 'admin' : 'notadmin'];
  if (fields.userType !== undefined) parts.push(fields.userType);
  return createHmac('sha1', secret).update(parts.join('\0')).digest('hex');
};

const isSame = (left: string, right: string): boolean => {
  const [one, other] = [Buffer.from(left), Buffer.from(right)];
  return one.length === other.length && timingSafeEqual(one, other);
};

const textIn = (body: Json, key: 'username' | 'password'): string => {
  const value = body[key];
  if (value === undefined) throw badJson(`${key} must be specified`);
  if (typeof value !== 'string' || value.length > MAX_LENGTH || value.includes('\0')) throw unknown(`Invalid ${key}`);
  return value;
};

/** Shared-secret registration; the nonces live in this process. */
export const createSharedSecretRegistration = ({
  config,
  clock,
  random,
  users,
  passwords,
}: {
  config: Pick<Config, 'server_name' | 'registration_shared_secret' | 'allow_underscore_prefixed_localpart'>;
  clock: Clock;
  random: Random;
  users: Users;
  passwords: Passwords;
}): SharedSecretRegistration => {
  // In the order of their making, so that the old ones are in front.
  const nonces = new Map<string, number>();

  const dropOldNonces = (): void => {
    const oldestMs = clock.monotonic() - NONCE_LIFETIME_MS;
    for (const [nonce, madeMs] of nonces) {
      if (madeMs >= oldestMs && nonces.size < MAX_NONCES) return;
      nonces.delete(nonce);
    }
  };

  const takeNonce = (nonce: unknown): string => {
    if (nonce === undefined) throw badJson('nonce must be specified');
    dropOldNonces();
    if (typeof nonce !== 'string' || !nonces.delete(nonce)) throw unknown('unrecognised nonce');
    return nonce;
  };

  return {
    nonce: () => {
      dropOldNonces();
      const nonce = random.bytes(64).toString('hex');
      nonces.set(nonce, clock.monotonic());
      return nonce;
    },
    register: async (body) => {
      const secret = config.registration_shared_secret;
      if (!secret) throw unknown('Shared secret registration is not enabled');
      const nonce = takeNonce(body['nonce']);
      const username = textIn(body, 'username');
      const password = textIn(body, 'password');
      const { mac, displayname, user_type: userType = null } = body;
      if (userType !== null && !USER_TYPES.has(userType)) throw unknown('Invalid user type');
      if (displayname !== undefined && displayname !== null && typeof displayname !== 'string')
        throw badJson('displayname must be a string');
      if (typeof mac !== 'string') throw badJson('mac must be specified');
      const isAdmin = Boolean(body['admin']);
      const fields = { nonce, username, password, isAdmin, userType: typeof userType === 'string' ? userType : undefined };
      if (!isSame(registrationMac(secret, fields), mac)) throw new MatrixError(403, 'M_UNKNOWN', 'HMAC incorrect');

      const localpart = username.toLowerCase();
      const mayBeginWithUnderscore = config.allow_underscore_prefixed_localpart;
      checkLocalpart(localpart, config.server_name, { mayBeNumeric: false, mayBeginWithUnderscore });
      const wish = body['inhibit_login'] === true ? undefined : readDeviceWish(body);
      const passwordHash = await passwords.hash(password);
      return users.create({ localpart, passwordHash, isAdmin, userType: fields.userType, displayname: displayname ?? undefined }, wish);
    },
  };
};
