import { forbidden, invalidParam, missingParam, unknown } from '#src/protocol/errors.ts';
import { isUserId } from '#src/protocol/identifiers.ts';
import type { JsonObject, JsonValue } from '#src/protocol/json.ts';
import { isJsonObject, member } from '#src/protocol/json.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import type { InitialEvent, RoomRequest } from '#src/rooms/creation/plan.ts';

const THIRD_PARTY_KEYS = ['medium', 'address', 'id_server', 'id_access_token'];

/** Refuses invites to what is no user id, and by third-party ids, for which this server has no identity server. */
export const checkInvites = (request: RoomRequest): void => {
  const thirdParty = request.invite_3pid ?? [];
  if (thirdParty.some((invite) => THIRD_PARTY_KEYS.some((key) => invite[key] === undefined))) {
    throw missingParam('all of `medium`, `address`, `id_server` and `id_access_token` are required when making a 3pid invite');
  }
  if (thirdParty.length > 0) throw forbidden('Invites by e-mail address or phone number are not possible on this server');
  for (const userId of request.invite ?? []) {
    const isId: boolean = isUserId(userId);
    if (!isId) throw unknown(`Invalid user_id: ${userId}`);
  }
};

const listedIn = (users: JsonValue | undefined, userIds: readonly JsonValue[]): string | undefined =>
  isJsonObject(users) ? userIds.filter((each) => typeof each === 'string').find((each) => member(users, each) !== undefined) : undefined;

/** Checks that the creator keeps a hold on the room: among the users of the levels, or from version 12 not there, being above them. */
export const checkCreators = (
  version: RoomVersion,
  creator: string,
  content: JsonObject,
  request: RoomRequest,
  events: readonly InitialEvent[],
): void => {
  const additional = version.privilegedCreators ? content.additional_creators : undefined;
  const additionalList: readonly JsonValue[] | undefined = Array.isArray(additional) ? additional : undefined;
  if (additional !== undefined && !additionalList?.every(isUserId)) throw invalidParam('additional_creators must be a list of user ids');
  const override = request.power_level_content_override?.users;
  if (!version.privilegedCreators) {
    if (override !== undefined && listedIn(override, [creator]) === undefined) {
      throw unknown(`Not a valid power_level_content_override: 'users' did not contain ${creator}`);
    }
    return;
  }
  const levels = events.find((event) => event.type === 'm.room.power_levels');
  const listed = listedIn(levels?.content.users, [creator, ...(additionalList ?? [])]);
  if (listed !== undefined) throw unknown(`Creator user ${listed} must not appear in content.users`);
};
