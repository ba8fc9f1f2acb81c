import type { Requester } from '#src/accounts/index.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import { canonicalJson } from '#src/protocol/canonical-json.ts';
import { invalidParam, missingParam, notFound } from '#src/protocol/errors.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import type { VerifyKey } from '#src/protocol/signatures.ts';
import { checkedKey, checkSignedByMaster, keyIn, publicKeyOf } from '#src/devices/cross-signing/check.ts';
import {
  deleteSignaturesOf,
  deleteSignaturesWith,
  putCrossSigningKey,
  readCrossSigningKeys,
  readReplaceableUntil,
  setReplaceableUntil,
  type Usage,
} from '#src/devices/cross-signing/store.ts';
import type { KeyMemory } from '#src/devices/key-memory.ts';
import { logSignatures } from '#src/devices/list-log.ts';
import { hasDevice } from '#src/devices/store.ts';

/** The keys that a user uploads, by their usage. */
export type UploadedKeys = Readonly<Partial<Record<Usage, JsonObject>>>;

/** How long an administrator's permission lasts. */
const PERMISSION_MS = 10 * 60_000;

const USAGES = ['master', 'self_signing', 'user_signing'] as const;

export interface SigningKeys {
  /**
   * Stores the keys that are new. `unconfirmed` when that would replace a user's cross-signing identity, and neither `isConfirmed` nor an
   * administrator says that it may; the first keys need no confirming (MSC3967), nor do the same again.
   * Throws `M_INVALID_PARAM`, `M_MISSING_PARAM` or `M_INVALID_SIGNATURE` for keys that are wrong, not signed, or without a master key.
   */
  readonly upload: (requester: Requester, keys: UploadedKeys, isConfirmed: boolean) => Promise<'stored' | 'unconfirmed'>;
  /** Lets the user's master key be replaced without confirming for ten minutes; answers until when. Throws `M_NOT_FOUND` without a master key. */
  readonly allowReplacement: (userNum: number) => Promise<number>;
}

/** Cross-signing keys (client-server API, "Cross-signing"). */
export const createSigningKeys = ({ database, clock, memory }: { database: Database; clock: Clock; memory: KeyMemory }): SigningKeys => {
  /** The uploaded keys, each checked and, but for the master key, signed by it. */
  const check = (userId: string, keys: UploadedKeys, storedMaster: string | undefined): [Usage, VerifyKey, JsonObject][] => {
    const master = keys.master ?? (storedMaster === undefined ? undefined : (JSON.parse(storedMaster) as JsonObject));
    if (master === undefined) throw missingParam('No master key available');
    const masterKey = keys.master === undefined ? keyIn(master) : checkedKey(master, userId, 'master');
    if (masterKey === undefined) throw new Error(`The master key of ${userId} that is stored is none`);
    return USAGES.flatMap((usage): [Usage, VerifyKey, JsonObject][] => {
      const object = keys[usage];
      if (object === undefined) return [];
      if (usage === 'master') return [[usage, masterKey, object]];
      const key = checkedKey(object, userId, usage);
      checkSignedByMaster(object, userId, usage, masterKey);
      return [[usage, key, object]];
    });
  };

  /** What was signed by a key that is replaced, or of it, means nothing any more. */
  const forgetSignatures = async (tx: Transaction, userNum: number, publicKey: string): Promise<void> => {
    await deleteSignaturesOf(tx, userNum, publicKey);
    await deleteSignaturesWith(tx, userNum, `ed25519:${publicKey}`);
  };

  return {
    upload: (requester, keys, isConfirmed) =>
      database.write('upload cross-signing keys', async (tx) => {
        const { userId, userNum } = requester;
        const stored = new Map((await readCrossSigningKeys(tx, [userNum])).map((row) => [row.usage, row]));
        const differs = (usage: Usage): boolean => keys[usage] !== undefined && canonicalJson(keys[usage]) !== stored.get(usage)?.json;
        if (!USAGES.some(differs)) return 'stored';
        if (stored.has('master') && !isConfirmed && ((await readReplaceableUntil(tx, userNum)) ?? 0) <= clock.now()) return 'unconfirmed';

        const told: string[] = [];
        for (const [usage, key, object] of check(userId, keys, stored.get('master')?.json)) {
          const publicKey = publicKeyOf(key);
          // Signatures name devices and these keys alike.
          if (await hasDevice(tx, userNum, publicKey)) throw invalidParam('There is a device with the name of this key');
          const before = stored.get(usage)?.public_key;
          if (before !== undefined && before !== publicKey) await forgetSignatures(tx, userNum, before);
          putCrossSigningKey(tx, { user_num: userNum, usage, public_key: publicKey, json: canonicalJson(object) });
          if (usage !== 'user_signing') told.push(publicKey);
        }
        await memory.listChanged(tx, userNum, told);
        // The key by which others are signed is its user's own affair.
        if (keys.user_signing !== undefined) await logSignatures(tx, userNum, [userNum]);
        return 'stored';
      }),
    allowReplacement: async (userNum) => {
      const untilTs = clock.now() + PERMISSION_MS;
      const isThere = await database.write('allow replacing cross-signing keys', (tx) => setReplaceableUntil(tx, userNum, untilTs));
      if (!isThere) throw notFound('User has no master cross-signing key');
      return untilTs;
    },
  };
};
