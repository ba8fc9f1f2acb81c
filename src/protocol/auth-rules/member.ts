import { prevEventIds } from '#src/protocol/events.ts';
import { isUserId } from '#src/protocol/identifiers.ts';
import { creatorsOf } from '#src/protocol/power-levels.ts';
import type { Check, Rule, Verdict } from '#src/protocol/auth-rules/check.ts';
import { ALLOWED, rejected } from '#src/protocol/auth-rules/check.ts';
import { checkThirdPartyInvite } from '#src/protocol/auth-rules/third-party-invite.ts';

/** A membership event's check; the target user is its state key. */
export interface MemberCheck extends Check {
  readonly target: string;
}

const isMember = (membership: unknown): boolean => membership === 'join' || membership === 'invite';

const joinRuleOf = ({ state }: Check): unknown => {
  const { join_rule: rule = 'invite' } = state('m.room.join_rules', '')?.pdu.content ?? {};
  return rule;
};

/** Rule 5.3.1: the creator's join right after the create event. */
const isCreatorsFirstJoin = ({ pdu, create, version, target }: MemberCheck): boolean =>
  pdu.prev_events.length === 1 && prevEventIds(pdu)[0] === create.eventId && creatorsOf(create.pdu, version)[0] === target;

/** Rule 5.3.5: joining by a restricted join rule, with leave of a member who could have invited. */
const checkRestrictedJoin = (check: MemberCheck): Verdict => {
  if (isMember(check.membership(check.target))) return ALLOWED;
  const authoriser = check.pdu.content.join_authorised_via_users_server;
  if (typeof authoriser !== 'string') return rejected('5.3.5.2', 'Nobody in the room has authorised the join');
  if (check.membership(authoriser) !== 'join') return rejected('5.3.5.2', 'The user who authorised the join is not in the room');
  if (check.levels.userLevel(authoriser) >= check.levels.level('invite')) return ALLOWED;
  return rejected('5.3.5.2', 'The user who authorised the join may not invite');
};

/** Rules 5.3.4 to 5.3.7: what the join rule says. */
const checkJoinRule = (check: MemberCheck): Verdict => {
  const { version } = check;
  const rule = joinRuleOf(check);
  if (rule === 'public') return ALLOWED;
  if (rule === 'invite' || (rule === 'knock' && version.knock)) {
    return isMember(check.membership(check.target)) ? ALLOWED : rejected('5.3.4', 'You are not invited to this room.');
  }
  if ((rule === 'restricted' && version.restricted) || (rule === 'knock_restricted' && version.knockRestricted))
    return checkRestrictedJoin(check);
  return rejected('5.3.7', 'The join rule lets nobody join');
};

/** Rule 5.3: `join`. */
const checkJoin = (check: MemberCheck): Verdict => {
  if (isCreatorsFirstJoin(check)) return ALLOWED;
  if (check.pdu.sender !== check.target) return rejected('5.3.2', 'Cannot force another user to join.');
  if (check.membership(check.target) === 'ban') return rejected('5.3.3', 'You are banned from this room');
  return checkJoinRule(check);
};

/** Rule 5.4: `invite`. */
const checkInvite = (check: MemberCheck): Verdict => {
  const { pdu, target, levels } = check;
  if (pdu.content.third_party_invite !== undefined) return checkThirdPartyInvite(check);
  if (check.membership(pdu.sender) !== 'join') return rejected('5.4.2', `User ${pdu.sender} is not in the room`);
  const current = check.membership(target);
  if (current === 'ban') return rejected('5.4.3', `${target} is banned from the room`);
  if (current === 'join') return rejected('5.4.3', `${target} is already in the room.`);
  return levels.userLevel(pdu.sender) >= levels.level('invite') ? ALLOWED : rejected('5.4.5', 'You do not have permission to invite users');
};

/** Rule 5.5: `leave`, which is leaving, kicking and lifting a ban. */
const checkLeave = (check: MemberCheck): Verdict => {
  const { pdu, target, levels, version } = check;
  const current = check.membership(target);
  if (pdu.sender === target) {
    if (isMember(current) || (current === 'knock' && version.knock)) return ALLOWED;
    return rejected('5.5.1', 'You cannot leave a room that you are not in');
  }
  if (check.membership(pdu.sender) !== 'join') return rejected('5.5.2', `User ${pdu.sender} is not in the room`);
  const own = levels.userLevel(pdu.sender);
  if (current === 'ban' && own < levels.level('ban')) return rejected('5.5.3', `You cannot unban user ${target}.`);
  return own >= levels.level('kick') && levels.userLevel(target) < own ? ALLOWED : rejected('5.5.5', `You cannot kick user ${target}.`);
};

/** Rule 5.6: `ban`. */
const checkBan = (check: MemberCheck): Verdict => {
  const { pdu, target, levels } = check;
  if (check.membership(pdu.sender) !== 'join') return rejected('5.6.1', `User ${pdu.sender} is not in the room`);
  const own = levels.userLevel(pdu.sender);
  return own >= levels.level('ban') && levels.userLevel(target) < own ? ALLOWED : rejected('5.6.3', "You don't have permission to ban");
};

/** Rule 5.7: `knock`. */
const checkKnock = (check: MemberCheck): Verdict => {
  const { pdu, target, version } = check;
  const rule = joinRuleOf(check);
  if (rule !== 'knock' && !(rule === 'knock_restricted' && version.knockRestricted)) {
    return rejected('5.7.1', "You don't have permission to knock");
  }
  if (pdu.sender !== target) return rejected('5.7.2', 'You cannot knock for other users');
  const current = check.membership(target);
  return isMember(current) || current === 'ban'
    ? rejected('5.7.4', 'You cannot knock on a room that you are in, invited to or banned from')
    : ALLOWED;
};

const checkMembership = (check: MemberCheck): Verdict => {
  switch (check.pdu.content.membership) {
    case 'join':
      return checkJoin(check);
    case 'invite':
      return checkInvite(check);
    case 'leave':
      return checkLeave(check);
    case 'ban':
      return checkBan(check);
    case 'knock':
      return check.version.knock ? checkKnock(check) : rejected('5.8', 'This room version has no knocking');
    default:
      return rejected('5.8', 'Unknown membership');
  }
};

/**
 * Rule 5 (4 before version 12): `m.room.member`. It always decides. That the server of `join_authorised_via_users_server` has signed
 * the event (rule 5.2.1) is checked with the other signatures, see `requiredSigners`; here only that there is such a server. As on other
 * servers, the key means nothing on events that are no joins: clients copy it into those that follow.
 */
export const checkMember: Rule = (check) => {
  const { content, state_key: target } = check.pdu;
  if (target === undefined || content.membership === undefined)
    return rejected('5.1', 'A membership event has a state_key and a membership');
  const authoriser = content.join_authorised_via_users_server;
  if (check.version.restricted && content.membership === 'join' && authoriser !== undefined && !isUserId(authoriser)) {
    return rejected('5.2.1', 'join_authorised_via_users_server is not a user id');
  }
  return checkMembership({ ...check, target });
};
