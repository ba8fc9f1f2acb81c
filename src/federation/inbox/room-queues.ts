import type { Logger } from '#src/platform/logging/index.ts';
import { MatrixError } from '#src/protocol/errors.ts';
import { type CheckedEvent, DroppedEventError, MissingEventsError, type RoomGraph, type RoomInfo } from '#src/rooms/graph/index.ts';
import type { Gaps } from '#src/federation/inbox/gaps.ts';
import { checkServerAcl } from '#src/federation/rooms/acl.ts';
import type { Arrivals } from '#src/federation/rooms/arrivals.ts';

/** An event that is taken in, on its way through the gate. */
export interface StagedPdu {
  readonly position: number;
  readonly room: RoomInfo;
  /** The server that sent it. */
  readonly origin: string;
  readonly checked: CheckedEvent;
  /** Whether it came before it was known that this server is in the room, or an earlier process took it in: that is still to be looked at. */
  readonly isEarly: boolean;
}

/** The events that have yet to be judged, room by room. */
export interface RoomQueues {
  /** Adds events in the order in which they came. They are durable, and stay so until they are judged or given up. */
  add(pdus: readonly StagedPdu[]): void;
  /** Whether an event of this id waits. */
  has(eventId: string): boolean;
  /** Resolves once fewer than so many events of the server wait, or when the time is up. */
  hasRoomFor(origin: string, fewerThan: number, timeoutMs: number): Promise<boolean>;
  /** Resolves once those of the room that lack nothing are judged. */
  idle(roomNum: number): Promise<void>;
  /** Ends after what is being done; the rest stays durable. */
  close(): Promise<void>;
}

interface RoomQueue {
  readonly waiting: StagedPdu[];
  /** Those whose history is being asked for, by the server that sent them. */
  readonly gaps: Map<string, StagedPdu[]>;
  /** The servers that are asked, and those whose turn has yet to come. */
  asking: number;
  readonly toAsk: string[];
  work: Promise<void> | undefined;
}

/** So many events of a room share a transaction at most. */
const BATCH = 50;
/** Of each room's servers so many are asked at a time for what is missing: the events of one that is slow wait alone. */
const MAX_ASKED = 5;

/**
 * One worker for each room takes events through the gate in order. An event that cites what is not here steps aside until its sender has been asked for it, together with later
 * ones of the same sender that lack something too; everything else goes on.
 */
export const createRoomQueues = ({
  graph,
  gaps,
  arrivals,
  forget,
  log,
}: {
  graph: Pick<RoomGraph, 'receiveChecked' | 'memberships' | 'currentState'>;
  gaps: Gaps;
  /** The rooms that this server is coming into: their events wait until that is decided. */
  arrivals: Pick<Arrivals, 'decided'>;
  /** Deletes staged events that are judged or given up. */
  forget: (positions: readonly number[]) => Promise<void>;
  log: Logger;
}): RoomQueues => {
  const rooms = new Map<number, RoomQueue>();
  const byOrigin = new Map<string, number>();
  const eventIds = new Set<string>();
  const listeners = new Set<() => void>();
  const running = new Set<Promise<void>>();
  const stopping = new AbortController();

  const settle = async (pdus: readonly StagedPdu[]): Promise<void> => {
    if (pdus.length === 0) return;
    try {
      await forget(pdus.map(({ position }) => position));
    } catch (error) {
      // They are judged again after the next start, which changes nothing.
      log.warn({ err: error }, 'Events that are judged could not be taken from the staging area');
    }
    for (const { origin, checked } of pdus) {
      eventIds.delete(checked.parsed.eventId);
      const left = (byOrigin.get(origin) ?? 0) - 1;
      if (left > 0) byOrigin.set(origin, left);
      else byOrigin.delete(origin);
    }
    for (const listener of listeners) listener();
  };

  const logFailure = ({ room, origin, checked }: StagedPdu, error: unknown): void => {
    const what = `${checked.parsed.eventId} of ${room.roomId}, which ${origin} sent, is not taken in`;
    if (error instanceof DroppedEventError || error instanceof MissingEventsError) log.info(`${what}: ${error.message}`);
    else log.error({ err: error }, what);
  };

  /** Throws `DroppedEventError` where this server is not in the room after all, or the room's server ACL keeps the sender out. */
  const checkEarly = async ({ room, origin, checked }: StagedPdu): Promise<void> => {
    if (!(await graph.memberships.isHere(room.num)))
      throw new DroppedEventError(`${checked.parsed.eventId}: this server is not in the room`);
    try {
      await checkServerAcl(graph, room, origin);
    } catch (error) {
      throw error instanceof MatrixError ? new DroppedEventError(error.message) : error;
    }
  };

  /** Whether the event is done with; false when it lacks something. */
  const attempt = async (pdu: StagedPdu): Promise<boolean> => {
    try {
      if (pdu.isEarly) await checkEarly(pdu);
      await graph.receiveChecked(pdu.room, pdu.checked);
    } catch (error) {
      if (error instanceof MissingEventsError) return false;
      logFailure(pdu, error);
    }
    return true;
  };

  /** Asks for what the first of a server's events lacks; then it is the next server's turn. */
  const fillGap = async (queue: RoomQueue, origin: string): Promise<void> => {
    const lacking = queue.gaps.get(origin) ?? [];
    const [pdu] = lacking;
    if (pdu !== undefined) {
      try {
        await gaps.receive(pdu.room, pdu.origin, pdu.checked, stopping.signal);
      } catch (error) {
        if (stopping.signal.aborted) return;
        logFailure(pdu, error);
      }
      lacking.shift();
      await settle([pdu]);
    }
    if (lacking.length > 0) queue.toAsk.push(origin);
    else queue.gaps.delete(origin);
  };

  const track = (work: Promise<void>): void => {
    const tracked = work
      .catch((error: unknown) => log.error({ err: error }, 'Events of other servers could not be worked on'))
      .finally(() => running.delete(tracked));
    running.add(tracked);
  };

  const isEmpty = (queue: RoomQueue): boolean => queue.work === undefined && queue.gaps.size === 0;

  const askNext = (roomNum: number, queue: RoomQueue): void => {
    while (queue.asking < MAX_ASKED && !stopping.signal.aborted) {
      const origin = queue.toAsk.shift();
      if (origin === undefined) break;
      queue.asking += 1;
      track(
        fillGap(queue, origin).finally(() => {
          queue.asking -= 1;
          askNext(roomNum, queue);
          if (isEmpty(queue)) rooms.delete(roomNum);
        }),
      );
    }
  };

  const setAside = (roomNum: number, queue: RoomQueue, pdu: StagedPdu): void => {
    const lacking = queue.gaps.get(pdu.origin);
    if (lacking !== undefined) {
      lacking.push(pdu);
      return;
    }
    queue.gaps.set(pdu.origin, [pdu]);
    queue.toAsk.push(pdu.origin);
    askNext(roomNum, queue);
  };

  const drain = async (roomNum: number, queue: RoomQueue): Promise<void> => {
    await arrivals.decided(roomNum);
    while (queue.waiting.length > 0 && !stopping.signal.aborted) {
      const batch = queue.waiting.splice(0, BATCH);
      const done = await Promise.all(batch.map(attempt));
      for (const [index, pdu] of batch.entries()) if (done[index] === false) setAside(roomNum, queue, pdu);
      await settle(batch.filter((_, index) => done[index]));
    }
    queue.work = undefined;
    if (isEmpty(queue)) rooms.delete(roomNum);
  };

  return {
    add: (pdus) => {
      for (const pdu of pdus) {
        eventIds.add(pdu.checked.parsed.eventId);
        byOrigin.set(pdu.origin, (byOrigin.get(pdu.origin) ?? 0) + 1);
        const queue = rooms.getOrInsertComputed(pdu.room.num, () => ({
          waiting: [],
          gaps: new Map(),
          asking: 0,
          toAsk: [],
          work: undefined,
        }));
        queue.waiting.push(pdu);
      }
      for (const roomNum of new Set(pdus.map(({ room }) => room.num))) {
        const queue = rooms.get(roomNum);
        if (queue === undefined || queue.work !== undefined || stopping.signal.aborted) continue;
        queue.work = drain(roomNum, queue);
        track(queue.work);
      }
    },
    has: (eventId) => eventIds.has(eventId),
    hasRoomFor: async (origin, fewerThan, timeoutMs) => {
      const hasRoom = (): boolean => (byOrigin.get(origin) ?? 0) < fewerThan;
      if (hasRoom()) return true;
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const listener = (): void => {
        if (hasRoom()) resolve(true);
      };
      listeners.add(listener);
      const timer = setTimeout(() => resolve(false), timeoutMs).unref();
      try {
        return await promise;
      } finally {
        listeners.delete(listener);
        clearTimeout(timer);
      }
    },
    idle: async (roomNum) => {
      await rooms.get(roomNum)?.work;
    },
    close: async () => {
      stopping.abort();
      await Promise.all(running);
    },
  };
};
