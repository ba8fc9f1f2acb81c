import { sql } from '#src/platform/database/sql.ts';
import type { Reader, Transaction } from '#src/platform/database/types.ts';

/** What a cross-signing key is for, as `usage` says. */
export type Usage = 'master' | 'self_signing' | 'user_signing';

export interface CrossSigningKeyRow {
  readonly user_num: number;
  readonly usage: Usage;
  readonly public_key: string;
  readonly json: string;
}

/** The cross-signing keys of users. */
export const readCrossSigningKeys = (reader: Reader, userNums: readonly number[]): Promise<CrossSigningKeyRow[]> =>
  reader.all<CrossSigningKeyRow>(sql`
    SELECT user_num, usage, public_key, json FROM cross_signing_keys WHERE user_num ${sql.in(userNums)} ORDER BY user_num, usage`);

const crossSigningKeys = {
  name: 'cross_signing_keys',
  columns: { user_num: 'bigint', usage: 'text', public_key: 'text', json: 'text', replaceable_until_ts: 'bigint?' },
  key: ['user_num', 'usage'],
} as const;

/** Stores a key in the place of the one of the same usage. */
export const putCrossSigningKey = (tx: Transaction, row: CrossSigningKeyRow): void =>
  tx.put(crossSigningKeys, { ...row, replaceable_until_ts: null });

/** Until when a user's master key may be replaced without confirming; undefined when that was never allowed. */
export const readReplaceableUntil = async (reader: Reader, userNum: number): Promise<number | undefined> => {
  const row = await reader.one<{ replaceable_until_ts: number | null }>(sql`
    SELECT replaceable_until_ts FROM cross_signing_keys WHERE user_num = ${userNum} AND usage = ${'master'}`);
  return row?.replaceable_until_ts ?? undefined;
};

/** Allows it until then; answers whether the user has a master key. */
export const setReplaceableUntil = async (tx: Transaction, userNum: number, untilTs: number): Promise<boolean> => {
  const changed = await tx.run(sql`
    UPDATE cross_signing_keys SET replaceable_until_ts = ${untilTs} WHERE user_num = ${userNum} AND usage = ${'master'}`);
  return changed === 1;
};

export interface SignatureRow {
  readonly target_num: number;
  readonly target_key: string;
  readonly signer_num: number;
  readonly key_id: string;
  readonly signature: string;
}

const keySignatures = {
  name: 'key_signatures',
  columns: { target_num: 'bigint', target_key: 'text', signer_num: 'bigint', key_id: 'text', signature: 'text' },
  key: ['target_num', 'signer_num', 'target_key', 'key_id'],
} as const;

export const putSignature = (tx: Transaction, row: SignatureRow): void => tx.put(keySignatures, row);

/** What users have signed of their own. */
export const readOwnSignatures = (reader: Reader, userNums: readonly number[]): Promise<SignatureRow[]> =>
  reader.all<SignatureRow>(sql`
    SELECT target_num, target_key, signer_num, key_id, signature FROM key_signatures
    WHERE target_num ${sql.in(userNums)} AND signer_num = target_num`);

/** What somebody has signed of these users'. */
export const readSignaturesBy = (reader: Reader, signerNum: number, targetNums: readonly number[]): Promise<SignatureRow[]> =>
  reader.all<SignatureRow>(sql`
    SELECT target_num, target_key, signer_num, key_id, signature FROM key_signatures
    WHERE signer_num = ${signerNum} AND target_num ${sql.in(targetNums)}`);

/** Deletes what anybody has signed of one key. */
export const deleteSignaturesOf = async (tx: Transaction, targetNum: number, targetKey: string): Promise<void> => {
  await tx.run(sql`DELETE FROM key_signatures WHERE target_num = ${targetNum} AND target_key = ${targetKey}`);
};

/** Deletes what somebody has signed with one key. */
export const deleteSignaturesWith = async (tx: Transaction, signerNum: number, keyId: string): Promise<void> => {
  await tx.run(sql`DELETE FROM key_signatures WHERE signer_num = ${signerNum} AND key_id = ${keyId}`);
};

/** Deletes a user's keys with what they have signed, and with what others have signed of them. */
export const deleteCrossSigningOf = async (tx: Transaction, userNum: number): Promise<void> => {
  await tx.run(sql`DELETE FROM cross_signing_keys WHERE user_num = ${userNum}`);
  await tx.run(sql`DELETE FROM key_signatures WHERE target_num = ${userNum}`);
  await tx.run(sql`DELETE FROM key_signatures WHERE signer_num = ${userNum}`);
};
