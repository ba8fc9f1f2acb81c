import type { Clock } from '#src/platform/clock.ts';
import { encodeBase64 } from '#src/protocol/base64.ts';
import { isJsonObject, member, type JsonObject } from '#src/protocol/json.ts';
import { keyValidUntil } from '#src/protocol/key-validity.ts';
import { signJson, type SigningKey, verifyJson, type VerifyKey, verifyKeyFromBase64 } from '#src/protocol/signatures.ts';

/** A key that a server has published. */
export interface PublishedKey {
  readonly keyId: string;
  /** In unpadded Base64. */
  readonly publicKey: string;
  readonly key: VerifyKey;
  /** Until when it may vouch for what was signed, in milliseconds. */
  readonly validUntilTs: number;
}

/** What a server says about its keys, checked. */
export interface Publication {
  readonly serverName: string;
  readonly keys: readonly PublishedKey[];
  /** As the server means it, not capped. */
  readonly validUntilTs: number;
  /** As it was signed. */
  readonly json: JsonObject;
}

const keysIn = (value: unknown, untilOf: (entry: JsonObject) => number | undefined): PublishedKey[] => {
  if (!isJsonObject(value)) return [];
  return Object.entries(value).flatMap(([keyId, entry]) => {
    if (!isJsonObject(entry) || typeof entry.key !== 'string') return [];
    const key = verifyKeyFromBase64(keyId, entry.key);
    const validUntilTs = untilOf(entry);
    return key === undefined || validUntilTs === undefined ? [] : [{ keyId, publicKey: entry.key, key, validUntilTs }];
  });
};

const MAX_KEYS = 256;

/**
 * Reads what a server answers about its keys (server-server API, Retrieving server keys). `undefined` unless it is about `serverName` and signed with one of
 * the keys that it lists; keys of algorithms that nobody uses are left out.
 */
export const readPublication = (json: JsonObject, serverName: string, fetchedTs: number): Publication | undefined => {
  const { valid_until_ts: validUntilTs } = json;
  if (json.server_name !== serverName || typeof validUntilTs !== 'number' || !Number.isSafeInteger(validUntilTs)) return undefined;
  const present = keysIn(json.verify_keys, () => keyValidUntil(validUntilTs, fetchedTs));
  const old = keysIn(json.old_verify_keys, ({ expired_ts: ts }) => (typeof ts === 'number' && Number.isSafeInteger(ts) ? ts : undefined));
  const byId = new Map([...old, ...present].map((key) => [key.keyId, key]));
  if (byId.size > MAX_KEYS) return undefined;
  const current = new Map(present.map(({ keyId, key }) => [keyId, key]));
  if (verifyJson(json, serverName, (keyId) => current.get(keyId)) !== 'valid') return undefined;
  return { serverName, keys: [...byId.values()], validUntilTs, json };
};

/** Whether one of these keys of a notary has signed what it hands on. */
export const isSignedBy = (json: JsonObject, notary: string, keys: ReadonlyMap<string, VerifyKey>): boolean =>
  verifyJson(json, notary, (keyId) => keys.get(keyId)) === 'valid';

/** Whether there is a signature of this server at all. */
export const mentionsSignatureOf = (json: JsonObject, serverName: string): boolean =>
  isJsonObject(json.signatures) && member(json.signatures, serverName) !== undefined;

/** What this server says about its keys. */
export interface OwnPublication {
  /** Signed with all of its keys; made anew when half of its time is over. */
  current(): JsonObject;
}

interface OldKey {
  readonly keyId: string;
  readonly publicKey: Uint8Array;
  readonly expiredTs: number;
}

/** `lifetimeMs` is for how long others may rely on it. */
export const createOwnPublication = ({
  serverName,
  keys,
  oldKeys,
  lifetimeMs,
  clock,
}: {
  serverName: string;
  keys: readonly SigningKey[];
  oldKeys: readonly OldKey[];
  lifetimeMs: number;
  clock: Clock;
}): OwnPublication => {
  let made: { readonly json: JsonObject; readonly renewAtTs: number } | undefined;
  const make = (): JsonObject =>
    keys.reduce<JsonObject>((json, key) => signJson(json, serverName, key), {
      server_name: serverName,
      valid_until_ts: clock.now() + lifetimeMs,
      verify_keys: Object.fromEntries(keys.map(({ keyId, publicKey }) => [keyId, { key: publicKey }])),
      old_verify_keys: Object.fromEntries(
        oldKeys.map(({ keyId, publicKey, expiredTs }) => [keyId, { key: encodeBase64(Buffer.from(publicKey)), expired_ts: expiredTs }]),
      ),
    });
  return {
    current: () => {
      const nowMs = clock.now();
      if (made === undefined || nowMs >= made.renewAtTs) made = { json: make(), renewAtTs: nowMs + lifetimeMs / 2 };
      return made.json;
    },
  };
};
