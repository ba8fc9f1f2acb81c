import fc from 'fast-check';
import { authTypesFor, stateKeyText } from '#src/protocol/auth-rules/index.ts';
import type { ParsedEvent } from '#src/protocol/events.ts';
import type { JsonObject, JsonValue } from '#src/protocol/json.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import { signingKeyFromSeed, signJson } from '#src/protocol/signatures.ts';
import type { AuthCase } from './authorisation-differences.ts';
import { ALICE, CAROL, DAVE, type EventFields, eventText, makeEvent, powerLevelsContent, USERS } from './events.ts';

export const KEY = signingKeyFromSeed('ed25519:0', Buffer.alloc(32, 7));
export const OTHER_KEY = signingKeyFromSeed('ed25519:0', Buffer.alloc(32, 8));

const rare = <Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Value | undefined> =>
  fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value });

const withoutUndefined = (content: Readonly<Record<string, JsonValue | undefined>>): JsonObject =>
  Object.fromEntries(Object.entries(content).filter((entry): entry is [string, JsonValue] => entry[1] !== undefined));

const membership = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom<JsonValue>('join', 'join', 'join', 'invite', 'leave', 'ban', 'knock') },
  { weight: 1, arbitrary: fc.constantFrom<JsonValue>('JOIN', '', 'x') },
);

const joinRule = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.constantFrom<JsonValue>('public', 'invite', 'knock', 'restricted', 'knock_restricted', 'private'),
  },
  { weight: 1, arbitrary: fc.constantFrom<JsonValue>('', 'x', null, 5, []) },
);

const createContent: fc.Arbitrary<JsonObject> = fc
  .record({
    creator: fc.oneof(
      { weight: 20, arbitrary: fc.constant<JsonValue | undefined>(ALICE) },
      { weight: 1, arbitrary: fc.constantFrom(DAVE, '', undefined) },
    ),
    'm.federate': rare(fc.constantFrom<JsonValue>(true, false, false, false, null, 0, 'false')),
    room_version: rare(fc.constantFrom<JsonValue>('1', '11', 'x', 5, null)),
    additional_creators: rare(
      fc.constantFrom<JsonValue>([DAVE], [CAROL, DAVE], [], null, 'x', [5], ['x'], ['@x'], [`@${'x'.repeat(300)}:one`]),
    ),
  })
  .map(withoutUndefined);

const publicKeys: fc.Arbitrary<JsonObject> = fc.constantFrom<JsonObject>(
  { public_key: KEY.publicKey },
  { public_key: OTHER_KEY.publicKey, public_keys: [{ public_key: KEY.publicKey }] },
  { public_keys: [{ public_key: KEY.publicKey }] },
  { public_key: OTHER_KEY.publicKey },
  {},
  { public_keys: null },
  { public_key: 5 },
  { public_key: '!', public_keys: [{ public_key: KEY.publicKey }] },
  { public_key: OTHER_KEY.publicKey, public_keys: [{}, { public_key: KEY.publicKey }] },
);

const signedInvite = (target: string): fc.Arbitrary<JsonValue> =>
  fc
    .tuple(
      fc.constantFrom('token', 'token', 'token', 'other'),
      fc.constantFrom(target, target, target, DAVE),
      fc.boolean(),
      fc.constantFrom('a', 'a', 'a', 'b'),
    )
    .map(([token, mxid, tampered, name]): JsonValue => {
      const signed = signJson<JsonObject>({ mxid, token, sender: ALICE }, `id.${name}`, KEY);
      return { display_name: 'x', signed: tampered && name === 'b' ? { ...signed, sender: 'x' } : signed };
    });

const oddInvite = fc.constantFrom<JsonValue>(
  null,
  {},
  [],
  { signed: {} },
  { signed: 5 },
  { signed: { mxid: 'x', token: 'token' } },
  { signed: { mxid: 'x', token: 5, signatures: {} } },
  { signed: { mxid: 'x', token: 'token', signatures: [] } },
);

export type Described = Omit<EventFields, 'roomId' | 'prevEvents' | 'authEvents' | 'ts' | 'depth' | 'name'> & {
  readonly follows?: 'create' | 'nothing';
};

const memberEvent: fc.Arbitrary<Described> = fc
  .record({
    sender: fc.constantFrom(...USERS),
    other: fc.constantFrom(...USERS),
    isOwn: fc.boolean(),
    odd: rare(fc.constantFrom('', 'x', '@x', undefined)),
  })
  .chain(({ sender, other, isOwn, odd }) => {
    const target = odd ?? (isOwn ? sender : other);
    return fc
      .record({
        membership: fc.oneof({ weight: 30, arbitrary: membership }, { weight: 1, arbitrary: fc.constantFrom(undefined, null, 5, []) }),
        third_party_invite: fc.oneof(
          { weight: 7, arbitrary: fc.constant(undefined) },
          { weight: 3, arbitrary: signedInvite(target) },
          { weight: 1, arbitrary: oddInvite },
        ),
        join_authorised_via_users_server: fc.oneof(
          { weight: 6, arbitrary: fc.constant(undefined) },
          { weight: 4, arbitrary: fc.constantFrom<JsonValue>(...USERS) },
          { weight: 1, arbitrary: fc.constantFrom<JsonValue>('', 'x', '@x', null, 5) },
        ),
        follows: fc.constantFrom(undefined, undefined, undefined, 'create' as const),
      })
      .map(({ follows, ...content }): Described => ({
        type: 'm.room.member',
        sender,
        stateKey: target,
        content: withoutUndefined(content),
        ...(follows === undefined ? {} : { follows }),
      }));
  });

const anyStateKey = fc.constantFrom(undefined, '', '', '', 'one', 'two', 'x', '@x', ...USERS, `${CAROL}_x`, '@');

const otherEvent: fc.Arbitrary<Described> = fc
  .record({
    type: fc.constantFrom(
      ...['aliases', 'redaction', 'third_party_invite', 'message', 'topic', 'join_rules'].map((name) => `m.room.${name}`),
    ),
    sender: fc.constantFrom(...USERS),
    stateKey: anyStateKey,
    content: fc.constant({}),
    redacts: fc.constantFrom<JsonValue | undefined>(undefined, '$x:one', '$x:two', '$x', 5),
  })
  .map((fields): Described => fields);

const anyEvent: fc.Arbitrary<Described> = fc.oneof(
  { weight: 5, arbitrary: memberEvent },
  { weight: 3, arbitrary: otherEvent },
  {
    weight: 3,
    arbitrary: fc
      .record({ sender: fc.constantFrom(...USERS), stateKey: fc.constantFrom('', '', '', 'x', undefined), content: powerLevelsContent })
      .map((fields): Described => ({ type: 'm.room.power_levels', ...fields })),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({
        sender: fc.constantFrom(...USERS),
        content: createContent,
        follows: fc.constantFrom('nothing' as const, 'nothing' as const, 'create' as const),
      })
      .map((fields): Described => ({ type: 'm.room.create', stateKey: '', ...fields })),
  },
);

/** Which of the auth events that the event should cite it does cite, and what else. */
const citation = fc.record({
  without: rare(fc.nat(5)),
  twice: rare(fc.constantFrom('m.room.power_levels', 'm.room.member')),
  stray: rare(fc.constantFrom('m.room.topic', 'm.room.join_rules')),
  rejected: rare(fc.nat(5)),
  elsewhere: rare(fc.nat(5)),
});

/** What the events of a case are made from. */
export interface Story {
  readonly create: JsonObject;
  readonly levels: JsonObject | undefined;
  readonly joinRule: JsonValue | undefined;
  readonly members: readonly (JsonValue | undefined)[];
  readonly invite: JsonObject | undefined;
  readonly inviter: string;
  readonly event: Described;
  readonly citation: typeof citation extends fc.Arbitrary<infer Value> ? Value : never;
}

export const story: fc.Arbitrary<Story> = fc.record({
  create: createContent,
  levels: fc.option(powerLevelsContent, { nil: undefined }),
  joinRule: fc.option(joinRule, { nil: undefined }),
  members: fc.tuple(...USERS.map(() => fc.option(membership, { nil: undefined }))),
  invite: fc.option(publicKeys, { nil: undefined }),
  inviter: fc.constantFrom(ALICE, ALICE, CAROL),
  event: anyEvent,
  citation,
});

const roomIdOf = (create: ParsedEvent, version: RoomVersion): string => (version.roomIds === 'create-event' ? create.roomId : '!room:one');

const stateOf = ({ create, levels, joinRule, members, invite, inviter }: Story, version: RoomVersion): ParsedEvent[] => {
  const shared = { prevEvents: [], authEvents: [], ts: 1, depth: 1, roomId: '!room:one' };
  const first = makeEvent({ ...shared, type: 'm.room.create', sender: ALICE, stateKey: '', content: create, name: 'create' }, version);
  const make = (type: string, stateKey: string, content: JsonObject, sender: string = ALICE): ParsedEvent =>
    makeEvent(
      {
        ...shared,
        roomId: roomIdOf(first, version),
        type,
        stateKey,
        content,
        sender,
        name: `${type.slice(7)}-${stateKey.slice(1, 3)}`,
        depth: 2,
      },
      version,
    );
  return [
    first,
    ...(levels === undefined ? [] : [make('m.room.power_levels', '', levels)]),
    ...(joinRule === undefined ? [] : [make('m.room.join_rules', '', { join_rule: joinRule })]),
    ...USERS.flatMap((user, index) =>
      members[index] === undefined ? [] : [make('m.room.member', user, { membership: members[index] }, user)],
    ),
    ...(invite === undefined ? [] : [make('m.room.third_party_invite', 'token', invite, inviter)]),
  ];
};

const keyOf = ({ pdu }: ParsedEvent): string => stateKeyText(pdu.type, pdu.state_key ?? '');

/** The case that a story makes in a room version. */
export const caseOf = (told: Story, version: RoomVersion): AuthCase => {
  const state = stateOf(told, version);
  const create = state[0]!;
  const { follows, ...described } = told.event;
  const probe = {
    type: described.type,
    sender: described.sender,
    content: described.content,
    ...(described.stateKey === undefined ? {} : { state_key: described.stateKey }),
  };
  const wanted = new Set(authTypesFor(probe, version).map(([type, stateKey]) => stateKeyText(type, stateKey)));
  const fitting = state.filter((event) => wanted.has(keyOf(event)));
  const { without, twice, stray, rejected, elsewhere } = told.citation;
  const extra = (type: string, name: string, roomId: string): ParsedEvent =>
    makeEvent(
      {
        type,
        stateKey: type === 'm.room.member' ? ALICE : '',
        sender: ALICE,
        content: { membership: 'join', name },
        roomId,
        name,
        prevEvents: [],
        authEvents: [],
        ts: 3,
        depth: 3,
      },
      version,
    );
  const roomId = roomIdOf(create, version);
  const cited = [
    ...fitting.filter((_, index) => index !== without),
    ...(twice === undefined ? [] : [extra(twice, 'twice', roomId)]),
    ...(stray === undefined ? [] : [extra(stray, 'stray', roomId)]),
  ].map((event, index) =>
    index === elsewhere && event.pdu.type !== 'm.room.create' ? extra(event.pdu.type, 'elsewhere', '!other') : event,
  );
  const fields: EventFields = {
    ...described,
    roomId,
    name: 'event',
    prevEvents: follows === 'nothing' ? [] : follows === 'create' ? [create.eventId] : ['$previous'],
    authEvents: cited.map(({ eventId }) => eventId),
    ts: 5,
    depth: 5,
  };
  return {
    version,
    event: makeEvent(fields, version),
    text: eventText(fields, version),
    state,
    cited,
    rejected: rejected === undefined ? [] : [rejected],
  };
};
