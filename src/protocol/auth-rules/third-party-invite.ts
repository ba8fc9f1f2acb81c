import type { JsonObject, JsonValue } from '#src/protocol/json.ts';
import { isJsonObject } from '#src/protocol/json.ts';
import { signableText, verifyKeyFromBase64, verifyText } from '#src/protocol/signatures.ts';
import type { Rule, Verdict } from '#src/protocol/auth-rules/check.ts';
import { ALLOWED, rejected } from '#src/protocol/auth-rules/check.ts';
import type { MemberCheck } from '#src/protocol/auth-rules/member.ts';

/** A check costs 0.1 ms and anybody may list many keys and signatures; a real invite has one signature and two keys. */
const MAX_SIGNATURE_CHECKS = 100;

/** The public keys that an `m.room.third_party_invite` lists, alone and as a list. */
const publicKeysOf = (content: JsonObject): string[] => {
  const listed: readonly JsonValue[] = Array.isArray(content.public_keys) ? content.public_keys : [];
  return [content.public_key, ...listed.map((item) => (isJsonObject(item) ? item.public_key : undefined))].filter(
    (key) => typeof key === 'string',
  );
};

/** All signatures of `signed`, whoever gave them, as key id and Base64. */
const signaturesOf = (signed: JsonObject): [keyId: string, signature: string][] =>
  Object.values(isJsonObject(signed.signatures) ? signed.signatures : {})
    .filter(isJsonObject)
    .flatMap((own) => Object.entries(own))
    .filter((entry): entry is [string, string] => typeof entry[1] === 'string');

/** Rule 5.4.1.7: whether any signature is by any of the keys. */
const isSignedByAny = (signed: JsonObject, publicKeys: readonly string[]): boolean => {
  const text = signableText(signed);
  let checks = 0;
  for (const [keyId, signature] of signaturesOf(signed)) {
    for (const publicKey of publicKeys) {
      checks += 1;
      if (checks > MAX_SIGNATURE_CHECKS) return false;
      const key = verifyKeyFromBase64(keyId, publicKey);
      if (key !== undefined && verifyText(text, signature, key)) return true;
    }
  }
  return false;
};

/** Rule 5.4.1: an invite that redeems a third-party invite. It always decides. At most 100 pairs of signature and key are tried. */
export const checkThirdPartyInvite = (check: MemberCheck): Verdict => {
  const { pdu, target, state } = check;
  if (check.membership(target) === 'ban') return rejected('5.4.1.1', `${target} is banned from the room`);
  const invite = pdu.content.third_party_invite;
  const signed = isJsonObject(invite) ? invite.signed : undefined;
  if (!isJsonObject(signed)) return rejected('5.4.1.2', 'The third-party invite is not signed');
  const { mxid, token } = signed;
  if (typeof mxid !== 'string' || typeof token !== 'string') return rejected('5.4.1.3', 'The third-party invite has no mxid or token');
  if (mxid !== target) return rejected('5.4.1.4', 'The third-party invite is for another user');
  const issued = state('m.room.third_party_invite', token);
  if (issued === undefined) return rejected('5.4.1.5', 'There is no such third-party invite in the room');
  if (issued.pdu.sender !== pdu.sender) return rejected('5.4.1.6', 'The third-party invite is by another user');
  return isSignedByAny(signed, publicKeysOf(issued.pdu.content))
    ? ALLOWED
    : rejected('5.4.1.8', 'No key of the third-party invite has signed it');
};

/** Rule 7: `m.room.third_party_invite`, for which the invite level is all it takes. */
export const checkIssuingThirdPartyInvite: Rule = ({ pdu, levels }) =>
  levels.userLevel(pdu.sender) >= levels.level('invite') ? ALLOWED : rejected('7.1', 'You do not have permission to invite users');
