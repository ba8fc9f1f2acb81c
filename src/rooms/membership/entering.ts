import type { Requester } from '#src/accounts/index.ts';
import { forbidden, MatrixError } from '#src/protocol/errors.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import type { RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { MemberChange } from '#src/rooms/membership/changes.ts';
import type { MembershipLimits } from '#src/rooms/membership/limits.ts';
import type { RemoteMembership } from '#src/rooms/membership/remote.ts';
import { serversThatLetIn } from '#src/rooms/membership/restricted.ts';

/** A change in a room that this server is in. */
type ChangeHere = (requester: Requester, room: RoomInfo, change: MemberChange) => Promise<RoomEvent>;

/** Joining, knocking and leaving, here or by way of other servers: whichever it takes. */
export interface Entering {
  enter(requester: Requester, roomId: string, change: MemberChange, servers: readonly string[]): Promise<RoomEvent>;
  /** `changeHere` is how it is done in a room that this server is in; `pass` lets it be done by way of others. */
  leave(requester: Requester, room: RoomInfo, change: MemberChange, how: { changeHere: ChangeHere; pass: () => void }): Promise<RoomEvent>;
}

/** By these this server says that it cannot let the joiner in, but that others may. */
const OTHERS_MAY: ReadonlySet<string> = new Set(['M_UNABLE_TO_AUTHORISE_JOIN', 'M_UNABLE_TO_GRANT_JOIN']);
const MEMBER = 'm.room.member';

export const createEntering = ({
  graph,
  limits,
  remote,
  changeHere,
  contentOf,
  limitMessages,
}: {
  graph: Pick<RoomGraph, 'room' | 'head' | 'currentState' | 'memberships' | 'events'>;
  limits: MembershipLimits;
  remote: () => RemoteMembership;
  changeHere: ChangeHere;
  /** The content of a change's event. */
  contentOf: (requester: Requester, change: MemberChange) => Promise<JsonObject>;
  /** Throws `limitExceeded`. */
  limitMessages: (userId: string) => void;
}): Entering => {
  /** Rooms that are being joined by way of others: who wants to join one too waits, and then joins here. */
  const underWay = new Map<string, Promise<RoomEvent>>();

  /** Whether what this server knows of the room is all that there is: it is in the room, or was when nobody else was. */
  const isOurs = async (room: RoomInfo): Promise<boolean> => {
    if (await graph.memberships.isHere(room.num)) return true;
    return (await graph.head(room)).extremities.length > 0 && (await remote().serversIn(room)).size === 0;
  };

  const joinElsewhere = async (
    requester: Requester,
    roomId: string,
    change: MemberChange,
    servers: readonly string[],
  ): Promise<RoomEvent> => {
    // What the room lets guests do cannot be known before.
    if (requester.isGuest) throw forbidden('Guest access not allowed');
    limits.joinElsewhere(requester.userId, roomId);
    return remote().join({ requester, roomId, servers, content: await contentOf(requester, change) });
  };

  const joinHere = async (requester: Requester, room: RoomInfo, change: MemberChange, servers: readonly string[]): Promise<RoomEvent> => {
    try {
      return await changeHere(requester, room, change);
    } catch (error) {
      if (!(error instanceof MatrixError) || !OTHERS_MAY.has(error.errcode)) throw error;
      const state = { version: roomVersion(room.version), state: async (type: string, key: string) => graph.currentState(room, type, key) };
      const others = await serversThatLetIn(state, await remote().serversIn(room));
      if (others.length === 0) throw error;
      return joinElsewhere(requester, room.roomId, change, [...servers, ...others]);
    }
  };

  const join: Entering['enter'] = async (requester, roomId, change, servers) => {
    for (;;) {
      await underWay.get(roomId)?.catch(() => undefined);
      const room = await graph.room(roomId);
      if (room !== undefined && (await isOurs(room))) return joinHere(requester, room, change, servers);
      if (underWay.has(roomId)) continue;
      const joining = joinElsewhere(requester, roomId, change, servers).finally(() => underWay.delete(roomId));
      underWay.set(roomId, joining);
      return joining;
    }
  };

  const knock: Entering['enter'] = async (requester, roomId, change, servers) => {
    const room = await graph.room(roomId);
    if (room !== undefined && (await isOurs(room))) return changeHere(requester, room, change);
    limitMessages(requester.userId);
    return remote().knock({ requester, roomId, servers, content: await contentOf(requester, change) });
  };

  return {
    enter: async (requester, roomId, change, servers) => (change.action === 'join' ? join : knock)(requester, roomId, change, servers),
    leave: async (requester, room, change, how) => {
      const row = await graph.memberships.in(room.num, requester.userNum);
      const isAsked = row?.membership === 'invite' || row?.membership === 'knock';
      const held = isAsked ? await graph.events.byNum(row.eventNum) : undefined;
      if (held === undefined || held.stateRoot !== undefined) return how.changeHere(requester, room, change);
      // It came from outside of the room: it is in the room's state only where this server has come in since.
      const isHere =
        (await graph.memberships.isHere(room.num)) && (await graph.currentState(room, MEMBER, requester.userId))?.num === held.num;
      if (isHere) return how.changeHere(requester, room, change);
      how.pass();
      return remote().leave(requester, room, held, await contentOf(requester, change));
    },
  };
};
