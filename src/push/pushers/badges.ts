import type { RoomEvent, RoomGraph } from '#src/rooms/graph/index.ts';
import type { UnreadCounts } from '#src/push/counts.ts';
import { MAIN_THREAD } from '#src/push/counts-store.ts';
import { MAIN, type ReadMarks } from '#src/push/ports.ts';
import { threadOf } from '#src/push/threads.ts';

/** How much is unread, as apps show it beside their names. */
export interface Badges {
  /** Rooms with something unread, or by the configuration everything that is unread; and invites. */
  of(userNum: number): Promise<number>;
  /** Whether a user has read up to an event by now. */
  hasRead(userNum: number, event: RoomEvent): Promise<boolean>;
}

export const createBadges = ({
  graph,
  unreadCounts,
  readMarks,
  countsRooms,
}: {
  graph: Pick<RoomGraph, 'events'> & { readonly memberships: Pick<RoomGraph['memberships'], 'ofUser'> };
  unreadCounts: UnreadCounts;
  readMarks: ReadMarks;
  /** `push.group_unread_count_by_room` */
  countsRooms: boolean;
}): Badges => ({
  of: async (userNum) => {
    const rooms = [...(await graph.memberships.ofUser(userNum)).values()];
    const joined = rooms.filter((row) => row.membership === 'join').map((row) => row.roomNum);
    const invites = rooms.filter((row) => row.membership === 'invite').length;
    const counts = await unreadCounts.of({ userNum }, joined, false);
    let sum = invites;
    for (const { notifications } of counts.values()) if (notifications > 0) sum += countsRooms ? 1 : notifications;
    return sum;
  },
  hasRead: async (userNum, event) => {
    const mark = (await readMarks.of(userNum, [event.roomNum])).get(event.roomNum);
    const { position } = event;
    if (mark === undefined || position === undefined) return false;
    if ((mark.unthreaded ?? 0) >= position) return true;
    if (mark.threads.size === 0) return false;
    const threadNum = await threadOf(event, async (eventId) => graph.events.byId(eventId));
    const root = threadNum === MAIN_THREAD ? MAIN : (await graph.events.byNum(threadNum))?.eventId;
    return root !== undefined && (mark.threads.get(root) ?? 0) >= position;
  },
});
