import { hash } from 'node:crypto';
import { decodeBase64 } from '#src/protocol/base64.ts';
import type { CanonicalMember, Numbers } from '#src/protocol/canonical-json.ts';
import { canonicalMember, canonicalMembers, joinMembers } from '#src/protocol/canonical-json.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { isJsonObject } from '#src/protocol/json.ts';
import { redactContent, redactMembers } from '#src/protocol/redaction.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';

/** What hashes, signatures and redaction need to know of an event. */
export type Hashable = JsonObject & { readonly type: string; readonly content: JsonObject };

/** Which numbers events of a room version may hold. */
export const numbersOf = ({ strictCanonicalJson }: RoomVersion): Numbers => (strictCanonicalJson ? 'integers' : 'any');

const NOT_CONTENT_HASHED: ReadonlySet<string> = new Set(['unsigned', 'signatures', 'hashes']);

/** 32 bytes are 43 letters of Base64 and one of padding. */
const sha256Base64 = (text: string): string => hash('sha256', text, 'base64').slice(0, 43);

/** The content hash of the event that has these canonical members. */
export const contentHashOf = (members: readonly CanonicalMember[]): string =>
  sha256Base64(joinMembers(members.filter(({ key }) => !NOT_CONTENT_HASHED.has(key))));

/** The content hash in unpadded Base64, as it stands under `hashes.sha256` (server-server API, Calculating the content hash). */
export const contentHash = (event: JsonObject, version: RoomVersion): string => contentHashOf(canonicalMembers(event, numbersOf(version)));

/** Whether `hashes.sha256` is this hash, however its Base64 is written. */
export const isContentHash = (claimed: unknown, expected: string): boolean => {
  if (claimed === expected) return true;
  const bytes = typeof claimed === 'string' ? decodeBase64(claimed) : undefined;
  return bytes !== undefined && bytes.equals(Buffer.from(expected, 'base64'));
};

/** Whether the event is whole: its content hash is the one that it carries. If not, only its redacted copy may be used. */
export const checkContentHash = (event: JsonObject, version: RoomVersion): boolean =>
  isContentHash(isJsonObject(event.hashes) ? event.hashes.sha256 : undefined, contentHash(event, version));

/** `signedText` for an event whose canonical members are at hand. */
export const signedTextOf = (members: readonly CanonicalMember[], event: Hashable, version: RoomVersion): string => {
  const content = canonicalMember('content', redactContent(event.type, event.content, version), numbersOf(version));
  return joinMembers(redactMembers(members, content, version).filter(({ key }) => key !== 'signatures'));
};

/**
 * The canonical JSON of the redacted event without `signatures` and `unsigned`: what servers sign, and of what the
 * reference hash is taken.
 */
export const signedText = (event: Hashable, version: RoomVersion): string =>
  signedTextOf(canonicalMembers(event, numbersOf(version)), event, version);

/** The reference hash in unpadded Base64 (server-server API, Calculating the reference hash). */
export const referenceHash = (event: Hashable, version: RoomVersion): string => sha256Base64(signedText(event, version));

/** The id of an event with this `signedText`: its own `event_id`, or made from its reference hash. */
export const eventIdOf = (event: JsonObject, text: string, version: RoomVersion): string => {
  if (version.eventIds === 'given') return event.event_id as string;
  return version.eventIds === 'base64' ? `$${sha256Base64(text)}` : `$${hash('sha256', text, 'base64url')}`;
};

/** The event's id (room versions, Event IDs). */
export const eventId = (event: Hashable, version: RoomVersion): string => eventIdOf(event, signedText(event, version), version);
