import { hash } from 'node:crypto';
import { decodeBase64 } from '#src/protocol/base64.ts';
import type { CanonicalMember } from '#src/protocol/canonical-json.ts';
import { canonicalMember, canonicalMembers, joinMembers } from '#src/protocol/canonical-json.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { isJsonObject } from '#src/protocol/json.ts';
import { redactContent, redactMembers } from '#src/protocol/redaction.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';

/** What hashes, signatures and redaction need to know of an event. */
export type Hashable = JsonObject & { readonly type: string; readonly content: JsonObject };

const NOT_CONTENT_HASHED: ReadonlySet<string> = new Set(['unsigned', 'signatures', 'hashes']);

/** 32 bytes are 43 letters of Base64 and one of padding. */
const sha256Base64 = (text: string): string => hash('sha256', text, 'base64').slice(0, 43);

/** The content hash of the event that has these canonical members. */
export const contentHashOf = (members: readonly CanonicalMember[]): string =>
  sha256Base64(joinMembers(members.filter(({ key }) => !NOT_CONTENT_HASHED.has(key))));

/** The content hash in unpadded Base64, as it stands under `hashes.sha256` (server-server API, Calculating the content hash). */
export const contentHash = (event: JsonObject): string => contentHashOf(canonicalMembers(event));

/** Whether `hashes.sha256` is this hash, however its Base64 is written. */
export const isContentHash = (claimed: unknown, expected: string): boolean => {
  if (claimed === expected) return true;
  const bytes = typeof claimed === 'string' ? decodeBase64(claimed) : undefined;
  return bytes !== undefined && bytes.equals(Buffer.from(expected, 'base64'));
};

/** Whether the event is whole: its content hash is the one that it carries. If not, only its redacted copy may be used. */
export const checkContentHash = (event: JsonObject): boolean =>
  isContentHash(isJsonObject(event.hashes) ? event.hashes.sha256 : undefined, contentHash(event));

/** `signedText` for an event whose canonical members are at hand. */
export const signedTextOf = (members: readonly CanonicalMember[], event: Hashable, version: RoomVersion): string => {
  const content = canonicalMember('content', redactContent(event.type, event.content, version));
  return joinMembers(redactMembers(members, content, version).filter(({ key }) => key !== 'signatures'));
};

/**
 * The canonical JSON of the redacted event without `signatures` and `unsigned`: what servers sign, and of what the
 * reference hash is taken.
 */
export const signedText = (event: Hashable, version: RoomVersion): string => signedTextOf(canonicalMembers(event), event, version);

/** The id of the event that has this `signedText`, in versions where the id is the reference hash. */
export const eventIdOf = (text: string, version: RoomVersion): string => {
  if (version.eventIds === 'given') throw new Error(`Event ids of room version ${version.id} are not hashes`);
  return version.eventIds === 'base64' ? `$${sha256Base64(text)}` : `$${hash('sha256', text, 'base64url')}`;
};

/** The event's id (server-server API, Calculating the reference hash). */
export const eventId = (event: Hashable, version: RoomVersion): string => eventIdOf(signedText(event, version), version);
