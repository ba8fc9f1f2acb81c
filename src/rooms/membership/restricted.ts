import type { Strings } from '#src/platform/database/strings.ts';
import { forbidden, unableToAuthoriseJoin, unableToGrantJoin } from '#src/protocol/errors.ts';
import { domainOf, isRoomId } from '#src/protocol/identifiers.ts';
import type { JsonObject, JsonValue } from '#src/protocol/json.ts';
import { isJsonObject } from '#src/protocol/json.ts';
import { creatorsOf, powerLevels } from '#src/protocol/power-levels.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import type { RoomDraft, RoomGraph } from '#src/rooms/graph/index.ts';
import { membershipIn } from '#src/rooms/membership/changes.ts';

/** What the rules about restricted joins read beside the room itself. */
export interface RestrictedReads {
  readonly graph: Pick<RoomGraph, 'room' | 'memberships'>;
  readonly strings: Strings;
  readonly serverName: string;
}

/** Whether the join rule lets members of other rooms in. */
export const isRestricted = (joinRule: JsonValue | undefined, version: RoomVersion): boolean =>
  (joinRule === 'restricted' && version.restricted) || (joinRule === 'knock_restricted' && version.knockRestricted);

/** The rooms whose members a join rule lets in, and whether it has conditions that are not known. */
export const conditionsOf = (content: JsonObject): { rooms: readonly string[]; hasUnknown: boolean } => {
  const allow: readonly JsonValue[] = Array.isArray(content.allow) ? content.allow : [];
  const rooms: string[] = [];
  let hasUnknown = false;
  for (const condition of allow) {
    if (!isJsonObject(condition) || condition.type !== 'm.room_membership') hasUnknown = true;
    else if (isRoomId(condition.room_id)) rooms.push(condition.room_id);
  }
  return { rooms, hasUnknown };
};

const isInOneOf = async ({ graph }: RestrictedReads, rooms: readonly string[], userNum: number): Promise<boolean> => {
  for (const roomId of rooms) {
    const room = await graph.room(roomId);
    if (room !== undefined && (await graph.memberships.in(room.num, userNum))?.membership === 'join') return true;
  }
  return false;
};

/** A joined user of this server who could have invited. Those with a level of their own are asked before the many without. */
const findInviter = async (draft: RoomDraft, { graph, strings, serverName }: RestrictedReads): Promise<string | undefined> => {
  const create = (await draft.state('m.room.create', ''))?.pdu;
  const event = (await draft.state('m.room.power_levels', ''))?.pdu;
  const levels = powerLevels(create, event, draft.version);
  const needed = levels.level('invite');
  const listed = event !== undefined && isJsonObject(event.content.users) ? Object.keys(event.content.users) : [];
  const named = [...(create === undefined ? [] : creatorsOf(create, draft.version)), ...listed];
  const isFit = async (userId: string): Promise<boolean> =>
    domainOf(userId) === serverName &&
    levels.userLevel(userId) >= needed &&
    membershipIn(await draft.state('m.room.member', userId)) === 'join';
  for (const userId of named) if (await isFit(userId)) return userId;
  if (levels.level('users_default') < needed) return undefined;
  const joined = (await graph.memberships.ofRoom(draft.room.num)).filter((row) => row.isLocal && row.membership === 'join');
  const userIds = await strings.textOf(joined.map((row) => row.userNum));
  for (const userId of userIds.values()) if (await isFit(userId)) return userId;
  return undefined;
};

/**
 * Who lets a user into a room with a restricted join rule, for `join_authorised_via_users_server`; undefined where nobody has to. Throws
 * `forbidden`, `unableToAuthoriseJoin` and `unableToGrantJoin` (client-server API, "Restricted rooms").
 */
export const authoriserFor = async (
  draft: RoomDraft,
  reads: RestrictedReads,
  userNum: number,
  current: JsonValue | undefined,
): Promise<string | undefined> => {
  if (current === 'join' || current === 'invite') return undefined;
  const rules = (await draft.state('m.room.join_rules', ''))?.pdu.content;
  if (rules === undefined || !isRestricted(rules.join_rule, draft.version)) return undefined;
  const { rooms, hasUnknown } = conditionsOf(rules);
  if (!(await isInOneOf(reads, rooms, userNum))) {
    if (hasUnknown) throw unableToAuthoriseJoin('Unrecognized restricted join rules found.');
    throw forbidden('You do not belong to any of the required rooms/spaces to join this room.');
  }
  const inviter = await findInviter(draft, reads);
  if (inviter === undefined) throw unableToGrantJoin('Unable to find a user which could issue an invite');
  return inviter;
};
