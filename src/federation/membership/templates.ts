import { forbidden, incompatibleRoomVersion } from '#src/protocol/errors.ts';
import type { UnsignedPdu } from '#src/protocol/events.ts';
import { domainOf, isUserId } from '#src/protocol/identifiers.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import type { RoomDraft, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import { authoriserFor, membershipIn, type RestrictedReads } from '#src/rooms/membership/index.ts';
import { roomToEnter } from '#src/federation/membership/rooms.ts';

const MEMBER = 'm.room.member';

/** An event for another server to complete, and the version of its room. */
export interface Template {
  readonly version: string;
  readonly event: UnsignedPdu;
}

/**
 * Prepares membership events for users of other servers. All throw `notFound` for a room that this server is not in and `forbidden` for who is not allowed to;
 * `versions` are those that the other server understands.
 */
export interface Templates {
  /** Also throws `incompatibleRoomVersion`, `unableToAuthoriseJoin` and `unableToGrantJoin`. */
  join(origin: string, roomId: string, userId: string, versions: readonly string[]): Promise<Template>;
  leave(origin: string, roomId: string, userId: string): Promise<Template>;
  /** Also throws `incompatibleRoomVersion`. */
  knock(origin: string, roomId: string, userId: string, versions: readonly string[]): Promise<Template>;
}

const checkVersion = ({ version }: RoomInfo, versions: readonly string[]): void => {
  if (versions.includes(version)) return;
  throw incompatibleRoomVersion('Your homeserver does not support the features required to interact with this room', {
    room_version: version,
  });
};

/** What servers ask for before a user of theirs joins, leaves or knocks (server-server API, `make_join`, `make_leave` and `make_knock`). */
export const createTemplates = ({
  graph,
  reads,
}: {
  graph: Pick<RoomGraph, 'room' | 'currentState' | 'memberships' | 'write'>;
  reads: RestrictedReads;
}): Templates => {
  const enter = async (origin: string, roomId: string, userId: string): Promise<RoomInfo> => {
    if (!isUserId(userId) || domainOf(userId) !== origin) throw forbidden('User not from origin');
    return roomToEnter(graph, origin, roomId);
  };

  const make = async (
    room: RoomInfo,
    userId: string,
    contentOf: (draft: RoomDraft) => Promise<JsonObject> | JsonObject,
  ): Promise<Template> => {
    const event = await graph.write(room, async (draft) =>
      draft.template({ sender: userId, type: MEMBER, stateKey: userId, content: await contentOf(draft) }),
    );
    return { version: room.version, event };
  };

  return {
    join: async (origin, roomId, userId, versions) => {
      const room = await enter(origin, roomId, userId);
      checkVersion(room, versions);
      const userNum = await reads.strings.numOf(userId);
      return make(room, userId, async (draft) => {
        const current = membershipIn(await draft.state(MEMBER, userId));
        const authoriser = await authoriserFor(draft, reads, { userId, userNum }, current);
        return { membership: 'join', ...(authoriser !== undefined && { join_authorised_via_users_server: authoriser }) };
      });
    },
    leave: async (origin, roomId, userId) => make(await enter(origin, roomId, userId), userId, () => ({ membership: 'leave' })),
    knock: async (origin, roomId, userId, versions) => {
      const room = await enter(origin, roomId, userId);
      checkVersion(room, versions);
      if (!roomVersion(room.version).knock) throw forbidden('This room version does not support knocking');
      return make(room, userId, () => ({ membership: 'knock' }));
    },
  };
};
