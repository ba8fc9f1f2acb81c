import { isJsonObject } from '#src/protocol/json.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import type { AuthPdu } from '#src/protocol/auth-rules/check.ts';

/** The type and state key under which an event stands in a room's state. */
export type StateKey = readonly [type: string, stateKey: string];

/** A state key as one text, for maps. The length keeps a type that contains the separator apart from others. */
export const stateKeyText = (type: string, stateKey: string): string => `${type.length}:${type}${stateKey}`;

type SelectedBy = Pick<AuthPdu, 'type' | 'state_key' | 'sender' | 'content'>;

const USES_JOIN_RULES: ReadonlySet<unknown> = new Set(['join', 'invite', 'knock']);

const thirdPartyToken = ({ content }: SelectedBy): string | undefined => {
  const invite = content.membership === 'invite' ? content.third_party_invite : undefined;
  const signed = isJsonObject(invite) ? invite.signed : undefined;
  return isJsonObject(signed) && typeof signed.token === 'string' ? signed.token : undefined;
};

const memberTypes = (pdu: SelectedBy, version: RoomVersion): StateKey[] => {
  const { content, sender, state_key: target } = pdu;
  const selected: StateKey[] = [];
  if (target !== undefined && target !== sender) selected.push(['m.room.member', target]);
  if (USES_JOIN_RULES.has(content.membership)) selected.push(['m.room.join_rules', '']);
  const token = thirdPartyToken(pdu);
  if (token !== undefined) selected.push(['m.room.third_party_invite', token]);
  const authoriser = content.join_authorised_via_users_server;
  if (
    version.restricted &&
    content.membership === 'join' &&
    typeof authoriser === 'string' &&
    authoriser !== sender &&
    authoriser !== target
  ) {
    selected.push(['m.room.member', authoriser]);
  }
  return selected;
};

/**
 * Where in the room's state the event's `auth_events` stand (server-server API, Auth events selection); none of them need exist.
 */
export const authTypesFor = (pdu: SelectedBy, version: RoomVersion): StateKey[] => {
  if (pdu.type === 'm.room.create') return [];
  const selected: StateKey[] = version.createInAuthEvents ? [['m.room.create', '']] : [];
  selected.push(['m.room.power_levels', ''], ['m.room.member', pdu.sender]);
  if (pdu.type === 'm.room.member') selected.push(...memberTypes(pdu, version));
  return selected;
};

/** All that `checkAuth` reads of the state: what `authTypesFor` selects and always the create event, which version 12 does not select. */
export const stateNeededFor = (pdu: SelectedBy, version: RoomVersion): StateKey[] =>
  version.createInAuthEvents || pdu.type === 'm.room.create'
    ? authTypesFor(pdu, version)
    : [['m.room.create', ''], ...authTypesFor(pdu, version)];
