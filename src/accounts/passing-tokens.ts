import type { Clock } from '#src/platform/clock.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Random } from '#src/platform/random.ts';
import { forbidden, unknownToken } from '#src/protocol/errors.ts';
import {
  deleteExpiredTokens,
  insertLoginToken,
  insertOpenIdToken,
  readOpenIdToken,
  takeLoginToken,
} from '#src/accounts/store/passing-tokens.ts';
import { createLoginToken, hashToken } from '#src/accounts/tokens.ts';

const OPENID_LIFETIME_MS = 3_600_000;
const OPENID_LETTERS = 24;

/** Tokens that are good for one purpose and a short time. */
export interface PassingTokens {
  /** Makes a token with which another client may log in as this user, once. */
  readonly createLoginToken: (userNum: number) => Promise<{ readonly token: string; readonly lifetimeMs: number }>;
  /** Whose token to log in with it is; it is spent. Throws `M_FORBIDDEN` for one that is not known, spent or too old. */
  readonly takeLoginToken: (token: string) => Promise<number>;
  /** Makes a token by which a third party can ask this server who the user is. */
  readonly createOpenIdToken: (userNum: number) => Promise<{ readonly token: string; readonly lifetimeMs: number }>;
  /** The id of the user who gave out this token; throws `M_UNKNOWN_TOKEN`. */
  readonly openIdUser: (token: string) => Promise<string>;
  /** Deletes what has expired. */
  readonly sweep: () => Promise<void>;
}

/** Tokens to log in with once (`m.login.token`), and those of OpenID (client-server API, "OpenID"). */
export const createPassingTokens = ({
  database,
  strings,
  clock,
  random,
  config,
}: {
  database: Database;
  strings: Strings;
  clock: Clock;
  random: Random;
  config: Pick<Config, 'login_via_existing_session'>;
}): PassingTokens => ({
  createLoginToken: async (userNum) => {
    const lifetimeMs = config.login_via_existing_session.token_timeout;
    const token = createLoginToken(random);
    await database.write('create login token', async (tx) =>
      insertLoginToken(tx, { hash: hashToken(token), user_num: userNum, expires_ts: clock.now() + lifetimeMs }),
    );
    return { token, lifetimeMs };
  },
  takeLoginToken: async (token) => {
    const row = await database.write('take login token', (tx) => takeLoginToken(tx, hashToken(token)));
    if (row === undefined || row.expires_ts < clock.now()) throw forbidden('Invalid login token');
    return row.user_num;
  },
  createOpenIdToken: async (userNum) => {
    const token = random.string(OPENID_LETTERS);
    await database.write('create openid token', async (tx) =>
      insertOpenIdToken(tx, { hash: hashToken(token), user_num: userNum, expires_ts: clock.now() + OPENID_LIFETIME_MS }),
    );
    return { token, lifetimeMs: OPENID_LIFETIME_MS };
  },
  openIdUser: async (token) => {
    const row = await database.read('openid token', (reader) => readOpenIdToken(reader, hashToken(token)));
    if (row === undefined || row.expires_ts < clock.now()) throw unknownToken('Access Token unknown or expired');
    const userId = (await strings.textOf([row.user_num])).get(row.user_num);
    if (userId === undefined) throw new Error('the user of an openid token has no id');
    return userId;
  },
  sweep: () => database.write('sweep passing tokens', (tx) => deleteExpiredTokens(tx, clock.now())),
});
