import type { CanonicalMember } from '#src/protocol/canonical-json.ts';
import { canonicalMember, canonicalMembers, joinMembers, withMember } from '#src/protocol/canonical-json.ts';
import { badJson, tooLarge } from '#src/protocol/errors.ts';
import { checkFormat, checkSize, isNamelessCreate, oversizedKey } from '#src/protocol/event-format.ts';
import { contentHashOf, eventIdOf, isContentHash, numbersOf, referenceHash, signedTextOf } from '#src/protocol/hashes.ts';
import { MAX_ID_BYTES, roomIdOfCreate } from '#src/protocol/identifiers.ts';
import type { JsonNumber, JsonObject, JsonValue } from '#src/protocol/json.ts';
import { isJsonObject, parseLosslessJson } from '#src/protocol/json.ts';
import { redact } from '#src/protocol/redaction.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import type { Signatures, SigningKey } from '#src/protocol/signatures.ts';
import { signText } from '#src/protocol/signatures.ts';

/**
 * The depth of our own events stays here once it has come so far. Versions 1 to 5 would let it grow to 2^63 − 1, but other servers refuse
 * events beyond 2^53 − 1 there, too.
 */
export const MAX_DEPTH = Number.MAX_SAFE_INTEGER;

/** How an event names another: by its id, or in versions 1 and 2 by its id and reference hash. */
export type EventReference = string | readonly [eventId: string, hashes: JsonObject];

/** An event as servers exchange it. It may have further keys, which its hashes cover. */
export type Pdu = {
  /** In versions 1 and 2 only; later an event's id follows from its content. */
  readonly event_id?: string;
  /** Absent from the create event of a version 12 room, whose id is made from the event's. */
  readonly room_id?: string;
  readonly type: string;
  /** Present on state events only. */
  readonly state_key?: string;
  readonly sender: string;
  readonly content: JsonObject;
  readonly origin_server_ts: JsonNumber;
  readonly prev_events: readonly EventReference[];
  readonly auth_events: readonly EventReference[];
  readonly depth: JsonNumber;
  readonly hashes: { readonly sha256: string };
  readonly signatures: Signatures;
  /** Of a redaction event before version 11, where it should be an event id; later it stands in `content`. */
  readonly redacts?: JsonValue;
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
  /** The event's id in versions where it is given (`eventIds: 'given'`): `$`, something unique, a colon and the sender's server. */
  readonly eventId?: string | undefined;
  /** The id of the event to redact; it is put where the room version wants it. */
  readonly redacts?: string | undefined;
  /** The sender's server and its key. */
  readonly serverName: string;
  readonly signingKey: SigningKey;
  /** Called before the work of hashing and signing; it may throw. */
  readonly authorise?: ((pdu: UnsignedPdu) => void) | undefined;
}

const unsignedPdu = (fields: NewPdu): UnsignedPdu => {
  const { roomVersion, redacts } = fields;
  const inContent = redacts !== undefined && roomVersion.redactsIn === 'content';
  return {
    auth_events: fields.authEvents,
    content: inContent ? { ...fields.content, redacts } : fields.content,
    depth: fields.depth,
    ...(fields.eventId === undefined ? {} : { event_id: fields.eventId }),
    origin_server_ts: fields.originServerTs,
    prev_events: fields.prevEvents,
    ...(redacts === undefined || inContent ? {} : { redacts }),
    ...(isNamelessCreate(fields.type, roomVersion) ? {} : { room_id: fields.roomId }),
    sender: fields.sender,
    ...(fields.stateKey === undefined ? {} : { state_key: fields.stateKey }),
    type: fields.type,
  };
};

/** References to events of the room, as its version writes them. */
export const referencesTo = (
  events: readonly { readonly eventId: string; readonly pdu: Pdu }[],
  version: RoomVersion,
): readonly EventReference[] =>
  events.map(({ eventId, pdu }) => (version.references === 'pairs' ? [eventId, { sha256: referenceHash(pdu, version) }] : eventId));

const roomIdFor = (pdu: UnsignedPdu, eventId: string, version: RoomVersion): string =>
  isNamelessCreate(pdu.type, version) ? roomIdOfCreate(eventId) : pdu.room_id!;

/**
 * An event without hashes and signatures, authorised: for its sender's server to complete (server-server API, `make_join` and its like).
 * Throws `tooLarge` for a key beyond the size limits.
 */
export const templatePdu = (fields: NewPdu): UnsignedPdu => {
  const unsigned = unsignedPdu(fields);
  const oversized = oversizedKey(unsigned);
  if (oversized !== undefined) throw tooLarge(`${oversized}: longer than ${MAX_ID_BYTES} bytes`);
  fields.authorise?.(unsigned);
  return unsigned;
};

/**
 * Hashes, signs and encodes an event, each value once. Throws `badJson` for content that has no canonical JSON and `tooLarge` for an event beyond the size limit.
 */
export const completePdu = (
  unsigned: UnsignedPdu,
  { roomVersion, serverName, signingKey }: Pick<NewPdu, 'roomVersion' | 'serverName' | 'signingKey'>,
): EncodedEvent => {
  const members = canonicalMembers(unsigned, numbersOf(roomVersion));
  const hashes = { sha256: contentHashOf(members) };
  const hashed = withMember(members, canonicalMember('hashes', hashes));
  const text = signedTextOf(hashed, unsigned, roomVersion);
  const signatures = { [serverName]: { [signingKey.keyId]: signText(text, signingKey) } };
  const json = joinMembers(withMember(hashed, canonicalMember('signatures', signatures)));
  checkSize(json);
  const eventId = eventIdOf(unsigned, text, roomVersion);
  return { eventId, roomId: roomIdFor(unsigned, eventId, roomVersion), pdu: { ...unsigned, hashes, signatures }, json };
};

/**
 * Makes an event: authorises it, hashes it, signs it and encodes it.
 * Throws `badJson` for content that has no canonical JSON and `tooLarge` for an event or key beyond the size limits.
 */
export const buildPdu = (fields: NewPdu): EncodedEvent => completePdu(templatePdu(fields), fields);

/** An event that came from elsewhere, in the right form, not checked further. */
export interface ParsedEvent extends EncodedEvent {
  /** What its signatures must fit. */
  readonly signedText: string;
  /** False when the content hash is another than the event says: then only `redactedCopy` may be used. */
  readonly contentHashMatches: boolean;
  /** Why the event must be rejected, though kept, for its form; see `RoomVersion.strictByteLimits`. */
  readonly rejection: string | undefined;
}

const encode = (pdu: Pdu, members: readonly CanonicalMember[], version: RoomVersion): EncodedEvent & { readonly signedText: string } => {
  const json = joinMembers(members);
  checkSize(json);
  const signedText = signedTextOf(members, pdu, version);
  const eventId = eventIdOf(pdu, signedText, version);
  return { eventId, roomId: roomIdFor(pdu, eventId, version), pdu, json, signedText };
};

/** What an event's text holds, numbers as the room version has them, without the keys that are no part of the event. */
const readEvent = (source: string | JsonObject, version: RoomVersion): JsonObject => {
  const parsed = typeof source === 'string' ? parseLosslessJson(source) : source;
  if (!isJsonObject(parsed)) throw badJson('An event must be an object');
  const { unsigned, ...event } = parsed;
  if (unsigned !== undefined && !isJsonObject(unsigned)) throw badJson('unsigned: not an object');
  if (version.eventIds === 'given' || event.event_id === undefined) return event;
  const { event_id: _sentAlong, ...rest } = event;
  return rest;
};

/**
 * Reads an event from another server, as JSON text or as `parseLosslessJson` gives it. `unsigned` is dropped, and `event_id` where ids are
 * hashes. Throws `badJson` or `notJson` for an event that does not have the form of its room version and `tooLarge` for one beyond 65,536 bytes.
 */
export const parsePdu = (source: string | JsonObject, version: RoomVersion): ParsedEvent => {
  const event = readEvent(source, version);
  checkFormat(event, version);
  const members = canonicalMembers(event, numbersOf(version));
  const pdu = event as unknown as Pdu;
  const oversized = version.strictByteLimits ? undefined : oversizedKey(event);
  return {
    ...encode(pdu, members, version),
    contentHashMatches: isContentHash(pdu.hashes.sha256, contentHashOf(members)),
    rejection: oversized === undefined ? undefined : `${oversized}: longer than ${MAX_ID_BYTES} bytes`,
  };
};

/** The event of a text that this server has stored: nothing is checked again. */
export const parseStoredPdu = (json: string): Pdu => parseLosslessJson(json) as unknown as Pdu;

/** The redacted form of an event, with the same id: what may be used of one whose content hash does not match, and what redactions leave. */
export const redactedCopy = (event: RoomEvent, version: RoomVersion): EncodedEvent => {
  const pdu = redact(event.pdu, version);
  return { eventId: event.eventId, roomId: event.roomId, pdu, json: joinMembers(canonicalMembers(pdu, numbersOf(version))) };
};
