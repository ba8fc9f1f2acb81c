import { insertErasedUser } from '#src/accounts/store/users.ts';
import { createAccounts } from '#src/accounts/index.ts';
import type { AccountDependencies, Accounts, DevicePort, ProfilePort } from '#src/accounts/index.ts';
import type { Clock } from '#src/platform/clock.ts';
import { systemClock } from '#src/platform/clock.ts';
import { testConfig } from '#src/platform/config/index.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { Passwords } from '#src/platform/crypto/passwords.ts';
import { createStrings } from '#src/platform/database/strings.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Route } from '#src/platform/http/route.ts';
import { createRateLimiters } from '#src/platform/http/rate-limits.ts';
import { createTestedApp } from '#src/platform/http/testing.ts';
import { createLogging } from '#src/platform/logging/index.ts';
import { createMetrics } from '#src/platform/metrics/index.ts';
import { systemRandom } from '#src/platform/random.ts';
import { withBothDatabases } from './databases.ts';

type Json = Readonly<Record<string, unknown>>;

/** What the answers of this slice may hold, as a test expects it to be there. */
interface ReplyBody extends Json {
  readonly user_id: string;
  readonly access_token: string;
  readonly refresh_token: string;
  readonly device_id: string;
  readonly expires_in_ms: number;
  readonly session: string;
  readonly nonce: string;
}

export interface Reply {
  readonly status: number;
  readonly body: ReplyBody;
}

/** The accounts slice behind its routes, with everything around it simple and in sight. */
export interface TestAccounts extends Accounts {
  readonly call: (method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown, token?: string) => Promise<Reply>;
  /** `<userNum> <deviceId>` of all devices. */
  readonly deviceKeys: ReadonlySet<string>;
  /** Display names by user number. */
  readonly names: ReadonlyMap<number, string | undefined>;
  /** Moves the clock on. */
  readonly pass: (ms: number) => void;
}

/** Declares a test on an empty database of each engine. */
export const onBothDatabases = (name: string, body: (database: Database, strings: Strings) => Promise<void>): void =>
  withBothDatabases(name, async (_t, open) => {
    const database = await open();
    await body(database, createStrings(database));
  });

const UNLIMITED = { per_second: 1e6, burst_count: 1e6 };

/** Registration open to everybody, and no rate limits but those given. */
export const OPEN = {
  server_name: 'test',
  enable_registration: true,
  enable_registration_without_verification: true,
  rc_registration: UNLIMITED,
  rc_login: { address: UNLIMITED, account: UNLIMITED, failed_attempts: UNLIMITED },
};

/** Passwords that are kept in the open, and fast. */
const plainPasswords: Passwords = {
  hash: (password) => Promise.resolve(`hash of ${password}`),
  verify: (password, hash) => Promise.resolve(hash === `hash of ${password}`),
};

const fakeDevices = (): { port: DevicePort; keys: Set<string> } => {
  const keys = new Set<string>();
  return {
    keys,
    port: {
      add: (_tx, { userNum, deviceId }) => {
        const key = `${String(userNum)} ${deviceId}`;
        const isNew = !keys.has(key);
        keys.add(key);
        return Promise.resolve(isNew);
      },
      remove: async (_tx, userNum, deviceIds) => {
        for (const deviceId of deviceIds) keys.delete(`${String(userNum)} ${deviceId}`);
      },
      removeAll: async (_tx, userNum, exceptDevice) => {
        for (const key of keys) {
          const [owner, deviceId] = key.split(' ');
          if (owner === String(userNum) && deviceId !== exceptDevice) keys.delete(key);
        }
      },
    },
  };
};

const fakeProfiles = (): { port: ProfilePort; names: Map<number, string | undefined> } => {
  const names = new Map<number, string | undefined>();
  const create: ProfilePort['create'] = async (_tx, userNum, displayname) => {
    names.set(userNum, displayname);
  };
  const clear: ProfilePort['clear'] = async (_tx, userNum) => {
    names.delete(userNum);
  };
  return { names, port: { create, clear } };
};

/** Accounts on a database, reached as clients reach them. */
export const createTestAccounts = (
  database: Database,
  strings: Strings,
  settings: { readonly [Name in keyof Config]?: unknown } = OPEN,
  {
    routes = () => [],
    ...instead
  }: Partial<AccountDependencies> & {
    /** Further routes to call, of slices above. */
    readonly routes?: (accounts: Accounts, clock: Clock) => readonly Route[];
  } = {},
): TestAccounts => {
  let offsetMs = 0;
  const clock = { now: () => systemClock.now() + offsetMs, monotonic: () => systemClock.monotonic() + offsetMs };
  const logging = createLogging({ clock, sink: { write: () => undefined, flush: () => undefined, close: () => undefined } });
  const devices = fakeDevices();
  const profiles = fakeProfiles();
  const config = testConfig(settings);
  const accounts = createAccounts({
    database,
    strings,
    clock,
    random: systemRandom,
    config,
    log: logging.named('accounts'),
    passwords: plainPasswords,
    limiters: createRateLimiters({ clock, config }),
    devices: devices.port,
    profiles: profiles.port,
    erasedUsers: { has: () => false, add: insertErasedUser },
    onDeactivated: () => Promise.resolve(),
    clientWellKnown: undefined,
    ...instead,
  });
  const app = createTestedApp({
    routes: [...accounts.routes, ...routes(accounts, clock)],
    clock,
    logging,
    metrics: createMetrics(),
    serverHeader: 'test',
  });
  return {
    ...accounts,
    deviceKeys: devices.keys,
    names: profiles.names,
    pass: (ms) => {
      offsetMs += ms;
    },
    call: async (method, path, body, token) => {
      const response = await app.inject({
        method,
        url: path.startsWith('/_') ? path : `/_matrix/client/v3${path}`,
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        ...(body !== undefined && { payload: JSON.stringify(body) }),
      });
      return { status: response.statusCode, body: response.json<ReplyBody>() };
    },
  };
};

/** Makes a request that its user has to confirm, and confirms it with the password that `register` gave. */
export const confirmed = async (
  { call }: TestAccounts,
  method: 'POST' | 'PUT' | 'DELETE',
  path: string,
  body: Json,
  { token, user, password = `password of ${user}` }: { token: string; user: string; password?: string },
): Promise<Reply> => {
  const challenge = await call(method, path, body, token);
  const auth = { type: 'm.login.password', session: challenge.body.session, identifier: { type: 'm.id.user', user }, password };
  return call(method, path, { ...body, auth }, token);
};

/** Registers by dummy authentication, and answers the body of the 200. */
export const register = async ({ call }: TestAccounts, username: string | undefined, more: Json = {}): Promise<Reply> => {
  const request = { ...(username !== undefined && { username }), password: `password of ${username ?? 'nobody'}`, ...more };
  const challenge = await call('POST', '/register', request);
  return call('POST', '/register', { ...request, auth: { type: 'm.login.dummy', session: challenge.body['session'] } });
};
