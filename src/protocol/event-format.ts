import { badJson, tooLarge } from '#src/protocol/errors.ts';
import { byteLength, isGivenEventId, isRoomId, isUserId, MAX_ID_BYTES } from '#src/protocol/identifiers.ts';
import type { JsonObject, JsonValue } from '#src/protocol/json.ts';
import { exactInteger, isJsonObject } from '#src/protocol/json.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';

/** The largest event, as canonical JSON with its signatures. */
export const MAX_PDU_BYTES = 65_536;
export const MAX_PREV_EVENTS = 20;
export const MAX_AUTH_EVENTS = 10;

/** The largest integer of an event of versions 1 to 5. */
const MAX_OLD_INTEGER = 2n ** 63n - 1n;

const codePoints = (text: string): number => {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
};

/** The first of the keys with a limit of their own whose value is longer than it by this measure. */
const oversizedBy = (event: JsonObject, measure: (text: string) => number): string | undefined =>
  ['sender', 'room_id', 'event_id', 'type', 'state_key'].find((key) => {
    const value = event[key];
    return typeof value === 'string' && value.length * 3 > MAX_ID_BYTES && measure(value) > MAX_ID_BYTES;
  });

/** The first key whose value is longer than 255 bytes. */
export const oversizedKey = (event: JsonObject): string | undefined => oversizedBy(event, byteLength);

/** Whether the event is a create event that has no `room_id`, because the room's id is made from its own. */
export const isNamelessCreate = (type: string, version: RoomVersion): boolean =>
  type === 'm.room.create' && version.roomIds === 'create-event';

/** Throws `tooLarge` when an event's canonical JSON has more than 65,536 bytes. */
export const checkSize = (json: string): void => {
  // A text of this many UTF-16 units cannot be too large in UTF-8.
  if (json.length * 3 <= MAX_PDU_BYTES || byteLength(json) <= MAX_PDU_BYTES) return;
  throw tooLarge(`The event is larger than ${MAX_PDU_BYTES} bytes`);
};

type Value = JsonValue | undefined;

type FormatCheck = readonly [key: string, fits: (value: Value, version: RoomVersion) => boolean, expected: string];

const isOptionalString = (value: Value): boolean => value === undefined || typeof value === 'string';

/** An integer within ±(2^53 − 1), or before version 6 within ±(2^63 − 1). */
const isEventInteger = (value: Value, { strictCanonicalJson }: RoomVersion): boolean => {
  if (typeof value === 'number') return Number.isSafeInteger(value);
  const integer = strictCanonicalJson ? undefined : exactInteger(value);
  return integer !== undefined && integer <= MAX_OLD_INTEGER && integer >= -MAX_OLD_INTEGER;
};

const isNegative = (value: Value): boolean => (exactInteger(value) ?? 0n) < 0n;

const isPair = (value: JsonValue): boolean =>
  Array.isArray(value) && value.length === 2 && typeof value[0] === 'string' && isJsonObject(value[1]);

const isListOfReferences = (value: Value, { references }: RoomVersion, limit: number): boolean =>
  Array.isArray(value) &&
  value.length <= limit &&
  (value as readonly JsonValue[]).every((item) => (references === 'pairs' ? isPair(item) : typeof item === 'string'));

const FORMAT: readonly FormatCheck[] = [
  ['event_id', (value, version) => version.eventIds !== 'given' || isGivenEventId(value), 'an event id with a server name'],
  ['type', (value) => typeof value === 'string', 'a string'],
  ['sender', isUserId, 'a user id'],
  ['room_id', (value) => value === undefined || isRoomId(value), 'a room id'],
  ['state_key', isOptionalString, 'a string'],
  ['content', isJsonObject, 'an object'],
  ['origin_server_ts', isEventInteger, 'an integer'],
  ['depth', (value, version) => isEventInteger(value, version) && !isNegative(value), 'an integer from 0 to the largest'],
  ['prev_events', (value, version) => isListOfReferences(value, version, MAX_PREV_EVENTS), `at most ${MAX_PREV_EVENTS} references`],
  ['auth_events', (value, version) => isListOfReferences(value, version, MAX_AUTH_EVENTS), `at most ${MAX_AUTH_EVENTS} references`],
  ['hashes', (value) => isJsonObject(value) && typeof value.sha256 === 'string', 'an object with a sha256'],
  ['signatures', (value) => isJsonObject(value) && Object.values(value).every(isJsonObject), 'an object of objects'],
];

/** Throws `badJson`, with the key's name first, for an event from elsewhere that does not have the form of its room version. */
export const checkFormat = (event: JsonObject, version: RoomVersion): void => {
  for (const [key, fits, expected] of FORMAT) if (!fits(event[key], version)) throw badJson(`${key}: not ${expected}`);
  if (event.room_id === undefined && !isNamelessCreate(event.type as string, version)) throw badJson('room_id: missing');
  const oversized = oversizedBy(event, version.strictByteLimits ? byteLength : codePoints);
  if (oversized !== undefined) throw badJson(`${oversized}: longer than ${MAX_ID_BYTES}`);
};
