import { domainOf, isUserId } from '#src/protocol/identifiers.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import { ROOM_VERSIONS } from '#src/protocol/room-versions.ts';
import type { AuthPdu, Verdict } from '#src/protocol/auth-rules/check.ts';
import { ALLOWED, rejected } from '#src/protocol/auth-rules/check.ts';

/** Rule 1.2: the room id has the sender's domain, or, from version 12, is not there. */
const checkRoomId = ({ room_id: roomId, sender }: AuthPdu, version: RoomVersion): Verdict | undefined => {
  if (version.roomIds === 'create-event') {
    return roomId === undefined ? undefined : rejected('1.2', 'A create event has no room_id in this room version');
  }
  if (roomId !== undefined && domainOf(roomId) === domainOf(sender)) return undefined;
  return rejected('1.2', "The create event's room_id does not have the sender's domain");
};

/** Rule 1.3: the room version is one that is known. */
const checkRoomVersion = ({ content }: AuthPdu): Verdict | undefined => {
  const id = content.room_version;
  if (id === undefined || (typeof id === 'string' && ROOM_VERSIONS.has(id))) return undefined;
  return rejected('1.3', 'The room version is not known');
};

/** Rule 1.4: versions up to 10 name the creator, version 12 may name additional ones. */
const checkCreators = ({ content }: AuthPdu, version: RoomVersion): Verdict | undefined => {
  if (version.creator === 'content')
    return content.creator === undefined ? rejected('1.4', 'The create event names no creator') : undefined;
  const additional = version.privilegedCreators ? content.additional_creators : undefined;
  if (additional === undefined || (Array.isArray(additional) && additional.every(isUserId))) return undefined;
  return rejected('1.4', 'additional_creators is not a list of user ids');
};

/** Rule 1: `m.room.create`. It always decides. */
export const checkCreate = (pdu: AuthPdu, version: RoomVersion): Verdict => {
  if (pdu.prev_events.length > 0) return rejected('1.1', 'A create event has no prev_events');
  return checkRoomId(pdu, version) ?? checkRoomVersion(pdu) ?? checkCreators(pdu, version) ?? ALLOWED;
};
