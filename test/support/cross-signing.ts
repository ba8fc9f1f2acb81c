import { createHash } from 'node:crypto';
import { signJson, signingKeyFromSeed, type SigningKey } from '#src/protocol/signatures.ts';
import type { JsonObject } from '#src/protocol/json.ts';

/** A key that is always the same for the same words. */
export const keyFor = (words: string, keyId?: string): SigningKey => {
  const seed = createHash('sha256').update(words).digest();
  const { publicKey } = signingKeyFromSeed('ed25519:x', seed);
  return signingKeyFromSeed(keyId ?? `ed25519:${publicKey}`, seed);
};

/** What a device says of itself, signed by it. */
export const signedDevice = (
  userId: string,
  deviceId: string,
  words = 'first',
): { readonly key: SigningKey; readonly json: JsonObject } => {
  const key = keyFor(`${userId} ${deviceId} ${words}`, `ed25519:${deviceId}`);
  const keys = { [key.keyId]: key.publicKey, [`curve25519:${deviceId}`]: key.publicKey };
  const algorithms = ['m.olm.v1.curve25519-aes-sha2', 'm.megolm.v1.aes-sha2'];
  return { key, json: signJson({ user_id: userId, device_id: deviceId, algorithms, keys }, userId, key) };
};

/** A user's three cross-signing keys, ready to be uploaded. */
export const crossSigning = (userId: string, words = 'first') => {
  const keyOf = (usage: string): SigningKey => keyFor(`${userId} ${usage} ${words}`);
  const [master, selfSigning, userSigning] = [keyOf('master'), keyOf('self_signing'), keyOf('user_signing')];
  const objectOf = (usage: string, key: SigningKey): JsonObject => ({
    user_id: userId,
    usage: [usage],
    keys: { [key.keyId]: key.publicKey },
  });
  const masterObject = objectOf('master', master);
  return {
    master,
    selfSigning,
    userSigning,
    masterObject,
    body: {
      master_key: masterObject,
      self_signing_key: signJson(objectOf('self_signing', selfSigning), userId, master),
      user_signing_key: signJson(objectOf('user_signing', userSigning), userId, master),
    },
  };
};
