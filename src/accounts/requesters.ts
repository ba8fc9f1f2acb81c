import { entryCache } from '#src/platform/cache/index.ts';
import { unknownToken } from '#src/protocol/errors.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Database } from '#src/platform/database/types.ts';
import { markAccessTokenUsed, readAccessToken } from '#src/accounts/store/sessions.ts';
import { hashToken, tokenKey } from '#src/accounts/tokens.ts';
import type { Requester } from '#src/accounts/types.ts';

/** Who holds a token. Every request asks, so a warm answer costs one hash and no database read. */
export interface Requesters {
  /** Throws `M_UNKNOWN_TOKEN`, with `soft_logout` when the token was good once. */
  readonly byToken: (token: string) => Promise<Requester>;
  /** Forgets tokens by their hashes; to be called when their deletion, or a change of their user, is committed. */
  readonly forget: (hashes: readonly Uint8Array[]) => void;
}

interface Known {
  readonly requester: Requester;
  readonly expiresTs: number | undefined;
}

const MAX_CACHED_TOKENS = 20_000;

/** As `tokenKey` of the token. */
const keyOf = (hash: Uint8Array): string => Buffer.from(hash.buffer, hash.byteOffset, hash.byteLength).toString('base64');

/** Answers who holds an access token, from a bounded cache before the database. */
export const createRequesters = ({ database, clock, serverName }: { database: Database; clock: Clock; serverName: string }): Requesters => {
  const cache = entryCache<string, Known>(MAX_CACHED_TOKENS);
  // A look-up that was on its way when tokens were forgotten may carry what is no longer true: it is not kept.
  let forgotten = 0;

  const load = async (hash: Uint8Array): Promise<Known> => {
    const before = forgotten;
    const row = await database.read('access token', (reader) => readAccessToken(reader, hash));
    if (row === undefined) throw unknownToken('Unrecognised access token', { soft_logout: false });
    const known: Known = {
      requester: {
        userId: `@${row.localpart}:${serverName}`,
        userNum: row.user_num,
        deviceId: row.device_id ?? undefined,
        sessionNum: row.session_num,
        isGuest: row.is_guest === 1,
        isAdmin: row.is_admin === 1,
      },
      expiresTs: row.expires_ts ?? undefined,
    };
    // From its first use on, the refresh token that this one was obtained with is spent.
    if (row.refresh_hash !== null && row.used === 0) await database.write('use access token', (tx) => markAccessTokenUsed(tx, hash));
    if (before === forgotten) cache.set(keyOf(hash), known);
    return known;
  };

  return {
    byToken: async (token) => {
      const known = cache.get(tokenKey(token)) ?? (await load(hashToken(token)));
      if (known.expiresTs !== undefined && known.expiresTs < clock.now()) {
        throw unknownToken('Access token has expired', { soft_logout: true });
      }
      return known.requester;
    },
    forget: (hashes) => {
      forgotten += 1;
      for (const hash of hashes) cache.delete(keyOf(hash));
    },
  };
};
