import type { Config } from '#src/platform/config/index.ts';
import type { Transaction } from '#src/platform/database/types.ts';
import type { Random } from '#src/platform/random.ts';
import { insertAccessToken, insertRefreshToken } from '#src/accounts/store/sessions.ts';
import { createToken, hashToken } from '#src/accounts/tokens.ts';

/** When tokens end; undefined for never. */
export interface TokenEnds {
  readonly access: number | undefined;
  readonly refresh: number | undefined;
}

/** When tokens issued now end, given the end of their session. */
export const tokenEnds = (
  config: Pick<Config, 'nonrefreshable_access_token_lifetime' | 'refreshable_access_token_lifetime' | 'refresh_token_lifetime'>,
  nowMs: number,
  sessionEndsTs: number | undefined,
  refreshable: boolean,
): TokenEnds => {
  const after = (lifetimeMs: number | undefined): number | undefined =>
    lifetimeMs === undefined ? undefined : Math.min(nowMs + lifetimeMs, sessionEndsTs ?? Infinity);
  const access = refreshable ? config.refreshable_access_token_lifetime : config.nonrefreshable_access_token_lifetime;
  return { access: after(access) ?? sessionEndsTs, refresh: after(config.refresh_token_lifetime) ?? sessionEndsTs };
};

/** Whose tokens are issued, and until when. */
export interface Issue {
  readonly sessionNum: number;
  readonly localpart: string;
  readonly ends: TokenEnds;
}

/** Makes and stores a refresh token. */
export const issueRefreshToken = (tx: Transaction, random: Random, { sessionNum, localpart, ends }: Issue): string => {
  const token = createToken(random, 'syr', localpart);
  insertRefreshToken(tx, { hash: hashToken(token), session_num: sessionNum, expires_ts: ends.refresh ?? null, next_hash: null });
  return token;
};

/** Makes and stores an access token, with the refresh token that comes with it if there is one. */
export const issueAccessToken = (
  tx: Transaction,
  random: Random,
  { sessionNum, localpart, ends }: Issue,
  refreshToken: string | undefined,
): string => {
  const token = createToken(random, 'syt', localpart);
  insertAccessToken(tx, {
    hash: hashToken(token),
    session_num: sessionNum,
    expires_ts: ends.access ?? null,
    refresh_hash: refreshToken === undefined ? null : hashToken(refreshToken),
    used: 0,
  });
  return token;
};
