import type { Requester } from '#src/accounts/index.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import { invalidParam, MatrixError, notFound } from '#src/protocol/errors.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import { isJsonObject, member, type JsonObject, type JsonValue } from '#src/protocol/json.ts';
import { verifyKeyFromBase64 } from '#src/protocol/signatures.ts';
import { checkedSignature, invalidSignature, keyIn, signatureBy } from '#src/devices/cross-signing/check.ts';
import { putSignature, readSignaturesBy, type SignatureRow, type Usage } from '#src/devices/cross-signing/store.ts';
import type { KeyMemory } from '#src/devices/key-memory.ts';
import { logSignatures } from '#src/devices/list-log.ts';
import { readUserKeys, type UserKeys } from '#src/devices/published-keys.ts';

/** By user and then by device, or public master key: why a signature was not taken. */
export type Failures = Record<string, Record<string, JsonObject>>;

export interface KeySignatures {
  /**
   * Stores signatures of own devices by the self-signing key, of the own master key by own devices, and of others' master keys by the user-signing key.
   * Each is checked; those that are wrong are in the answer, and keep no other from being stored. Throws `M_INVALID_PARAM` for another form.
   */
  readonly upload: (requester: Requester, signed: Readonly<Record<string, JsonValue>>) => Promise<Failures>;
}

type Signed = Readonly<Record<string, JsonObject>>;

/** A body of the form user to device to signed object. */
const formed = (body: Readonly<Record<string, JsonValue>>): ReadonlyMap<string, Signed> =>
  new Map(
    Object.entries(body).map(([userId, signed]) => {
      if (domainOf(userId) === undefined || !isJsonObject(signed) || !Object.values(signed).every(isJsonObject)) {
        throw invalidParam('Invalid parameter');
      }
      return [userId, signed as Signed];
    }),
  );

const failureOf = (error: unknown): JsonObject => {
  if (!(error instanceof MatrixError)) throw error;
  return { status: error.status, errcode: error.errcode, message: `${String(error.status)}: ${error.message}` };
};

/** One user's key of a usage, ready to check with. Throws `M_NOT_FOUND`. */
const crossSigningKey = (keys: UserKeys | undefined, usage: Usage, userId: string) => {
  const stored = keys?.crossSigning[usage];
  const object = stored === undefined ? undefined : (JSON.parse(stored.json) as JsonObject);
  const key = object === undefined ? undefined : keyIn(object);
  if (stored === undefined || object === undefined || key === undefined) throw notFound(`No ${usage} key found for ${userId}`);
  return { object, key, publicKey: stored.publicKey };
};

type Found = Pick<SignatureRow, 'target_key' | 'key_id' | 'signature'>;

/** The signatures of a user's own master key by devices of the same user. */
const ofMasterKey = (
  userId: string,
  signed: JsonObject,
  master: { object: JsonObject; publicKey: string },
  devices: UserKeys['devices'],
) => {
  const signatures = isJsonObject(signed.signatures) ? member(signed.signatures, userId) : undefined;
  return Object.keys(isJsonObject(signatures) ? signatures : {}).flatMap((keyId): Found[] => {
    // Others than these cannot be checked, and are not kept.
    if (!keyId.startsWith('ed25519:')) return [];
    const text = devices.get(keyId.slice('ed25519:'.length));
    const { keys } = text === undefined ? {} : (JSON.parse(text) as JsonObject);
    const publicKey = isJsonObject(keys) ? member(keys, keyId) : undefined;
    const key = typeof publicKey === 'string' ? verifyKeyFromBase64(keyId, publicKey) : undefined;
    if (key === undefined) throw invalidSignature('Invalid signature');
    return [{ target_key: master.publicKey, key_id: keyId, signature: checkedSignature(signed, master.object, userId, key) }];
  });
};

/** What is right among what users say to have signed of their own. */
const judgeOwn = (userId: string, signed: Signed, keys: UserKeys | undefined, failures: Failures): Found[] => {
  const failed: Record<string, JsonObject> = {};
  const judge = (): Found[] => {
    const selfSigning = crossSigningKey(keys, 'self_signing', userId);
    const master = crossSigningKey(keys, 'master', userId);
    const devices = keys?.devices ?? new Map<string, string>();
    if (devices.size === 0) throw notFound('No device keys found');
    return Object.entries(signed).flatMap(([name, object]): Found[] => {
      try {
        const own = isJsonObject(object.signatures) ? member(object.signatures, userId) : undefined;
        if (own === undefined) throw invalidSignature('Invalid signature');
        if (name === master.publicKey) return ofMasterKey(userId, object, master, devices);
        if (signatureBy(object, userId, selfSigning.key.keyId) === undefined) throw invalidSignature('Invalid signature');
        const text = devices.get(name);
        if (text === undefined) throw notFound('Unknown device');
        const stored = JSON.parse(text) as JsonObject;
        if (signatureBy(stored, userId, selfSigning.key.keyId) !== undefined) return [];
        const signature = checkedSignature(object, stored, userId, selfSigning.key);
        return [{ target_key: name, key_id: selfSigning.key.keyId, signature }];
      } catch (error) {
        failed[name] = failureOf(error);
        return [];
      }
    });
  };
  try {
    return judge();
  } catch (error) {
    for (const name of Object.keys(signed)) failed[name] = failureOf(error);
    return [];
  } finally {
    if (Object.keys(failed).length > 0) failures[userId] = failed;
  }
};

/** What is right among what a user says to have signed of somebody else's: the master key, and nothing but that. */
const judgeOther = (
  userId: string,
  keys: UserKeys | undefined,
  target: {
    readonly userId: string;
    readonly signed: Signed;
    readonly keys: UserKeys | undefined;
    readonly isSigned: (key: Found) => boolean;
  },
  failures: Failures,
): Found[] => {
  const failed: Record<string, JsonObject> = {};
  const names = Object.keys(target.signed);
  let faulty = names;
  try {
    const userSigning = crossSigningKey(keys, 'user_signing', userId);
    const master = crossSigningKey(target.keys, 'master', target.userId);
    const object = target.signed[master.publicKey];
    if (!Object.hasOwn(target.signed, master.publicKey) || object === undefined) throw notFound('Unknown device');
    for (const name of names) if (name !== master.publicKey) failed[name] = failureOf(notFound('Unknown device'));
    faulty = [master.publicKey];
    const { keyId } = userSigning.key;
    if (target.isSigned({ target_key: master.publicKey, key_id: keyId, signature: '' })) return [];
    return [{ target_key: master.publicKey, key_id: keyId, signature: checkedSignature(object, master.object, userId, userSigning.key) }];
  } catch (error) {
    for (const name of faulty) failed[name] = failureOf(error);
    return [];
  } finally {
    if (Object.keys(failed).length > 0) failures[target.userId] = failed;
  }
};

/** What users sign of one another's keys (client-server API, "Key and signature security"). */
export const createKeySignatures = ({
  database,
  strings,
  memory,
}: {
  database: Database;
  strings: Strings;
  memory: KeyMemory;
}): KeySignatures => {
  const store = async (tx: Transaction, { userNum }: Requester, found: ReadonlyMap<number, readonly Found[]>): Promise<void> => {
    for (const [targetNum, rows] of found) for (const row of rows) putSignature(tx, { ...row, target_num: targetNum, signer_num: userNum });
    const own = [...new Set((found.get(userNum) ?? []).map((row) => row.target_key))];
    if (own.length > 0) await memory.listChanged(tx, userNum, own);
    const others = [...found].filter(([targetNum, rows]) => targetNum !== userNum && rows.length > 0).map(([targetNum]) => targetNum);
    await logSignatures(tx, userNum, others);
  };

  /** Judges by keys that were read before, and stores if they are still the same; undefined when they have changed. */
  const attempt = async (requester: Requester, signed: ReadonlyMap<string, Signed>): Promise<Failures | undefined> => {
    const { userId, userNum } = requester;
    const numOf = await strings.numsOf([...signed.keys()]);
    const nums = [...new Set([userNum, ...numOf.values()])];
    const [keys, made] = await database.read('keys to be signed', async (reader) => [
      await readUserKeys(reader, nums),
      await readSignaturesBy(reader, userNum, nums),
    ]);
    const failures: Failures = {};
    const found = new Map<number, Found[]>();
    for (const [targetId, objects] of signed) {
      const targetNum = numOf.get(targetId) ?? 0;
      const isSigned = (key: Found): boolean =>
        made.some((row) => row.target_num === targetNum && row.target_key === key.target_key && row.key_id === key.key_id);
      const target = { userId: targetId, signed: objects, keys: keys.get(targetNum), isSigned };
      const right =
        targetId === userId
          ? judgeOwn(userId, objects, keys.get(userNum), failures)
          : judgeOther(userId, keys.get(userNum), target, failures);
      if (right.length > 0) found.set(targetNum, right);
    }
    if (found.size === 0) return failures;
    const textOf = (all: ReadonlyMap<number, UserKeys>): string =>
      JSON.stringify(nums.map((num) => [[...(all.get(num)?.devices ?? [])], all.get(num)?.crossSigning]));
    const isStored = await database.write('upload signatures', async (tx) => {
      if (textOf(await readUserKeys(tx, nums)) !== textOf(keys)) return false;
      await store(tx, requester, found);
      return true;
    });
    return isStored ? failures : undefined;
  };

  return {
    upload: async (requester, body) => {
      const signed = formed(body);
      for (;;) {
        const failures = await attempt(requester, signed);
        if (failures !== undefined) return failures;
      }
    },
  };
};
