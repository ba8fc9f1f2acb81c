import { badJson, forbidden, invalidParam, notFound, unknown } from '#src/protocol/errors.ts';
import { isEventId } from '#src/protocol/identifiers.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { powerLevels } from '#src/protocol/power-levels.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import type { Events, RoomDraft, RoomEvent } from '#src/rooms/graph/index.ts';

/** The event that a client wants redacted, where it says so in the content. Throws `badJson` when it does not. */
export const redactedIn = (content: JsonObject): string => {
  if (!isEventId(content.redacts)) throw badJson("'redacts' must be an event id");
  return content.redacts;
};

/**
 * The content of a redaction without the target, which the room's version has its own place for. Throws `invalidParam` for a content that
 * names another target than the request.
 */
export const redactionContent = (content: JsonObject, targetId: string, version: RoomVersion): JsonObject => {
  const { redacts, ...rest } = content;
  if (version.redactsIn === 'content' && redacts !== undefined && redacts !== targetId) {
    throw invalidParam('Cannot provide a redacts value incoherent with the event_id of the URL parameter');
  }
  return rest;
};

/** Whether an event may be redacted by this user; throws `forbidden`, `notFound` or `unknown` where not. Answers the event, if it is known. */
export const checkRedaction = async (
  draft: RoomDraft,
  events: Events,
  userId: string,
  targetId: string,
): Promise<RoomEvent | undefined> => {
  const target = await draft.event(targetId);
  if (target === undefined && (await events.byId(targetId)) !== undefined) throw unknown('Cannot redact event from a different room');
  if (target?.pdu.type === 'm.room.create') throw forbidden('Redacting create events is not permitted');
  if (target?.pdu.type === 'm.room.server_acl') throw forbidden('Redacting server ACL events is not permitted');
  if (target?.pdu.sender === userId) return target;
  const create = (await draft.state('m.room.create', ''))?.pdu;
  const levels = powerLevels(create, (await draft.state('m.room.power_levels', ''))?.pdu, draft.version);
  if (levels.userLevel(userId) >= levels.level('redact')) return target;
  if (target === undefined) throw notFound(`Could not find event ${targetId}`);
  throw forbidden("You don't have permission to redact events");
};
