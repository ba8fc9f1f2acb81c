import type { KeyObject } from 'node:crypto';
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { decodeBase64, encodeBase64 } from '#src/protocol/base64.ts';
import { canonicalMembers, joinMembers } from '#src/protocol/canonical-json.ts';
import type { Hashable } from '#src/protocol/hashes.ts';
import { signedText } from '#src/protocol/hashes.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { isJsonObject, member } from '#src/protocol/json.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';

/** Signatures by server name and key id, as under `signatures`. */
export type Signatures = { readonly [serverName: string]: { readonly [keyId: string]: string } };

/** A key that others' signatures are checked with. Making one costs more than a check: keep it. */
export interface VerifyKey {
  /** Algorithm and version, `ed25519:a_AbCd`. */
  readonly keyId: string;
  readonly key: KeyObject;
}

/** A key of our own. */
export interface SigningKey extends VerifyKey {
  readonly privateKey: KeyObject;
  /** The public key in unpadded Base64, as it is published. */
  readonly publicKey: string;
}

const KEY_BYTES = 32;
/** The DER frame of an Ed25519 private key, which its seed follows (RFC 8410). */
const PKCS8_FRAME = Buffer.from('302e020100300506032b657004220420', 'hex');

/** A signing key from the 32 bytes of its seed. Throws `Error` for another length. */
export const signingKeyFromSeed = (keyId: string, seed: Buffer): SigningKey => {
  if (seed.length !== KEY_BYTES) throw new Error(`The seed of a signing key is ${KEY_BYTES} bytes, not ${seed.length}`);
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_FRAME, seed]), format: 'der', type: 'pkcs8' });
  const key = createPublicKey(privateKey);
  const { x } = key.export({ format: 'jwk' });
  return { keyId, key, privateKey, publicKey: encodeBase64(Buffer.from(x!, 'base64url')) };
};

/** A verify key from its Base64 (either alphabet); `undefined` when that is no Ed25519 key or the key id names another algorithm. */
export const verifyKeyFromBase64 = (keyId: string, publicKey: string): VerifyKey | undefined => {
  const bytes = decodeBase64(publicKey);
  if (!keyId.startsWith('ed25519:') || bytes?.length !== KEY_BYTES) return undefined;
  return { keyId, key: createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: bytes.toString('base64url') }, format: 'jwk' }) };
};

/** The signature of a text in unpadded Base64. */
export const signText = (text: string, key: SigningKey): string => encodeBase64(sign(null, Buffer.from(text, 'utf8'), key.privateKey));

/** Whether the signature, in Base64, is this key's for this text. */
export const verifyText = (text: string, signature: string, key: VerifyKey): boolean => {
  const bytes = decodeBase64(signature);
  return bytes?.length === 64 && verify(null, Buffer.from(text, 'utf8'), key.key, bytes);
};

/** The canonical JSON of an object without `signatures` and `unsigned`, which no signature covers. */
export const signableText = (object: JsonObject): string =>
  joinMembers(canonicalMembers(object).filter(({ key }) => key !== 'signatures' && key !== 'unsigned'));

/** All signatures of an object with one more. */
const withSignature = (object: JsonObject, serverName: string, keyId: string, signature: string): JsonObject => {
  const all = isJsonObject(object.signatures) ? object.signatures : {};
  const own = member(all, serverName);
  return { ...all, [serverName]: { ...(isJsonObject(own) ? own : {}), [keyId]: signature } };
};

/** The object with this server's signature beside those that it has (appendices, Signing JSON). */
export const signJson = <Signed extends JsonObject>(object: Signed, serverName: string, key: SigningKey): Signed => ({
  ...object,
  signatures: withSignature(object, serverName, key.keyId, signText(signableText(object), key)),
});

/** The event with this server's signature (server-server API, Signing Events). `hashes` must be in place. */
export const signEvent = <Event extends Hashable>(event: Event, serverName: string, key: SigningKey, version: RoomVersion): Event => ({
  ...event,
  signatures: withSignature(event, serverName, key.keyId, signText(signedText(event, version), key)),
});

/**
 * What came of looking for a server's signature: `missing` when there is none of an algorithm that is understood, `unknown-key` when
 * none of its keys is at hand, `invalid` when one of those that are does not fit.
 */
export type SignatureCheck = 'valid' | 'missing' | 'unknown-key' | 'invalid';

/** Finds a key of the server in question that may be used for the object in question; `undefined` for an unknown or expired one. */
export type KeyLookup = (keyId: string) => VerifyKey | undefined;

/** The key ids of a server's Ed25519 signatures, without the policy server's, whose key is no server's (server-server API). */
export const signingKeyIds = (signatures: unknown, serverName: string): string[] => {
  const own = isJsonObject(signatures) ? member(signatures, serverName) : undefined;
  if (!isJsonObject(own)) return [];
  return Object.keys(own).filter((keyId) => keyId.startsWith('ed25519:') && keyId !== 'ed25519:policy_server');
};

/** Checks a server's signatures of a text. Every one whose key is at hand must fit, and at least one must. */
export const verifySignedText = (text: string, signatures: unknown, serverName: string, lookup: KeyLookup): SignatureCheck => {
  const keyIds = signingKeyIds(signatures, serverName);
  if (keyIds.length === 0) return 'missing';
  const own = (signatures as Signatures)[serverName]!;
  let known = 0;
  for (const keyId of keyIds) {
    const key = lookup(keyId);
    if (key === undefined) continue;
    const signature: unknown = own[keyId];
    if (typeof signature !== 'string' || !verifyText(text, signature, key)) return 'invalid';
    known += 1;
  }
  return known === 0 ? 'unknown-key' : 'valid';
};

/** Checks a server's signature of an object (appendices, Checking for a Signature). */
export const verifyJson = (object: JsonObject, serverName: string, lookup: KeyLookup): SignatureCheck =>
  verifySignedText(signableText(object), object.signatures, serverName, lookup);

/** Checks a server's signature of an event. A parsed event has its `signedText` at hand: `verifySignedText` then saves encoding it again. */
export const verifyEventSignature = (event: Hashable, serverName: string, lookup: KeyLookup, version: RoomVersion): SignatureCheck =>
  verifySignedText(signedText(event, version), event.signatures, serverName, lookup);

const isThirdPartyInvite = (event: Hashable): boolean =>
  event.type === 'm.room.member' && event.content.membership === 'invite' && event.content.third_party_invite !== undefined;

/**
 * The servers whose signatures an event must carry (server-server API, Validating hashes and signatures on received events): its sender's,
 * unless it is a third-party invite; in versions 1 and 2 that which gave it its id; and that of the user who authorises a restricted join. The
 * latter is asked for joins alone, as other servers do: clients copy the key into the events that follow.
 */
export const requiredSigners = (
  event: Hashable & { readonly sender: string; readonly event_id?: string },
  version: RoomVersion,
): string[] => {
  const servers = isThirdPartyInvite(event) ? [] : [domainOf(event.sender)];
  if (version.eventIds === 'given' && event.event_id !== undefined) servers.push(domainOf(event.event_id));
  const { membership, join_authorised_via_users_server: authoriser } = event.content;
  if (version.restricted && event.type === 'm.room.member' && membership === 'join' && typeof authoriser === 'string') {
    servers.push(domainOf(authoriser));
  }
  return [...new Set(servers.filter((server) => server !== undefined))];
};
