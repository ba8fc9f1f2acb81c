import type { CanonicalMember } from '#src/protocol/canonical-json.ts';
import { canonicalMember, canonicalMembers, joinMembers, withMember } from '#src/protocol/canonical-json.ts';
import { badJson, tooLarge } from '#src/protocol/errors.ts';
import { contentHashOf, eventIdOf, isContentHash, signedTextOf } from '#src/protocol/hashes.ts';
import { byteLength, isRoomId, isUserId, MAX_ID_BYTES, roomIdOfCreate } from '#src/protocol/identifiers.ts';
import type { JsonObject, JsonValue } from '#src/protocol/json.ts';
import { isJsonObject, parseStrictJson } from '#src/protocol/json.ts';
import { redact } from '#src/protocol/redaction.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import type { Signatures, SigningKey } from '#src/protocol/signatures.ts';
import { signText } from '#src/protocol/signatures.ts';

/** The largest event, as canonical JSON with its signatures. */
export const MAX_PDU_BYTES = 65_536;
export const MAX_PREV_EVENTS = 20;
export const MAX_AUTH_EVENTS = 10;
/** `depth` stays here once it has come so far. */
export const MAX_DEPTH = Number.MAX_SAFE_INTEGER;

/** How an event names another: by its id, or in versions 1 and 2 by its id and reference hash. */
export type EventReference = string | readonly [eventId: string, hashes: { readonly sha256: string }];

/** An event as servers exchange it. It may have further keys, which its hashes cover. */
export type Pdu = {
  /** Absent from the create event of a version 12 room, whose id is made from the event's. */
  readonly room_id?: string;
  readonly type: string;
  /** Present on state events only. */
  readonly state_key?: string;
  readonly sender: string;
  readonly content: JsonObject;
  readonly origin_server_ts: number;
  readonly prev_events: readonly EventReference[];
  readonly auth_events: readonly EventReference[];
  readonly depth: number;
  readonly hashes: { readonly sha256: string };
  readonly signatures: Signatures;
  /** Of a redaction event before version 11; later it stands in `content`. */
  readonly redacts?: string;
};

/** An event with the ids that follow from it. */
export interface RoomEvent {
  readonly eventId: string;
  readonly roomId: string;
  readonly pdu: Pdu;
}

/** An event with its canonical text, hashes and signatures and all but `unsigned`: what is stored and sent. */
export interface EncodedEvent extends RoomEvent {
  readonly json: string;
}

/** The ids that references name. All references of a list have one form; plain ids are answered as they are. */
const idsOf = (references: readonly EventReference[]): readonly string[] =>
  references.length === 0 || typeof references[0] === 'string'
    ? (references as readonly string[])
    : (references as readonly (readonly [string, unknown])[]).map(([eventId]) => eventId);

/** The ids of the events that an event follows. */
export const prevEventIds = ({ prev_events: references }: Pick<Pdu, 'prev_events'>): readonly string[] => idsOf(references);

/** The ids of an event's `auth_events`, as it names them; see also `authorisingEventIds` of state resolution. */
export const authEventIds = ({ auth_events: references }: Pick<Pdu, 'auth_events'>): readonly string[] => idsOf(references);

/** What authorisation looks at in an event; it has no hashes and signatures yet when it is made here. */
export type UnsignedPdu = Omit<Pdu, 'hashes' | 'signatures'>;

/** What has to be known of an event before it is hashed and signed. */
export interface NewPdu {
  readonly roomVersion: RoomVersion;
  /** Not looked at for the create event of a version 12 room, which has none. */
  readonly roomId: string;
  readonly type: string;
  readonly stateKey?: string | undefined;
  readonly sender: string;
  readonly content: JsonObject;
  readonly originServerTs: number;
  readonly prevEvents: readonly EventReference[];
  readonly authEvents: readonly EventReference[];
  readonly depth: number;
  /** The id of the event to redact; it is put where the room version wants it. */
  readonly redacts?: string | undefined;
  /** The sender's server and its key. */
  readonly serverName: string;
  readonly signingKey: SigningKey;
  /** Called before the work of hashing and signing; it may throw. */
  readonly authorise?: ((pdu: UnsignedPdu) => void) | undefined;
}

const isInteger = (value: unknown): value is number => Number.isSafeInteger(value);

const isStrings = (value: unknown): value is readonly string[] => Array.isArray(value) && value.every((item) => typeof item === 'string');

const codePoints = (text: string): number => {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
};

/** The first of the keys with a limit of their own whose value is longer than it by this measure. */
const oversizedKey = (event: JsonObject, measure: (text: string) => number): string | undefined =>
  ['sender', 'room_id', 'type', 'state_key'].find((key) => {
    const value = event[key];
    return typeof value === 'string' && value.length * 3 > MAX_ID_BYTES && measure(value) > MAX_ID_BYTES;
  });

const isNamelessCreate = (type: string, version: RoomVersion): boolean => type === 'm.room.create' && version.roomIds === 'create-event';

const unsignedPdu = (fields: NewPdu): UnsignedPdu => {
  const { roomVersion, redacts } = fields;
  const inContent = redacts !== undefined && roomVersion.redactsIn === 'content';
  return {
    auth_events: fields.authEvents,
    content: inContent ? { ...fields.content, redacts } : fields.content,
    depth: fields.depth,
    origin_server_ts: fields.originServerTs,
    prev_events: fields.prevEvents,
    ...(redacts === undefined || inContent ? {} : { redacts }),
    ...(isNamelessCreate(fields.type, roomVersion) ? {} : { room_id: fields.roomId }),
    sender: fields.sender,
    ...(fields.stateKey === undefined ? {} : { state_key: fields.stateKey }),
    type: fields.type,
  };
};

const checkSize = (json: string): void => {
  // A text of this many UTF-16 units cannot be too large in UTF-8.
  if (json.length * 3 <= MAX_PDU_BYTES || byteLength(json) <= MAX_PDU_BYTES) return;
  throw tooLarge(`The event is larger than ${MAX_PDU_BYTES} bytes`);
};

const roomIdFor = (pdu: UnsignedPdu, eventId: string, version: RoomVersion): string =>
  isNamelessCreate(pdu.type, version) ? roomIdOfCreate(eventId) : pdu.room_id!;

/**
 * Makes an event: authorises it, hashes it, signs it and encodes it, each value once.
 * Throws `badJson` for content that has no canonical JSON and `tooLarge` for an event or key beyond the size limits.
 */
export const buildPdu = (fields: NewPdu): EncodedEvent => {
  const { roomVersion, signingKey } = fields;
  const unsigned = unsignedPdu(fields);
  const oversized = oversizedKey(unsigned, byteLength);
  if (oversized !== undefined) throw tooLarge(`${oversized}: longer than ${MAX_ID_BYTES} bytes`);
  fields.authorise?.(unsigned);
  const members = canonicalMembers(unsigned);
  const hashes = { sha256: contentHashOf(members) };
  const hashed = withMember(members, canonicalMember('hashes', hashes));
  const text = signedTextOf(hashed, unsigned, roomVersion);
  const signatures = { [fields.serverName]: { [signingKey.keyId]: signText(text, signingKey) } };
  const json = joinMembers(withMember(hashed, canonicalMember('signatures', signatures)));
  checkSize(json);
  const eventId = eventIdOf(text, roomVersion);
  return { eventId, roomId: roomIdFor(unsigned, eventId, roomVersion), pdu: { ...unsigned, hashes, signatures }, json };
};

/** An event that came from elsewhere, in the right form, not checked further. */
export interface ParsedEvent extends EncodedEvent {
  /** What its signatures must fit. */
  readonly signedText: string;
  /** False when the content hash is another than the event says: then only `redactedCopy` may be used. */
  readonly contentHashMatches: boolean;
  /** Why the event must be rejected, though kept, for its form; see `RoomVersion.strictByteLimits`. */
  readonly rejection: string | undefined;
}

type FormatCheck = readonly [key: string, fits: (value: JsonValue | undefined) => boolean, expected: string];

const isOptionalString = (value: JsonValue | undefined): boolean => value === undefined || typeof value === 'string';

const FORMAT: readonly FormatCheck[] = [
  ['type', (value) => typeof value === 'string', 'a string'],
  ['sender', isUserId, 'a user id'],
  ['room_id', (value) => value === undefined || isRoomId(value), 'a room id'],
  ['state_key', isOptionalString, 'a string'],
  ['redacts', isOptionalString, 'a string'],
  ['content', isJsonObject, 'an object'],
  ['origin_server_ts', isInteger, 'an integer'],
  ['depth', (value) => isInteger(value) && value >= 0, 'an integer from 0 to (2^53)-1'],
  ['prev_events', (value) => isStrings(value) && value.length <= MAX_PREV_EVENTS, `at most ${MAX_PREV_EVENTS} event ids`],
  ['auth_events', (value) => isStrings(value) && value.length <= MAX_AUTH_EVENTS, `at most ${MAX_AUTH_EVENTS} event ids`],
  ['hashes', (value) => isJsonObject(value) && typeof value.sha256 === 'string', 'an object with a sha256'],
  ['signatures', (value) => isJsonObject(value) && Object.values(value).every(isJsonObject), 'an object of objects'],
];

/** Checks the event's form as `parsePdu` says. */
const checkFormat = (event: JsonObject, version: RoomVersion): void => {
  for (const [key, fits, expected] of FORMAT) if (!fits(event[key])) throw badJson(`${key}: not ${expected}`);
  if (event.room_id === undefined && !isNamelessCreate(event.type as string, version)) throw badJson('room_id: missing');
  const oversized = oversizedKey(event, version.strictByteLimits ? byteLength : codePoints);
  if (oversized !== undefined) throw badJson(`${oversized}: longer than ${MAX_ID_BYTES}`);
};

const encode = (pdu: Pdu, members: readonly CanonicalMember[], version: RoomVersion): EncodedEvent & { readonly signedText: string } => {
  const json = joinMembers(members);
  checkSize(json);
  const signedText = signedTextOf(members, pdu, version);
  const eventId = eventIdOf(signedText, version);
  return { eventId, roomId: roomIdFor(pdu, eventId, version), pdu, json, signedText };
};

/**
 * Reads an event from another server or from storage, as JSON text or parsed, in the event format of a version with plain ids
 * (`references: 'ids'`). `unsigned` is dropped. Throws `badJson` or `notJson` for an event that does not have the form of its room version and
 * `tooLarge` for one beyond 65,536 bytes.
 */
export const parsePdu = (source: string | JsonObject, version: RoomVersion): ParsedEvent => {
  const parsed = typeof source === 'string' ? parseStrictJson(source) : source;
  if (!isJsonObject(parsed)) throw badJson('An event must be an object');
  const { unsigned, ...event } = parsed;
  if (unsigned !== undefined && !isJsonObject(unsigned)) throw badJson('unsigned: not an object');
  checkFormat(event, version);
  const members = canonicalMembers(event);
  const pdu = event as unknown as Pdu;
  const oversized = version.strictByteLimits ? undefined : oversizedKey(event, byteLength);
  return {
    ...encode(pdu, members, version),
    contentHashMatches: isContentHash(pdu.hashes.sha256, contentHashOf(members)),
    rejection: oversized === undefined ? undefined : `${oversized}: longer than ${MAX_ID_BYTES} bytes`,
  };
};

/** The event of a text that this server has stored: nothing is checked again. */
export const parseStoredPdu = (json: string): Pdu => JSON.parse(json) as Pdu;

/** The redacted form of an event, with the same id: what may be used of one whose content hash does not match, and what redactions leave. */
export const redactedCopy = (event: RoomEvent, version: RoomVersion): EncodedEvent => {
  const pdu = redact(event.pdu, version);
  return { eventId: event.eventId, roomId: event.roomId, pdu, json: joinMembers(canonicalMembers(pdu)) };
};
