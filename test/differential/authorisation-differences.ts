import type { ParsedEvent } from '#src/protocol/events.ts';
import { domainOf, isUserId } from '#src/protocol/identifiers.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '#src/protocol/json.ts';
import { DEFAULT_LEVELS, parseLevel } from '#src/protocol/power-levels.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import type { Difference } from './differences.ts';

/** An event, what it cites and the state that it stands on. */
export interface AuthCase {
  readonly version: RoomVersion;
  readonly event: ParsedEvent;
  readonly text: string;
  readonly state: readonly ParsedEvent[];
  readonly cited: readonly ParsedEvent[];
  /** Which of the cited events have been rejected. */
  readonly rejected: readonly number[];
}

const contentOf = ({ state }: AuthCase, type: string): JsonObject | undefined => state.find(({ pdu }) => pdu.type === type)?.pdu.content;

/** The values in a power levels content that cannot be read as levels, or as objects of levels. */
const unreadable = (content: JsonObject | undefined, version: RoomVersion): readonly JsonValue[] => {
  if (content === undefined) return [];
  const isOdd = (value: JsonValue | undefined): value is JsonValue => value !== undefined && parseLevel(value, version) === undefined;
  const listed = ['users', 'events', 'notifications'].flatMap((name) => {
    const levels = content[name];
    if (levels === undefined) return [];
    return isJsonObject(levels) ? Object.values(levels).filter(isOdd) : [levels];
  });
  return [
    ...Object.keys(DEFAULT_LEVELS)
      .map((name) => content[name])
      .filter(isOdd),
    ...listed,
  ];
};

const unreadableLevels = (given: AuthCase): readonly JsonValue[] => {
  const { event, version } = given;
  return [
    ...unreadable(contentOf(given, 'm.room.power_levels'), version),
    ...(event.pdu.type === 'm.room.power_levels' ? unreadable(event.pdu.content, version) : []),
  ];
};

const isCrash = (detail: string): boolean => detail.includes('"crashed":');

/** Where the two disagree on purpose. `authorisation.test.ts` has a case for each. */
export const AUTHORISATION: readonly Difference<AuthCase>[] = [
  {
    name: 'm.federate is neither true nor false',
    reason:
      'rule 4: "If content of the m.room.create event … has the property m.federate set to false"; Synapse takes all but true for false',
    applies: (given) => {
      const create = contentOf(given, 'm.room.create') ?? {};
      return 'm.federate' in create && typeof create['m.federate'] !== 'boolean';
    },
  },
  {
    name: 'm.federate and the target of a membership',
    reason: 'rule 4 looks at "the domain of the sender" alone; Synapse also looks at that of the state key',
    applies: (given) =>
      contentOf(given, 'm.room.create')?.['m.federate'] === false &&
      given.event.pdu.type === 'm.room.member' &&
      domainOf(given.event.pdu.state_key ?? '') !== 'one',
  },
  {
    name: 'levels that are none',
    reason:
      'before version 10 anything comes into a first m.room.power_levels, and no rule says what it is worth: here, nothing; Synapse fails with an error',
    applies: (given, detail) => isCrash(detail) && unreadableLevels(given).length > 0,
  },
  {
    name: 'levels that are texts in a state that cannot be',
    reason: 'from version 10 rules 10.1 and 10.2 refuse them, so no state has them; Synapse reads what it finds',
    applies: (given) =>
      given.version.powerLevels === 'integers' &&
      unreadable(contentOf(given, 'm.room.power_levels'), given.version).some((value) => typeof value === 'string'),
  },
  {
    name: "levels in Python's ways",
    reason: 'room version 1: a text is "a single base 10 integer", with white space around it; Synapse also takes true, 5_0, other digits',
    applies: (given) => unreadableLevels(given).some((value) => value === true || value === '5_0' || value === '\u0665\u0660'),
  },
  {
    name: 'users of no server',
    reason: 'rule 10.3: users has "keys that are valid user IDs"; Synapse asks for a colon only',
    applies: ({ event: { pdu } }) =>
      pdu.type === 'm.room.power_levels' &&
      isJsonObject(pdu.content.users) &&
      Object.keys(pdu.content.users).some((user) => user.includes(':') && !isUserId(user)),
  },
  {
    name: 'power levels that are not those of the room',
    reason:
      "rule 10.5 speaks of the room's previous m.room.power_levels, whose state key is empty; Synapse looks under the new event's own state key",
    applies: ({ event: { pdu } }) => pdu.type === 'm.room.power_levels' && pdu.state_key !== '',
  },
  {
    name: 'a redaction without redacts',
    reason: 'versions 1 and 2, rule 11: without the level, it takes an event ID of the same domain, "otherwise, reject"',
    applies: ({ version, event: { pdu } }) =>
      version.redactionRule && pdu.type === 'm.room.redaction' && (typeof pdu.redacts !== 'string' || domainOf(pdu.redacts) === undefined),
  },
  {
    name: 'a member without a server',
    reason: 'rule 5 asks for a state_key, whatever it is; Synapse for a colon in it',
    applies: ({ event: { pdu } }) => pdu.type === 'm.room.member' && !(pdu.state_key ?? ':').includes(':'),
  },
  {
    name: 'an authoriser that is no user id',
    reason:
      'rule 5.2.1: "the homeserver of the user ID denoted by the key"; Synapse finds out when it looks for the signature of that server',
    applies: ({ event: { pdu } }) =>
      pdu.content.membership === 'join' &&
      pdu.content.join_authorised_via_users_server !== undefined &&
      !isUserId(pdu.content.join_authorised_via_users_server),
  },
  {
    name: 'a create event that rule 1.4 refuses',
    reason: 'no room has one, so no rule says what follows from it; Synapse fails with an error',
    applies: (given, detail) => {
      const { version } = given;
      const create = contentOf(given, 'm.room.create') ?? {};
      return (
        isCrash(detail) &&
        (version.creator === 'content' ? create.creator === undefined : version.privilegedCreators && 'additional_creators' in create)
      );
    },
  },
  {
    name: 'third-party invites with some keys that are none',
    reason:
      'rule 5.4.1.7: "If any signature in signed matches any public key in the m.room.third_party_invite event, allow"; Synapse gives up',
    applies: (given, detail) => isCrash(detail) && given.event.pdu.content.third_party_invite !== undefined,
  },
];
