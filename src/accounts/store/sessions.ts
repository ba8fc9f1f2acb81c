import { sql } from '#src/platform/database/sql.ts';
import type { Reader, RowOf, Transaction } from '#src/platform/database/types.ts';

const sessions = {
  name: 'sessions',
  columns: {
    session_num: 'bigint',
    user_num: 'bigint',
    device_id: 'text?',
    client: 'text?',
    scopes: 'text',
    created_ts: 'bigint',
    expires_ts: 'bigint?',
  },
  key: ['session_num'],
} as const;

const accessTokens = {
  name: 'access_tokens',
  columns: { hash: 'bytes', session_num: 'bigint', expires_ts: 'bigint?', refresh_hash: 'bytes?', used: 'bigint' },
  key: ['hash'],
} as const;

const refreshTokens = {
  name: 'refresh_tokens',
  columns: { hash: 'bytes', session_num: 'bigint', expires_ts: 'bigint?', next_hash: 'bytes?' },
  key: ['hash'],
} as const;

/** Adds a session. */
export const insertSession = (tx: Transaction, row: RowOf<typeof sessions.columns>): void => tx.insert(sessions, row);

/** Adds an access token. */
export const insertAccessToken = (tx: Transaction, row: RowOf<typeof accessTokens.columns>): void => tx.insert(accessTokens, row);

/** Adds a refresh token. */
export const insertRefreshToken = (tx: Transaction, row: RowOf<typeof refreshTokens.columns>): void => tx.insert(refreshTokens, row);

/** An access token with its session and user. */
export interface AccessTokenRow {
  readonly session_num: number;
  readonly user_num: number;
  readonly device_id: string | null;
  readonly expires_ts: number | null;
  readonly refresh_hash: Uint8Array | null;
  readonly used: number;
  readonly localpart: string;
  readonly is_guest: number;
  readonly is_admin: number;
}

/** The access token of this hash. */
export const readAccessToken = (reader: Reader, hash: Uint8Array): Promise<AccessTokenRow | undefined> =>
  reader.one<AccessTokenRow>(sql`
    SELECT s.session_num, s.user_num, s.device_id, t.expires_ts, t.refresh_hash, t.used, u.localpart, u.is_guest, u.is_admin
    FROM access_tokens t
    JOIN sessions s ON s.session_num = t.session_num
    JOIN users u ON u.user_num = s.user_num
    WHERE t.hash = ${hash}`);

/** Notes that a request was made with a token. */
export const markAccessTokenUsed = async (tx: Transaction, hash: Uint8Array): Promise<void> => {
  await tx.run(sql`UPDATE access_tokens SET used = 1 WHERE hash = ${hash}`);
};

/** A refresh token with its session, and what became of the pair that it was exchanged for. */
export interface RefreshTokenRow {
  readonly session_num: number;
  readonly localpart: string;
  readonly expires_ts: number | null;
  readonly session_expires_ts: number | null;
  readonly next_hash: Uint8Array | null;
  /** 1 when the access token that came with the next refresh token was used. */
  readonly next_used: number | null;
}

/** The refresh token of this hash. */
export const readRefreshToken = (reader: Reader, hash: Uint8Array): Promise<RefreshTokenRow | undefined> =>
  reader.one<RefreshTokenRow>(sql`
    SELECT t.session_num, u.localpart, t.expires_ts, s.expires_ts AS session_expires_ts, t.next_hash,
      (SELECT MAX(a.used) FROM access_tokens a WHERE a.session_num = t.session_num AND a.refresh_hash = t.next_hash) AS next_used
    FROM refresh_tokens t
    JOIN sessions s ON s.session_num = t.session_num
    JOIN users u ON u.user_num = s.user_num
    WHERE t.hash = ${hash}`);

/** Notes which refresh token another one was exchanged for. */
export const setNextRefreshToken = async (tx: Transaction, hash: Uint8Array, nextHash: Uint8Array): Promise<void> => {
  await tx.run(sql`UPDATE refresh_tokens SET next_hash = ${nextHash} WHERE hash = ${hash}`);
};

/** The refresh token that was exchanged for this one. */
export const readPreviousRefreshToken = async (reader: Reader, sessionNum: number, hash: Uint8Array): Promise<Uint8Array | undefined> => {
  const row = await reader.one<{ hash: Uint8Array }>(sql`
    SELECT hash FROM refresh_tokens WHERE session_num = ${sessionNum} AND next_hash = ${hash}`);
  return row?.hash;
};

/** Deletes a refresh token and the access token that came with it; answers the latter's hash. */
export const deletePair = async (tx: Transaction, sessionNum: number, refreshHash: Uint8Array): Promise<Uint8Array[]> => {
  const tokens = await tx.all<{ hash: Uint8Array }>(sql`
    SELECT hash FROM access_tokens WHERE session_num = ${sessionNum} AND refresh_hash = ${refreshHash}`);
  await tx.run(sql`DELETE FROM access_tokens WHERE session_num = ${sessionNum} AND refresh_hash = ${refreshHash}`);
  await tx.run(sql`DELETE FROM refresh_tokens WHERE hash = ${refreshHash}`);
  return tokens.map((token) => token.hash);
};

export interface SessionRow {
  readonly session_num: number;
  readonly device_id: string | null;
}

/** A user's sessions. */
export const readSessions = (reader: Reader, userNum: number): Promise<SessionRow[]> =>
  reader.all<SessionRow>(sql`SELECT session_num, device_id FROM sessions WHERE user_num = ${userNum}`);

/** When the user of a session last confirmed who it is. */
export const readConfirmedTs = async (reader: Reader, sessionNum: number): Promise<number | undefined> => {
  const row = await reader.one<{ confirmed_ts: number }>(sql`
    SELECT COALESCE(confirmed_ts, created_ts) AS confirmed_ts FROM sessions WHERE session_num = ${sessionNum}`);
  return row?.confirmed_ts;
};

/** Notes when the user of a session confirmed who it is. */
export const setConfirmedTs = async (tx: Transaction, sessionNum: number, ts: number): Promise<void> => {
  await tx.run(sql`UPDATE sessions SET confirmed_ts = ${ts} WHERE session_num = ${sessionNum}`);
};

/** The numbers of the sessions that ended before a time. */
export const readEndedSessions = async (reader: Reader, beforeTs: number, limit: number): Promise<number[]> => {
  const rows = await reader.all<{ session_num: number }>(sql`
    SELECT session_num FROM sessions WHERE expires_ts < ${beforeTs} ORDER BY expires_ts LIMIT ${limit}`);
  return rows.map((row) => row.session_num);
};

/** The hashes of the access tokens of sessions. */
export const readAccessTokenHashes = async (reader: Reader, sessionNums: readonly number[]): Promise<Uint8Array[]> => {
  const rows = await reader.all<{ hash: Uint8Array }>(sql`SELECT hash FROM access_tokens WHERE session_num ${sql.in(sessionNums)}`);
  return rows.map((row) => row.hash);
};

/** Deletes sessions with their tokens. */
export const deleteSessions = async (tx: Transaction, sessionNums: readonly number[]): Promise<void> => {
  await tx.run(sql`DELETE FROM access_tokens WHERE session_num ${sql.in(sessionNums)}`);
  await tx.run(sql`DELETE FROM refresh_tokens WHERE session_num ${sql.in(sessionNums)}`);
  await tx.run(sql`DELETE FROM sessions WHERE session_num ${sql.in(sessionNums)}`);
};
