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

/** Who wants to join. */
export interface Joiner {
  readonly userId: string;
  /** Undefined for who was never heard of. */
  readonly userNum: number | undefined;
}

/** Of another server's users this server knows only what they are in rooms that it is in itself. */
const isInOneOf = async (
  { graph, serverName }: RestrictedReads,
  rooms: readonly string[],
  { userId, userNum }: Joiner,
): Promise<'yes' | 'no' | 'unknown'> => {
  const isLocal = domainOf(userId) === serverName;
  let isKnown = true;
  for (const roomId of rooms) {
    const room = await graph.room(roomId);
    const isHere = room !== undefined && (isLocal || (await graph.memberships.isHere(room.num)));
    if (!isHere) isKnown = false;
    else if (userNum !== undefined && (await graph.memberships.in(room.num, userNum))?.membership === 'join') return 'yes';
  }
  return isLocal || isKnown ? 'no' : 'unknown';
};

type StateReads = Pick<RoomDraft, 'state' | 'version'>;

/** Who may invite: those with a level of their own, whether everybody else may, and a look at one user. */
const invitersOf = async (state: StateReads) => {
  const create = (await state.state('m.room.create', ''))?.pdu;
  const event = (await state.state('m.room.power_levels', ''))?.pdu;
  const levels = powerLevels(create, event, state.version);
  const needed = levels.level('invite');
  const listed = event !== undefined && isJsonObject(event.content.users) ? Object.keys(event.content.users) : [];
  return {
    named: [...(create === undefined ? [] : creatorsOf(create, state.version)), ...listed],
    everybody: levels.level('users_default') >= needed,
    isOne: async (userId: string): Promise<boolean> =>
      levels.userLevel(userId) >= needed && membershipIn(await state.state('m.room.member', userId)) === 'join',
  };
};

/** A joined user of this server who could have invited. Those with a level of their own are asked before the many without. */
const findInviter = async (draft: RoomDraft, { graph, strings, serverName }: RestrictedReads): Promise<string | undefined> => {
  const { named, everybody, isOne } = await invitersOf(draft);
  const isFit = async (userId: string): Promise<boolean> => domainOf(userId) === serverName && (await isOne(userId));
  for (const userId of named) if (await isFit(userId)) return userId;
  if (!everybody) return undefined;
  const joined = (await graph.memberships.ofRoom(draft.room.num)).filter((row) => row.isLocal && row.membership === 'join');
  const userIds = await strings.textOf(joined.map((row) => row.userNum));
  for (const userId of userIds.values()) if (await isFit(userId)) return userId;
  return undefined;
};

/** Of the servers in a room those of which somebody could have invited; of users with a level of their own first. */
export const serversThatLetIn = async (state: StateReads, inRoom: ReadonlySet<string>): Promise<string[]> => {
  const { named, everybody, isOne } = await invitersOf(state);
  const servers = new Set<string>();
  for (const userId of named) {
    const server = domainOf(userId);
    if (server !== undefined && inRoom.has(server) && !servers.has(server) && (await isOne(userId))) servers.add(server);
  }
  return [...(everybody ? new Set([...servers, ...inRoom]) : servers)];
};

/**
 * Whether the joiner needs somebody to let them in by a restricted join rule; `current` is what they are in the room. Throws `forbidden` where they belong to none of
 * the rooms that the rule names, and `unableToAuthoriseJoin` where this server cannot tell (client-server API, "Restricted rooms").
 */
export const checkConditions = async (
  draft: Pick<RoomDraft, 'state' | 'version'>,
  reads: RestrictedReads,
  joiner: Joiner,
  current: JsonValue | undefined,
): Promise<boolean> => {
  if (current === 'join' || current === 'invite') return false;
  const rules = (await draft.state('m.room.join_rules', ''))?.pdu.content;
  if (rules === undefined || !isRestricted(rules.join_rule, draft.version)) return false;
  const { rooms, hasUnknown } = conditionsOf(rules);
  const belongs = await isInOneOf(reads, rooms, joiner);
  if (belongs === 'yes') return true;
  if (hasUnknown) throw unableToAuthoriseJoin('Unrecognized restricted join rules found.');
  if (belongs === 'unknown') throw unableToAuthoriseJoin(`Unable to check if ${joiner.userId} is in allowed rooms.`);
  throw forbidden('You do not belong to any of the required rooms/spaces to join this room.');
};

/**
 * Who lets a user into a room with a restricted join rule, for `join_authorised_via_users_server`; undefined where nobody has to. Throws
 * `forbidden`, `unableToAuthoriseJoin` and `unableToGrantJoin` (client-server API, "Restricted rooms").
 */
export const authoriserFor = async (
  draft: RoomDraft,
  reads: RestrictedReads,
  joiner: Joiner,
  current: JsonValue | undefined,
): Promise<string | undefined> => {
  if (!(await checkConditions(draft, reads, joiner, current))) return undefined;
  const inviter = await findInviter(draft, reads);
  if (inviter === undefined) throw unableToGrantJoin('Unable to find a user which could issue an invite');
  return inviter;
};
