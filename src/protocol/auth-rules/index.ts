import { domainOf, roomIdOfCreate } from '#src/protocol/identifiers.ts';
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

/** Rule 6: who is not in the room sends nothing. */
const checkSenderIsJoined: Rule = ({ pdu, membership }) =>
  membership(pdu.sender) === 'join' ? undefined : rejected('6', `User ${pdu.sender} is not in the room`);

/** Rule 8: the event's type takes a power level. */
const checkRequiredLevel: Rule = ({ pdu, levels }) => {
  const required = levels.requiredLevel(pdu.type, pdu.state_key !== undefined);
  if (required <= levels.userLevel(pdu.sender)) return undefined;
  return rejected('8', `You don't have permission to post ${pdu.type} to the room: that takes power level ${required}`);
};

/** Rule 9: a state key that is a user's belongs to that user. */
const checkStateKeyOwner: Rule = ({ pdu }) =>
  pdu.state_key?.startsWith('@') === true && pdu.state_key !== pdu.sender
    ? rejected('9', 'You are not allowed to set others state')
    : undefined;

/** Rules 2 and 4 to 11 in their order, each with the type of the events that it is for; the first that decides, decides. */
const RULES: readonly (readonly [type: string | undefined, rule: Rule])[] = [
  [undefined, checkRoomId],
  [undefined, checkFederate],
  ['m.room.member', checkMember],
  [undefined, checkSenderIsJoined],
  ['m.room.third_party_invite', checkIssuingThirdPartyInvite],
  [undefined, checkRequiredLevel],
  [undefined, checkStateKeyOwner],
  ['m.room.power_levels', checkPowerLevels],
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
 * Whether the event is authorised by a room state (room versions, Authorisation rules), for versions from 6. Its own `auth_events` are
 * another matter: see `checkAuthEvents`. `state` must know what `stateNeededFor` names.
 */
export const checkAuth = (pdu: AuthPdu, state: AuthState, version: RoomVersion): Verdict => numbered(judge(pdu, state, version), version);
