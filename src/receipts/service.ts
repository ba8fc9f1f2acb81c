import { forbidden, invalidParam, notFound } from '#src/protocol/errors.ts';
import { type JsonObject, member } from '#src/protocol/json.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import { createRecentRows } from '#src/platform/streams/recent-rows.ts';
import type { AccountData } from '#src/account-data/index.ts';
import type { Requester } from '#src/accounts/index.ts';
import type { RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import { createReadMarks, type ReadMarks } from '#src/receipts/marks.ts';
import { createReceiptSource, type ReceiptSource } from '#src/receipts/source.ts';
import { putReceipt, receiptPosition, type ReceiptRow } from '#src/receipts/store.ts';
import { isInThread } from '#src/receipts/threads.ts';

export const RECEIPTS_STREAM = 'receipts';

export const RECEIPT_TYPES = ['m.read', 'm.read.private', 'm.fully_read'] as const;
export type ReceiptType = (typeof RECEIPT_TYPES)[number];

export interface Receipts {
  /**
   * Takes note that somebody has read up to an event. One for an older event than before changes nothing. Throws `forbidden` for who is not in the
   * room, `notFound` for an event that is not there, `invalidParam` for a thread that the event is not in.
   */
  mark(requester: Requester, roomId: string, marks: readonly ReadMark[]): Promise<void>;
  /** Another server says up to where a user of its has read, at `ts`. An event that is not here, or an older one than before, changes nothing. */
  receive(room: RoomInfo, userNum: number, mark: ReadMark & { readonly ts: number | undefined }): Promise<void>;
  readonly source: ReceiptSource;
  /** Calls when a user of this server has read something and others may know it. */
  onOwn(listener: (receipt: OwnReceipt) => void): void;
  /** Calls with every user who has read something. */
  onRead(listener: (userNum: number) => void): void;
  /** Up to where users have read. */
  readonly readMarks: Pick<ReadMarks, 'of'>;
}

/** Up to where a user of this server has read, for other servers to know. */
export interface OwnReceipt {
  readonly roomNum: number;
  readonly userId: string;
  readonly eventId: string;
  readonly threadId: string | undefined;
  /** When, in milliseconds. */
  readonly ts: number;
}

export interface ReadMark {
  readonly type: ReceiptType;
  readonly eventId: string;
  /** Undefined for the whole room. */
  readonly threadId: string | undefined;
}

export interface ReceiptTools {
  readonly database: Database;
  readonly strings: Strings;
  readonly clock: Clock;
  readonly graph: Pick<RoomGraph, 'room' | 'memberships' | 'events'>;
  readonly accountData: Pick<AccountData, 'get' | 'update'>;
}

export const createReceipts = ({ database, strings, clock, graph, accountData }: ReceiptTools): Receipts => {
  const position = (): number => database.positions.current(RECEIPTS_STREAM).min;
  const recent = createRecentRows<{ position: number; row: ReceiptRow }>(position());
  const readMarks = createReadMarks(database);
  const listeners: ((roomNum: number) => void)[] = [];
  const readListeners: ((userNum: number) => void)[] = [];
  const ownListeners: ((receipt: OwnReceipt) => void)[] = [];

  const eventOf = async (room: RoomInfo, { eventId, threadId }: ReadMark): Promise<RoomEvent & { position: number }> => {
    const event = await graph.events.byId(eventId);
    if (event?.roomNum !== room.num || event.position === undefined) throw notFound('Event not found');
    if (threadId !== undefined && !(await isInThread(graph.events, event, threadId)))
      throw invalidParam(`event_id ${eventId} is not related to thread ${threadId}`);
    return { ...event, position: event.position };
  };

  const markRead = async (
    userNum: number,
    room: RoomInfo,
    event: { eventId: string; position: number },
    mark: ReadMark,
    ts = clock.now(),
  ): Promise<boolean> => {
    const hasMoved = await database.write('receipt', async (tx) => {
      const key = { room_num: room.num, user_num: userNum, receipt_type: mark.type, thread_id: mark.threadId ?? '' };
      const before = await receiptPosition(tx, key);
      if (before !== undefined && before >= event.position) return false;
      const row: ReceiptRow = {
        ...key,
        event_id: event.eventId,
        event_position: event.position,
        received_ts: ts,
        stream_position: await tx.nextPositions(RECEIPTS_STREAM),
      };
      putReceipt(tx, row);
      tx.onCommit(() => {
        recent.note({ position: row.stream_position, row });
        readMarks.forget(userNum, room.num);
      });
      return true;
    });
    for (const listener of listeners) listener(room.num);
    for (const listener of readListeners) listener(userNum);
    return hasMoved;
  };

  /** The marker only moves on; it is the user's own and stands in the room's account data. */
  const markFullyRead = async (userNum: number, room: RoomInfo, event: { eventId: string; position: number }): Promise<void> => {
    const place = { userNum, roomNum: room.num, type: 'm.fully_read' };
    for (let isDone = false; !isDone;) {
      const text = await accountData.get(place);
      const marked = text === undefined ? undefined : member(JSON.parse(text) as JsonObject, 'event_id');
      const before = typeof marked === 'string' ? await graph.events.byId(marked) : undefined;
      if ((before?.position ?? -Infinity) >= event.position) return;
      // Another request may have moved it meanwhile: then look again.
      await accountData.update(place, (content) => {
        isDone = content?.event_id === marked;
        return isDone ? { event_id: event.eventId } : undefined;
      });
    }
  };

  return {
    mark: async (requester, roomId, marks) => {
      const { userNum } = requester;
      const room = await graph.room(roomId);
      const membership = room && (await graph.memberships.in(room.num, userNum))?.membership;
      if (room === undefined || membership !== 'join') throw forbidden(`User ${requester.userId} not in room ${roomId}`);
      const events: (RoomEvent & { position: number })[] = [];
      for (const mark of marks) events.push(await eventOf(room, mark));
      for (const [index, mark] of marks.entries()) {
        const event = events[index] as (typeof events)[number];
        if (mark.type === 'm.fully_read') {
          await markFullyRead(userNum, room, event);
          continue;
        }
        const ts = clock.now();
        const hasMoved = await markRead(userNum, room, event, mark, ts);
        if (!hasMoved || mark.type === 'm.read.private') continue;
        const { eventId, threadId } = mark;
        for (const listener of ownListeners) listener({ roomNum: room.num, userId: requester.userId, eventId, threadId, ts });
      }
    },
    receive: async (room, userNum, mark) => {
      const event = await graph.events.byId(mark.eventId);
      if (event?.roomNum !== room.num || event.position === undefined) return;
      await markRead(userNum, room, { eventId: event.eventId, position: event.position }, mark, mark.ts);
    },
    readMarks,
    onOwn: (listener) => void ownListeners.push(listener),
    onRead: (listener) => void readListeners.push(listener),
    source: createReceiptSource({ database, strings, recent, position, subscribe: (listener) => void listeners.push(listener) }),
  };
};
