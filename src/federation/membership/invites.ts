import type { Config } from '#src/platform/config/index.ts';
import { badJson, forbidden, incompatibleRoomVersion, invalidParam } from '#src/protocol/errors.ts';
import { parsePdu, type Pdu } from '#src/protocol/events.ts';
import { domainOf, isUserId } from '#src/protocol/identifiers.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '#src/protocol/json.ts';
import { ROOM_VERSIONS, type RoomVersion } from '#src/protocol/room-versions.ts';
import { signEvent, type SigningKey } from '#src/protocol/signatures.ts';
import { DroppedEventError, isRejected, MissingEventsError, type RoomGraph, type RoomInfo } from '#src/rooms/graph/index.ts';
import { putOutsideState } from '#src/federation/membership/store.ts';
import { readToldState } from '#src/federation/membership/told-state.ts';
import { checkServerAcl } from '#src/federation/rooms/acl.ts';

/** An invite on its way: the event as its sender's server has signed it, and what that tells of the room. */
export interface IncomingInvite {
  readonly roomId: string;
  readonly eventId: string;
  readonly version: JsonValue | undefined;
  readonly event: JsonValue | undefined;
  readonly state: JsonValue | undefined;
}

/** Takes in invites of users of this server. */
export interface Invites {
  /**
   * Answers the event with this server's signature, once the user's invite is durable. Throws `incompatibleRoomVersion`, `invalidParam` for what is no invite by the origin
   * of a user of this server, and `forbidden` where none are taken.
   */
  take(origin: string, invite: IncomingInvite): Promise<JsonObject>;
}

interface Tools {
  readonly graph: Pick<RoomGraph, 'room' | 'currentState' | 'memberships' | 'events' | 'receive' | 'receiveOutside' | 'checkEvent'>;
  readonly serverName: string;
  readonly signingKey: SigningKey;
  readonly config: Pick<Config, 'block_non_admin_invites'>;
  /** Throws `limitExceeded` when a user is invited too often. */
  readonly limitInvites: (userId: string) => void;
}

const versionOf = (version: JsonValue | undefined): RoomVersion => {
  const known = typeof version === 'string' ? ROOM_VERSIONS.get(version) : undefined;
  if (known !== undefined) return known;
  throw incompatibleRoomVersion('Homeserver does not support this room version', {
    room_version: typeof version === 'string' ? version.slice(0, 32) : '',
  });
};

/** Invites by other servers (server-server API, Inviting to a room). */
export const createInvites = ({ graph, serverName, signingKey, config, limitInvites }: Tools): Invites => {
  const checkForm = (origin: string, { type, state_key: target, sender, content }: Pdu): string => {
    if (type !== 'm.room.member' || content.membership !== 'invite') throw invalidParam('The event was not an m.room.member invite event');
    if (domainOf(sender) !== origin) throw invalidParam('The invite event was not from the server sending it');
    if (!isUserId(target) || domainOf(target) !== serverName) throw invalidParam('The invite event must be for this server');
    return target;
  };

  /** Into a room that this server is in the event comes like any other; if something before it is not here yet, with the transaction that brings that. */
  const receive = async (room: RoomInfo, eventId: string, pdu: Pdu): Promise<void> => {
    try {
      await graph.receive(room, pdu);
    } catch (error) {
      if (error instanceof MissingEventsError) return;
      throw error;
    }
    const event = await graph.events.byId(eventId);
    if (event !== undefined && isRejected(event)) throw forbidden(event.fault ?? 'The invite is not allowed');
  };

  return {
    take: async (origin, { roomId, eventId, version: versionId, event, state }) => {
      const version = versionOf(versionId);
      if (!isJsonObject(event)) throw badJson('There is no event');
      const parsed = parsePdu(event, version);
      if (parsed.eventId !== eventId) throw invalidParam('Invite event ID must match event ID in the request path');
      if (parsed.roomId !== roomId) throw invalidParam('The room_id of the invite must match the room ID in the request path');
      const target = checkForm(origin, parsed.pdu);
      const room = await graph.room(roomId);
      if (room !== undefined) await checkServerAcl(graph, room, origin);
      if (config.block_non_admin_invites) throw forbidden('This server does not accept room invites');
      limitInvites(target);
      const signed = signEvent(parsed.pdu, serverName, signingKey, version);
      try {
        if (room !== undefined && (await graph.memberships.isHere(room.num))) {
          await receive(room, eventId, signed);
        } else {
          const name = { roomId, version: version.id };
          await graph.checkEvent(name, signed);
          const told = JSON.stringify(await readToldState(graph, name, state, { strict: true }));
          await graph.receiveOutside(name, signed, (tx, { num }, { num: eventNum, stateKeyNum: userNum }) => {
            if (userNum === undefined) return;
            putOutsideState(tx, { room_num: num, user_num: userNum, event_num: eventNum, server_name: origin, state: told });
          });
        }
      } catch (error) {
        throw error instanceof DroppedEventError ? invalidParam(error.message) : error;
      }
      return { ...event, signatures: signed.signatures };
    },
  };
};
