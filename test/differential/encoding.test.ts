// Canonical JSON, hashes, event ids, signatures, redaction and the form of events: the same bytes as real Synapse.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { canonicalJson } from '#src/protocol/canonical-json.ts';
import { MatrixError } from '#src/protocol/errors.ts';
import { isNamelessCreate } from '#src/protocol/event-format.ts';
import { parsePdu, redactedCopy } from '#src/protocol/events.ts';
import { contentHash, type Hashable, numbersOf, referenceHash } from '#src/protocol/hashes.ts';
import { isRoomId, isUserId } from '#src/protocol/identifiers.ts';
import { isJsonObject, type JsonObject, type JsonValue, parseLosslessJson } from '#src/protocol/json.ts';
import { redact } from '#src/protocol/redaction.ts';
import { roomVersion, type RoomVersion } from '#src/protocol/room-versions.ts';
import { signEvent, signingKeyFromSeed } from '#src/protocol/signatures.ts';
import { type Difference, expectAgreement, runs } from './differences.ts';
import { ALICE, anyVersion, BOB, fit, hardJson, hardNumber, hardText, powerLevelsContent } from './events.ts';
import { type Attempt, startSynapse, type Synapse, WITHOUT_SYNAPSE } from './synapse.ts';

const SEED = 'YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1';
const KEY = signingKeyFromSeed('ed25519:1', Buffer.from(SEED, 'base64'));

const TYPES = ['create', 'member', 'join_rules', 'power_levels', 'history_visibility', 'aliases', 'redaction', 'message', 'topic'].map(
  (name) => `m.room.${name}`,
);

/** All that any version's redaction keeps of a content, and what lies near it. */
const CONTENT_KEYS = [
  'membership',
  'join_authorised_via_users_server',
  'third_party_invite',
  'creator',
  'join_rule',
  'allow',
  'history_visibility',
  'aliases',
  'redacts',
  'invite',
  'users',
  'body',
  'Membership',
];

const content: fc.Arbitrary<JsonObject> = fc.oneof(
  fc.dictionary(fc.oneof(fc.constantFrom(...CONTENT_KEYS), hardText), hardJson, { maxKeys: 5 }) as fc.Arbitrary<JsonObject>,
  fc.record(
    { third_party_invite: fc.dictionary(fc.constantFrom('signed', 'display_name'), hardJson), membership: fc.constant('invite') },
    { requiredKeys: [] },
  ) as fc.Arbitrary<JsonObject>,
  powerLevelsContent,
);

/** An event as it comes, its well-formed keys and some that do not belong there. */
const wholeEvent = (version: RoomVersion): fc.Arbitrary<JsonObject> =>
  fc
    .tuple(
      fc.constantFrom(...TYPES),
      content,
      fc.option(hardText, { nil: undefined }),
      fc.dictionary(
        fc.oneof(fc.constantFrom('origin', 'membership', 'prev_state', 'redacts', 'unsigned', 'extra'), hardText),
        fc.oneof(hardJson, fc.constant<JsonObject>({ age: 5, redacted_because: {} })),
        { maxKeys: 2 },
      ) as fc.Arbitrary<JsonObject>,
      fc.array(fc.constantFrom('$a', '$b', '$é', '$c:one'), { maxLength: 3 }),
      fc.constantFrom<JsonValue>(0, 5, 1_700_000_000_000, -5),
    )
    .map(([type, eventContent, stateKey, extra, references, ts]): JsonObject => {
      const isNameless = version.roomIds === 'create-event' && type === 'm.room.create';
      const cited = version.references === 'pairs' ? references.map((id): JsonValue => [id, { sha256: 'x' }]) : references;
      return {
        ...fit(extra, version),
        ...(typeof extra['unsigned'] === 'object' || extra['unsigned'] === undefined ? {} : { unsigned: {} }),
        auth_events: cited,
        prev_events: cited,
        content: fit(eventContent, version),
        depth: 3,
        ...(version.eventIds === 'given' ? { event_id: '$given:one' } : {}),
        hashes: { sha256: 'eA' },
        origin_server_ts: ts,
        ...(isNameless ? {} : { room_id: version.roomIds === 'create-event' ? '!abc' : '!room:one' }),
        sender: ALICE,
        signatures: { one: { 'ed25519:1': 'x' } },
        ...(isNameless ? { state_key: '' } : stateKey === undefined ? {} : { state_key: stateKey }),
        type,
      };
    });

interface Encoded {
  readonly contentHash: string;
  readonly redacted: string;
  readonly signature: string;
}

interface Received {
  readonly eventId: string;
  readonly roomId: string;
  readonly referenceHash: string;
  readonly rejected: boolean;
  readonly contentHashMatches: boolean;
  readonly redacted: string;
}

/** What our side answers, or `undefined` where it refuses. */
const unlessRefused = <Answer>(answer: () => Answer): Answer | undefined => {
  try {
    return answer();
  } catch (error) {
    if (error instanceof MatrixError) return undefined;
    throw error;
  }
};

/** What is done to a well-formed event's keys to see who notices. */
const mutation: fc.Arbitrary<readonly [key: string, value: JsonValue | undefined]> = fc.tuple(
  fc.constantFrom(
    'type',
    'sender',
    'room_id',
    'state_key',
    'content',
    'origin_server_ts',
    'depth',
    'prev_events',
    'auth_events',
    'hashes',
    'signatures',
    'event_id',
    'unsigned',
    'redacts',
    'origin',
  ),
  fc.oneof(
    fc.constant(undefined),
    hardJson,
    hardNumber,
    fc.constantFrom<JsonValue>(
      'x'.repeat(256),
      'é'.repeat(200),
      `@${'é'.repeat(125)}:one`,
      { sha256: 5 },
      { sha256: '!' },
      { one: 5 },
      ['$a'],
      [5],
      [['$a', {}]],
    ),
    fc.constantFrom<JsonValue>('!room', '!room:two', BOB, '@bob', '$x', '$x:y', JSON.rawJSON('9223372036854775808'), JSON.rawJSON('3.0')),
  ),
);

interface Reception {
  readonly version: string;
  readonly event: JsonObject;
  readonly key: string;
  readonly value: JsonValue | undefined;
}

const isAccepted = ({ event, version }: Reception): Received | undefined => unlessRefused(() => receive(event, roomVersion(version)));

const receive = (event: JsonObject, version: RoomVersion): Received => {
  const parsed = parsePdu(JSON.stringify(event), version);
  const { unsigned: _, ...rest } = parsed.pdu as JsonObject;
  return {
    eventId: parsed.eventId,
    roomId: parsed.roomId,
    referenceHash: referenceHash(rest as Hashable, version),
    rejected: parsed.rejection !== undefined,
    contentHashMatches: parsed.contentHashMatches,
    redacted: redactedCopy(parsed, version).json,
  };
};

const EVENT: JsonObject = {
  auth_events: [],
  prev_events: [],
  content: {},
  depth: 3,
  hashes: { sha256: 'eA' },
  origin_server_ts: 5,
  room_id: '!room:one',
  sender: ALICE,
  signatures: {},
  type: 'm.room.message',
};

const example = (key: string, value: JsonValue, version = '11'): Reception => ({ version, event: { ...EVENT, [key]: value }, key, value });

const isOld = ({ version }: Reception): boolean => !roomVersion(version).strictCanonicalJson;

const isOddUser = (value: JsonValue | undefined): boolean => !isUserId(value);

/** What one side takes in and the other does not, each with a case on which they do disagree. */
const RECEPTION: readonly (Difference<Reception> & { readonly example: Reception })[] = [
  {
    name: 'a number is no content',
    reason: 'PDU schema: content is an object; Synapse reads a float as one',
    applies: ({ key, value }) => key === 'content' && !isJsonObject(value),
    example: example('content', JSON.rawJSON('3.0'), '3'),
  },
  {
    name: 'depth between 2^53 and 2^63',
    reason: 'PDU schema of versions 1 to 5: "Must be less than the maximum value for an integer (2^63 - 1)"',
    applies: (given) => given.key === 'depth' && isOld(given),
    example: example('depth', JSON.rawJSON('9007199254740992'), '3'),
  },
  {
    name: 'given event ids have a server name',
    reason: 'room version 1: "event IDs … $opaque_id:domain"; Synapse finds out when it looks for the signature of that server',
    applies: ({ key, version }) => key === 'event_id' && roomVersion(version).eventIds === 'given',
    example: { ...example('event_id', '$x', '1'), event: { ...EVENT, event_id: '$x' } },
  },
  {
    name: 'event_id where ids are hashes is not looked at',
    reason: 'room version 3: "the event ID is … not included in the event"; it is dropped, whatever it is',
    applies: ({ key, version }) => key === 'event_id' && roomVersion(version).eventIds !== 'given',
    example: example('event_id', 1),
  },
  {
    name: 'room ids start with an exclamation mark',
    reason: 'appendices, Room IDs; Synapse does not look at this place',
    applies: ({ key, value }) => key === 'room_id' && !isRoomId(value),
    example: example('room_id', ''),
  },
  {
    name: 'senders are user ids',
    reason: 'PDU schema: sender is a user id; Synapse finds out when it looks for a signature of its server',
    applies: ({ key, value }) => key === 'sender' && isOddUser(value),
    example: example('sender', ''),
  },
  {
    name: 'what stands under signatures',
    reason:
      'PDU schema: an object of objects; a signature that is no text does not fit when it is looked at, and one that is missing is missing',
    applies: ({ key }) => key === 'signatures',
    example: example('signatures', { one: { 'ed25519:1': 5 } }),
  },
  {
    name: 'a create event with a room id',
    reason: 'room version 12, rule 1.2: "If the event has a room_id, reject": a matter of authorisation, not of form',
    applies: ({ key, version, event }) => key === 'room_id' && isNamelessCreate(event['type'] as string, roomVersion(version)),
    example: { ...example('room_id', '!room', '12'), event: { ...EVENT, type: 'm.room.create', state_key: '', room_id: '!room' } },
  },
  {
    name: 'a create event whose state key is not empty',
    reason: 'room version 12, rule 1 does not look at it: it is an event like others, in a room that has no create event in its state',
    applies: ({ key, value, version, event }) =>
      key === 'state_key' && value !== '' && isNamelessCreate(event['type'] as string, roomVersion(version)),
    example: {
      ...example('type', 'm.room.create', '12'),
      key: 'state_key',
      value: undefined,
      event: Object.fromEntries(Object.entries({ ...EVENT, type: 'm.room.create' }).filter(([key]) => key !== 'room_id')),
    },
  },
];

describe('encoding, compared with real Synapse', { skip: WITHOUT_SYNAPSE }, () => {
  let synapse: Synapse;
  before(() => (synapse = startSynapse()));
  after(async () => synapse[Symbol.asyncDispose]());

  it('writes the same canonical JSON', async () => {
    await fc.assert(
      fc.asyncProperty(hardJson, async (value) => {
        const text = JSON.stringify(value);
        const { ok } = await synapse.ask<Attempt<string>>('canonical', { text });
        assert.equal(canonicalJson(parseLosslessJson(text), 'any'), ok);
      }),
      runs(400, 20_000),
    );
  });

  it('hashes, redacts and signs to the same bytes', async () => {
    const cases = anyVersion.chain((version) => fc.tuple(fc.constant(version), wholeEvent(version)));
    await fc.assert(
      fc.asyncProperty(cases, async ([version, event]) => {
        const text = JSON.stringify(event);
        const { ok } = await synapse.ask<Attempt<Encoded>>('encode', { text, version: version.id, server: 'one', seed: SEED });
        const read = parseLosslessJson(text) as Hashable;
        const signed = signEvent(read, 'one', KEY, version) as Hashable & { signatures: { one: Record<string, string> } };
        const { unsigned: _, ...whole } = redact(read, version) as JsonObject;
        assert.deepEqual(
          {
            contentHash: contentHash(read, version),
            redacted: canonicalJson(whole, numbersOf(version)),
            signature: signed.signatures.one['ed25519:1'],
          },
          { ...ok, redacted: ok === undefined ? '' : withoutUnsigned(ok.redacted) },
        );
      }),
      runs(400, 20_000),
    );
  });

  it('takes in and refuses the same events', async () => {
    const cases = anyVersion.chain((version) => fc.tuple(fc.constant(version), wholeEvent(version), fc.option(mutation)));
    await fc.assert(
      fc.asyncProperty(cases, async ([version, event, changed]) => {
        const { [changed?.[0] ?? '']: _, ...rest } = event;
        const mutated = changed === null ? event : changed[1] === undefined ? rest : { ...event, [changed[0]]: changed[1] };
        const given: Reception = { version: version.id, event: mutated, key: changed?.[0] ?? '', value: changed?.[1] };
        const theirs = await synapse.ask<Attempt<Received>>('receive', { text: JSON.stringify(mutated), version: version.id });
        expectAgreement(given, isAccepted(given), theirs.ok, RECEPTION, theirs.refused ?? theirs.crashed);
      }),
      runs(400, 20_000),
    );
  });

  for (const { name, reason, example: given } of RECEPTION) {
    it(`disagrees on purpose: ${name} (${reason})`, async () => {
      const theirs = await synapse.ask<Attempt<Received>>('receive', { text: JSON.stringify(given.event), version: given.version });
      assert.notDeepEqual(isAccepted(given), theirs.ok);
    });
  }
});

/** Synapse's redaction keeps some of `unsigned`, which is not part of the event. */
const withoutUnsigned = (json: string): string => {
  const { unsigned: _, ...event } = parseLosslessJson(json) as JsonObject;
  return canonicalJson(event, 'any');
};
