import type { LeaveRooms } from '#src/accounts/index.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import { MatrixError } from '#src/protocol/errors.ts';
import type { RoomGraph } from '#src/rooms/graph/index.ts';
import type { Membership } from '#src/rooms/membership/service.ts';

const PRESENT: ReadonlySet<string> = new Set(['join', 'invite', 'knock']);

/** How users who are no more leave their rooms, decline their invites and take back their knocks; no limits hold them up. */
export const createLeaveRooms =
  ({
    graph,
    membership,
    log,
  }: {
    graph: Pick<RoomGraph, 'memberships' | 'rooms'>;
    membership: Pick<Membership, 'leave'>;
    log: Logger;
  }): LeaveRooms =>
  async ({ userId, userNum }, signal) => {
    const requester = { userId, userNum, deviceId: undefined, sessionNum: undefined, isGuest: false, isAdmin: false };
    const rows = await graph.memberships.ofUser(userNum);
    const present = [...rows.values()].filter((row) => PRESENT.has(row.membership)).map((row) => row.roomNum);
    for (const room of (await graph.rooms(present)).values()) {
      if (signal.aborted) return;
      try {
        await membership.leave(requester, room);
      } catch (error) {
        // A room whose rules keep the user must not keep it in the others.
        if (!(error instanceof MatrixError)) throw error;
        log.warn({ err: error, room_id: room.roomId, user_id: userId }, 'A room did not let a deactivated user leave');
      }
    }
  };
