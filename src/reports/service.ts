import type { Accounts, Requester } from '#src/accounts/index.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Database } from '#src/platform/database/types.ts';
import { badJson, MatrixError, notFound } from '#src/protocol/errors.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import type { RoomEvent, RoomGraph } from '#src/rooms/graph/index.ts';
import type { History } from '#src/rooms/history/index.ts';
import { insertEventReport, insertRoomReport, insertUserReport, type NewReport } from '#src/reports/store.ts';

/** What a user says of an event. */
export interface EventComplaint {
  readonly reason?: string;
  /** From 0 to -100, how bad it is, as clients said before version 1.18 of the specification. */
  readonly score?: number;
}

/** Taking reports of users (client-server API, "Reporting Content"). */
export interface Reports {
  /** Throws `notFound` for an event that the user may not see. */
  reportEvent(requester: Requester, roomId: string, eventId: string, complaint: EventComplaint): Promise<void>;
  /** The user need not be in the room. Throws `notFound` for one that is not known. */
  reportRoom(requester: Requester, roomId: string, reason: string): Promise<void>;
  /** Says nothing of whether the user exists. Throws `badJson` for a reason that is too long. */
  reportUser(requester: Requester, userId: string, reason: string): Promise<void>;
}

export interface ReportTools {
  readonly database: Database;
  readonly clock: Pick<Clock, 'now'>;
  readonly graph: Pick<RoomGraph, 'room' | 'events'>;
  readonly history: Pick<History, 'access' | 'visibility'>;
  readonly accounts: Pick<Accounts, 'find'>;
  readonly serverName: string;
}

const MAX_REASON = 1000;

export const createReports = ({ database, clock, graph, history, accounts, serverName }: ReportTools): Reports => {
  const newReport = ({ userNum }: Requester, content: object): NewReport => ({
    userNum,
    receivedTs: clock.now(),
    content: JSON.stringify(content),
  });

  const seenEvent = async (requester: Requester, roomId: string, eventId: string): Promise<RoomEvent | undefined> => {
    try {
      const { room } = await history.access.reading(requester, roomId);
      const event = await graph.events.byId(eventId);
      if (event?.roomNum !== room.num) return undefined;
      return (await history.visibility.visible(requester, room, [event]))[0]?.event;
    } catch (error) {
      if (error instanceof MatrixError) return undefined;
      throw error;
    }
  };

  return {
    reportEvent: async (requester, roomId, eventId, { reason, score }) => {
      const event = await seenEvent(requester, roomId, eventId);
      if (event === undefined) throw notFound("Unable to report event: it does not exist or you aren't able to see it.");
      const report = { ...newReport(requester, { reason, score }), roomNum: event.roomNum, eventNum: event.num };
      await database.write('report event', async (tx) => insertEventReport(tx, report));
    },
    reportRoom: async (requester, roomId, reason) => {
      const room = await graph.room(roomId);
      if (room === undefined) throw notFound('Room does not exist');
      const report = { ...newReport(requester, { reason }), roomNum: room.num };
      await database.write('report room', async (tx) => insertRoomReport(tx, report));
    },
    reportUser: async (requester, userId, reason) => {
      if (reason.length > MAX_REASON) throw badJson(`Reason must be less than ${String(MAX_REASON)} characters`);
      const user = domainOf(userId) === serverName ? await accounts.find(userId) : undefined;
      if (user === undefined) return;
      const report = { ...newReport(requester, { reason }), targetNum: user.userNum };
      await database.write('report user', async (tx) => insertUserReport(tx, report));
    },
  };
};
