import { forbidden, unknownToken } from '#src/protocol/errors.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import type { Random } from '#src/platform/random.ts';
import { issueAccessToken, issueRefreshToken, tokenEnds } from '#src/accounts/issue.ts';
import type { Requesters } from '#src/accounts/requesters.ts';
import { deletePair, readPreviousRefreshToken, readRefreshToken, setNextRefreshToken } from '#src/accounts/store/sessions.ts';
import type { RefreshTokenRow } from '#src/accounts/store/sessions.ts';
import { hashToken, isWellFormed } from '#src/accounts/tokens.ts';

export interface RefreshResult {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly expires_in_ms?: number;
}

const checkUsable = (token: RefreshTokenRow, nowMs: number): void => {
  if (token.next_used === 1) throw forbidden("refresh token isn't valid anymore");
  if (token.expires_ts !== null && token.expires_ts < nowMs) throw forbidden('The supplied refresh token has expired');
  if (token.session_expires_ts !== null && token.session_expires_ts < nowMs) {
    throw forbidden('The session has expired and can no longer be refreshed');
  }
};

/**
 * Exchanges a refresh token for a new pair (`POST /refresh`). The answer may get lost, so the old token stays good until the new
 * access token or the new refresh token is used; exchanging it again replaces the pair that nobody used.
 */
export const createRefresh = ({
  database,
  clock,
  random,
  config,
  requesters,
}: {
  database: Database;
  clock: Clock;
  random: Random;
  config: Pick<Config, 'nonrefreshable_access_token_lifetime' | 'refreshable_access_token_lifetime' | 'refresh_token_lifetime'>;
  requesters: Requesters;
}): ((refreshToken: string) => Promise<RefreshResult>) => {
  /** Deletes the pair that the token was exchanged for in vain, and the one before it, which nobody needs any more. */
  const dropStalePairs = async (tx: Transaction, hash: Uint8Array, token: RefreshTokenRow): Promise<void> => {
    const previous = await readPreviousRefreshToken(tx, token.session_num, hash);
    const stale = [previous, token.next_hash].filter((refreshHash) => refreshHash !== undefined && refreshHash !== null);
    const forgotten: Uint8Array[] = [];
    for (const refreshHash of stale) forgotten.push(...(await deletePair(tx, token.session_num, refreshHash)));
    tx.onCommit(() => requesters.forget(forgotten));
  };

  return async (refreshToken) => {
    if (!isWellFormed('syr', refreshToken)) throw unknownToken('invalid refresh token', { soft_logout: false });
    const hash = hashToken(refreshToken);
    return database.write('refresh', async (tx) => {
      const nowMs = clock.now();
      const token = await readRefreshToken(tx, hash);
      if (token === undefined) throw unknownToken('refresh token does not exist', { soft_logout: false });
      checkUsable(token, nowMs);
      await dropStalePairs(tx, hash, token);

      const ends = tokenEnds(config, nowMs, token.session_expires_ts ?? undefined, true);
      const issue = { sessionNum: token.session_num, localpart: token.localpart, ends };
      const nextRefreshToken = issueRefreshToken(tx, random, issue);
      const accessToken = issueAccessToken(tx, random, issue, nextRefreshToken);
      await setNextRefreshToken(tx, hash, hashToken(nextRefreshToken));
      return {
        access_token: accessToken,
        refresh_token: nextRefreshToken,
        ...(ends.access === undefined ? {} : { expires_in_ms: ends.access - nowMs }),
      };
    });
  };
};
