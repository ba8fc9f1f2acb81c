import { domainOf, isUserId, roomIdOfCreate } from '#src/protocol/identifiers.ts';
import { powerLevels } from '#src/protocol/power-levels.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import type { AuthPdu, AuthState, Check, Rule, StateEvent, Verdict } from '#src/protocol/auth-rules/check.ts';
import { ALLOWED, numbered, rejected } from '#src/protocol/auth-rules/check.ts';
import { checkCreate } from '#src/protocol/auth-rules/create.ts';
import { checkMember } from '#src/protocol/auth-rules/member.ts';
import { checkPowerLevels } from '#src/protocol/auth-rules/power-levels.ts';
import { checkIssuingThirdPartyInvite } from '#src/protocol/auth-rules/third-party-invite.ts';

export { type AuthEvent, authStateOf, checkAuthEvents } from '#src/protocol/auth-rules/auth-events.ts';
export type { AuthPdu, AuthState, StateEvent, Verdict } from '#src/protocol/auth-rules/check.ts';
export { authTypesFor, type StateKey, stateKeyText, stateNeededFor } from '#src/protocol/auth-rules/selection.ts';

/** Rule 2, from version 12: the room id is that of the room's create event. */
const checkRoomId: Rule = ({ pdu, create, version }) =>
  version.roomIds === 'create-event' && pdu.room_id !== roomIdOfCreate(create.eventId)
    ? rejected('2', "The room id is not that of the room's create event")
    : undefined;

/** Rule 4: a room that is not federated takes events of its creator's server only. */
const checkFederate: Rule = ({ pdu, create }) =>
  create.pdu.content['m.federate'] === false && domainOf(pdu.sender) !== domainOf(create.pdu.sender)
    ? rejected('4', 'This room has been marked as unfederatable.')
    : undefined;

/** Rule 4 of versions 1 to 5, where it always decides: a server names its own aliases, without being in the room. */
const checkAliases: Rule = ({ pdu, version }) => {
  if (!version.aliasesRule) return undefined;
  if (pdu.state_key === undefined) return rejected('4a.1', 'An aliases event has a state_key');
  return pdu.state_key === domainOf(pdu.sender) ? ALLOWED : rejected('4a.2', "The state_key is not the sender's server");
};

/** Rule 6: who is not in the room sends nothing. */
const checkSenderIsJoined: Rule = ({ pdu, membership }) =>
  membership(pdu.sender) === 'join' ? undefined : rejected('6', `User ${pdu.sender} is not in the room`);

/** Rule 8: the event's type takes a power level. */
const checkRequiredLevel: Rule = ({ pdu, levels }) => {
  const required = levels.requiredLevel(pdu.type, pdu.state_key !== undefined);
  if (required <= levels.userLevel(pdu.sender)) return undefined;
  return rejected('8', `You don't have permission to post ${pdu.type} to the room: that takes power level ${required}`);
};

/** The user whose state key this is: the user's id, or with `suffixedStateKeys` also that id, an underscore and anything (MSC3757). */
const stateKeyOwner = (stateKey: string, { suffixedStateKeys }: RoomVersion): string => {
  const suffix = suffixedStateKeys ? stateKey.indexOf('_', stateKey.indexOf(':') + 1) : -1;
  return suffix === -1 ? stateKey : stateKey.slice(0, suffix);
};

/** Rule 9: a state key that is a user's belongs to that user; by MSC3757 those of a greater power level may use it too. */
const checkStateKeyOwner: Rule = ({ pdu, levels, version }) => {
  const { state_key: stateKey, sender } = pdu;
  if (stateKey?.startsWith('@') !== true || stateKey === sender) return undefined;
  const owner = stateKeyOwner(stateKey, version);
  if (version.suffixedStateKeys && isUserId(owner) && (owner === sender || levels.userLevel(sender) > levels.userLevel(owner))) {
    return undefined;
  }
  return rejected('9', 'You are not allowed to set others state');
};

/** Rule 11 of versions 1 and 2: who redacts has the level for it, or the event is of the server that made the redaction. */
const checkRedaction: Rule = ({ pdu, levels, version }) => {
  if (!version.redactionRule || levels.userLevel(pdu.sender) >= levels.level('redact')) return undefined;
  const own = pdu.event_id === undefined ? undefined : domainOf(pdu.event_id);
  if (own !== undefined && typeof pdu.redacts === 'string' && domainOf(pdu.redacts) === own) return undefined;
  return rejected('10a.3', "You don't have permission to redact events of other servers");
};

/** Rules 2 and 4 to 11 in their order, each with the type of the events that it is for; the first that decides, decides. */
const RULES: readonly (readonly [type: string | undefined, rule: Rule])[] = [
  [undefined, checkRoomId],
  [undefined, checkFederate],
  ['m.room.aliases', checkAliases],
  ['m.room.member', checkMember],
  [undefined, checkSenderIsJoined],
  ['m.room.third_party_invite', checkIssuingThirdPartyInvite],
  [undefined, checkRequiredLevel],
  [undefined, checkStateKeyOwner],
  ['m.room.power_levels', checkPowerLevels],
  ['m.room.redaction', checkRedaction],
];

const makeCheck = (pdu: AuthPdu, state: AuthState, version: RoomVersion, create: StateEvent): Check => ({
  pdu,
  state,
  version,
  create,
  levels: powerLevels(create.pdu, state('m.room.power_levels', '')?.pdu, version),
  membership: (userId) => state('m.room.member', userId)?.pdu.content.membership,
});

const judge = (pdu: AuthPdu, state: AuthState, version: RoomVersion): Verdict => {
  if (pdu.type === 'm.room.create') return checkCreate(pdu, version);
  const create = state('m.room.create', '');
  if (create === undefined) return rejected(version.createInAuthEvents ? '3.4' : '2', 'The room has no create event');
  const check = makeCheck(pdu, state, version, create);
  for (const [type, rule] of RULES) {
    const verdict = type === undefined || type === pdu.type ? rule(check) : undefined;
    if (verdict !== undefined) return verdict;
  }
  return ALLOWED;
};

/**
 * Whether the event is authorised by a room state (room versions, Authorisation rules). Its own `auth_events` are
 * another matter: see `checkAuthEvents`. `state` must know what `stateNeededFor` names.
 */
export const checkAuth = (pdu: AuthPdu, state: AuthState, version: RoomVersion): Verdict => numbered(judge(pdu, state, version), version);
