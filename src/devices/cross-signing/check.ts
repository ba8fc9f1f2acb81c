import type { Usage } from '#src/devices/cross-signing/store.ts';
import { invalidParam, MatrixError } from '#src/protocol/errors.ts';
import { isJsonObject, member, type JsonObject } from '#src/protocol/json.ts';
import { signableText, verifyKeyFromBase64, verifyText, type VerifyKey } from '#src/protocol/signatures.ts';

/** 400 `M_INVALID_SIGNATURE`, as a failure of one key or of the request. */
export const invalidSignature = (message: string): MatrixError => new MatrixError(400, 'M_INVALID_SIGNATURE', message);

/** Key ids are written into the database and into signatures: visible letters only. */
const KEY_ID = /^ed25519:[\x21-\x7e]{1,255}$/;

/** The key that an object of exactly one key holds; undefined for any other object. */
export const keyIn = (object: JsonObject): VerifyKey | undefined => {
  const keys = isJsonObject(object.keys) ? Object.entries(object.keys) : [];
  const [keyId, publicKey] = keys[0] ?? [];
  if (keys.length !== 1 || keyId === undefined || typeof publicKey !== 'string' || !KEY_ID.test(keyId)) return undefined;
  return verifyKeyFromBase64(keyId, publicKey);
};

/** What stands behind the algorithm of a key id: by it cross-signing keys are named beside devices. */
export const publicKeyOf = ({ keyId }: Pick<VerifyKey, 'keyId'>): string => keyId.slice('ed25519:'.length);

/** A user's signature of an object by one key, if there is one. */
export const signatureBy = (object: JsonObject, userId: string, keyId: string): string | undefined => {
  const all = isJsonObject(object.signatures) ? member(object.signatures, userId) : undefined;
  const signature = isJsonObject(all) ? member(all, keyId) : undefined;
  return typeof signature === 'string' ? signature : undefined;
};

const isSignedBy = (object: JsonObject, userId: string, key: VerifyKey): boolean => {
  const signature = signatureBy(object, userId, key.keyId);
  return signature !== undefined && verifyText(signableText(object), signature, key);
};

/** What cross-signing key a user may upload: throws `M_INVALID_PARAM` unless it is the user's and of this usage, with one key. */
export const checkedKey = (object: JsonObject, userId: string, usage: Usage): VerifyKey => {
  const key = keyIn(object);
  const isFor = Array.isArray(object.usage) && object.usage.includes(usage);
  if (key === undefined || object.user_id !== userId || !isFor) throw invalidParam(`Invalid ${usage} key`);
  return key;
};

/** Throws `M_INVALID_SIGNATURE` unless the master key has signed the other. */
export const checkSignedByMaster = (object: JsonObject, userId: string, usage: Usage, master: VerifyKey): void => {
  if (!isSignedBy(object, userId, master)) throw invalidSignature(`Invalid signature on ${usage} key`);
};

/**
 * The signature that a key of the user has made of an object which is stored here. Throws `M_UNKNOWN` when what was signed is not what is stored,
 * and `M_INVALID_SIGNATURE` when the signature is missing or wrong.
 */
export const checkedSignature = (signed: JsonObject, stored: JsonObject, userId: string, key: VerifyKey): string => {
  if (signableText(signed) !== signableText(stored)) throw new MatrixError(400, 'M_UNKNOWN', 'Key does not match');
  const signature = signatureBy(signed, userId, key.keyId);
  if (signature === undefined || !verifyText(signableText(signed), signature, key)) throw invalidSignature('Invalid signature');
  return signature;
};
