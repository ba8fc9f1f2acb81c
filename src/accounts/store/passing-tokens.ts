import { sql } from '#src/platform/database/sql.ts';
import type { Reader, Transaction } from '#src/platform/database/types.ts';

const columns = { hash: 'bytes', user_num: 'bigint', expires_ts: 'bigint' } as const;
const loginTokens = { name: 'login_tokens', columns, key: ['hash'] } as const;
const openIdTokens = { name: 'openid_tokens', columns, key: ['hash'] } as const;

/** A token that is good for one purpose and a short time. */
export interface PassingTokenRow {
  readonly hash: Uint8Array;
  readonly user_num: number;
  readonly expires_ts: number;
}

/** Adds a token to log in with. */
export const insertLoginToken = (tx: Transaction, row: PassingTokenRow): void => tx.insert(loginTokens, row);

/** Deletes a token to log in with, and answers it. */
export const takeLoginToken = async (tx: Transaction, hash: Uint8Array): Promise<PassingTokenRow | undefined> => {
  const row = await tx.one<PassingTokenRow>(sql`SELECT hash, user_num, expires_ts FROM login_tokens WHERE hash = ${hash}`);
  if (row !== undefined) await tx.run(sql`DELETE FROM login_tokens WHERE hash = ${hash}`);
  return row;
};

/** Adds a token that proves who somebody is. */
export const insertOpenIdToken = (tx: Transaction, row: PassingTokenRow): void => tx.insert(openIdTokens, row);

/** The token of this hash that proves who somebody is. */
export const readOpenIdToken = (reader: Reader, hash: Uint8Array): Promise<PassingTokenRow | undefined> =>
  reader.one<PassingTokenRow>(sql`SELECT hash, user_num, expires_ts FROM openid_tokens WHERE hash = ${hash}`);

/** Deletes all tokens of both kinds that expired before a time. */
export const deleteExpiredTokens = async (tx: Transaction, beforeTs: number): Promise<void> => {
  await tx.run(sql`DELETE FROM login_tokens WHERE expires_ts < ${beforeTs}`);
  await tx.run(sql`DELETE FROM openid_tokens WHERE expires_ts < ${beforeTs}`);
};

/** Deletes a user's tokens of both kinds. */
export const deletePassingTokensOf = async (tx: Transaction, userNum: number): Promise<void> => {
  await tx.run(sql`DELETE FROM login_tokens WHERE user_num = ${userNum}`);
  await tx.run(sql`DELETE FROM openid_tokens WHERE user_num = ${userNum}`);
};
