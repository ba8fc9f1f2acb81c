import fc from 'fast-check';
import { type ParsedEvent, parsePdu } from '#src/protocol/events.ts';
import type { JsonObject, JsonValue } from '#src/protocol/json.ts';
import { isExactNumber, isJsonObject } from '#src/protocol/json.ts';
import { roomVersion, type RoomVersion } from '#src/protocol/room-versions.ts';

export const VERSIONS = [
  '1',
  '2',
  '3',
  '4',
  '5',
  '6',
  '7',
  '8',
  '9',
  '10',
  '11',
  '12',
  'org.matrix.msc3757.10',
  'org.matrix.msc3757.11',
  'org.matrix.hydra.11',
] as const;

export const [ALICE, BOB, CAROL, DAVE] = ['@alice:one', '@bob:two', '@carol:two', '@dave:three'] as const;
export const USERS = [ALICE, BOB, CAROL, DAVE] as const;

/** What an event of a made-up room consists of; the rest follows from the room version. */
export interface EventFields {
  readonly roomId: string;
  readonly type: string;
  readonly stateKey?: string | undefined;
  readonly sender: string;
  readonly content: JsonObject;
  readonly prevEvents: readonly string[];
  readonly authEvents: readonly string[];
  readonly ts: number;
  readonly depth: number;
  /** Makes the event's id where it is given; one name, one event. */
  readonly name: string;
  readonly redacts?: JsonValue | undefined;
}

/** The value without numbers that strict canonical JSON lacks. */
const strict = (value: JsonValue): JsonValue => {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : 7;
  if (isExactNumber(value)) return 7;
  if (Array.isArray(value)) return (value as readonly JsonValue[]).map(strict);
  return isJsonObject(value) ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, strict(item)])) : value;
};

/** The value as events of the room version may hold it. */
export const fit = <Value extends JsonValue>(value: Value, version: RoomVersion): Value =>
  version.strictCanonicalJson ? (strict(value) as Value) : value;

/** The event's text. Its hash and signatures are empty: nothing that is tested with it looks at them. */
export const eventText = (fields: EventFields, version: RoomVersion): string => {
  const references = (ids: readonly string[]) => (version.references === 'pairs' ? ids.map((id) => [id, { sha256: 'x' }]) : ids);
  const isNameless = version.roomIds === 'create-event' && fields.type === 'm.room.create';
  return JSON.stringify({
    auth_events: references(fields.authEvents),
    content: fit(fields.content, version),
    depth: fields.depth,
    ...(version.eventIds === 'given' ? { event_id: `$${fields.name}:${fields.sender.slice(fields.sender.indexOf(':') + 1)}` } : {}),
    hashes: { sha256: 'eA' },
    origin_server_ts: fields.ts,
    prev_events: references(fields.prevEvents),
    ...(fields.redacts === undefined ? {} : { redacts: fit(fields.redacts, version) }),
    ...(isNameless ? {} : { room_id: fields.roomId }),
    sender: fields.sender,
    signatures: {},
    ...(fields.stateKey === undefined ? {} : { state_key: fields.stateKey }),
    type: fields.type,
  });
};

export const makeEvent = (fields: EventFields, version: RoomVersion): ParsedEvent => parsePdu(eventText(fields, version), version);

export const anyVersion: fc.Arbitrary<RoomVersion> = fc.constantFrom(...VERSIONS).map(roomVersion);

/** Numbers that are hard on JSON. */
export const hardNumber: fc.Arbitrary<JsonValue> = fc.oneof(
  fc.constantFrom(0, 1, -1, 2 ** 53 - 1, -(2 ** 53) + 1, 1.5, -0.25, 1e-7, 1.1e-5, 0.0001, 123456.789),
  fc
    .constantFrom('9007199254740992', '-9007199254740993', '1.0', '-0.0', '1e+16', '1e+22', '1234567890123456.0', `1${'0'.repeat(40)}`)
    .map((text): JsonValue => JSON.rawJSON(text)),
  fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Number.isInteger(value)),
);

/** Texts that are hard on canonical JSON and on maps; none has a lone surrogate, which is no JSON to either side. */
export const hardText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    '',
    '__proto__',
    'constructor',
    'toString',
    '\u0000',
    '\u007f',
    '\u2028',
    '\ud83d\ude00',
    '\uffff',
    '"\\/',
    'é',
    'e\u0301',
  ),
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.string({ maxLength: 6 }),
);

export const hardJson: fc.Arbitrary<JsonValue> = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    hardText as fc.Arbitrary<JsonValue>,
    hardNumber,
    fc.constantFrom<JsonValue>(null, true, false),
    fc.array(tie('value'), { maxLength: 3 }) as fc.Arbitrary<JsonValue>,
    fc.array(fc.tuple(hardText, tie('value')), { maxLength: 4 }).map((entries): JsonValue => Object.fromEntries(entries)),
  ),
})).value;

/** Power levels: mostly plain, sometimes as old rooms have them, sometimes nonsense. */
export const anyLevel: fc.Arbitrary<JsonValue> = fc.oneof(
  { weight: 30, arbitrary: fc.constantFrom<JsonValue>(0, 50, 100, -1, 1, 49, 51, 99, 101, 2 ** 53 - 1) },
  { weight: 2, arbitrary: fc.constantFrom<JsonValue>('50', ' 50 ', '+100', '-5', '007', '9007199254740993', '\u00a099\u2003') },
  { weight: 1, arbitrary: fc.constantFrom<JsonValue>(1.5, -0.5, 99.9).map((value): JsonValue => value) },
  { weight: 1, arbitrary: fc.constantFrom('50.0', '9007199254740993', '1e+30', '-0.0').map((text): JsonValue => JSON.rawJSON(text)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<JsonValue>(null, true, '', 'x', '1.5', '1e2', '0x10', '5_0', '\u0665\u0660', [], {}, 'Infinity'),
  },
);

const levelMap = (keys: readonly string[]): fc.Arbitrary<JsonValue> =>
  fc.oneof(
    { weight: 12, arbitrary: fc.dictionary(fc.constantFrom(...keys), anyLevel, { maxKeys: 3 }) as fc.Arbitrary<JsonValue> },
    { weight: 1, arbitrary: fc.constantFrom<JsonValue>([], 'x', null, 5) },
  );

export const powerLevelsContent: fc.Arbitrary<JsonObject> = fc.record(
  {
    users: levelMap([...USERS, ALICE, BOB, '@x', '@:one', '@e:no server']),
    events: levelMap(['m.room.power_levels', 'm.room.topic', 'm.room.message', 'm.room.member', '__proto__']),
    notifications: levelMap(['room', 'other']),
    users_default: anyLevel,
    events_default: anyLevel,
    state_default: anyLevel,
    ban: anyLevel,
    kick: anyLevel,
    redact: anyLevel,
    invite: anyLevel,
  },
  { requiredKeys: [] },
);
