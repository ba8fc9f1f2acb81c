import type { Logger } from '#src/platform/logging/index.ts';
import { type CheckedEvent, DroppedEventError, MissingEventsError, type RoomGraph, type RoomInfo } from '#src/rooms/graph/index.ts';
import { inOrderOfHistory } from '#src/federation/history/order.ts';
import { objectsIn, type Questions, type Where } from '#src/federation/history/questions.ts';

/** Takes in events whose history is not here, by asking the server that sent them for it. */
export interface Gaps {
  /**
   * Receives an event that was pushed to this server. What it follows is asked for, and before that the state; an event about whose history the server does not
   * speak is not taken in. Throws `DroppedEventError`, `MissingEventsError`.
   */
  receive(room: RoomInfo, origin: string, checked: CheckedEvent, signal: AbortSignal): Promise<void>;
}

/** As many events as are asked for before an event, as Synapse does. */
const MAX_MISSING = 10;
const TIMEOUT_MS = 60_000;
const MEBIBYTE = 1024 * 1024;
/** Of the events that the room ends in so many are named. */
const MAX_EARLIEST = 20;

export const createGaps = ({ graph, questions, log }: { graph: Pick<RoomGraph, 'head'>; questions: Questions; log: Logger }): Gaps => {
  /** Receives an event that was asked for: where what it follows is missing in turn, upon the state that the server tells. */
  const receivePulled = async (where: Where, checked: CheckedEvent): Promise<void> =>
    questions.receive(where, checked, async (prev) => {
      const states = new Map<string, readonly string[]>();
      for (const eventId of prev) {
        const state = await questions.stateAfter(where, eventId);
        if (state !== undefined) states.set(eventId, state);
      }
      return states;
    });

  const fetchMissing = async (where: Where, eventId: string): Promise<void> => {
    const { extremities } = await graph.head(where.room);
    const answer = await questions.ask(where, 'get_missing_events', [where.room.roomId], {
      method: 'POST',
      content: {
        earliest_events: extremities.slice(0, MAX_EARLIEST).map((event) => event.eventId),
        latest_events: [eventId],
        limit: MAX_MISSING,
        min_depth: 0,
      },
      timeoutMs: TIMEOUT_MS,
      maxBytes: 2 * MEBIBYTE,
    });
    const pulled = await questions.check(where, objectsIn(answer?.events).slice(0, 2 * MAX_MISSING));
    for (const checked of inOrderOfHistory(pulled)) {
      if (where.signal.aborted) return;
      try {
        await receivePulled(where, checked);
      } catch (error) {
        if (!(error instanceof DroppedEventError) && !(error instanceof MissingEventsError)) throw error;
        log.info(`${checked.parsed.eventId}, which ${where.origin} gave, is not taken in: ${error.message}`);
      }
    }
  };

  return {
    receive: async (room, origin, checked, signal) => {
      const where = { room, origin, signal, ignoresBackOff: true };
      await questions.receive(where, checked, async () => {
        await fetchMissing(where, checked.parsed.eventId);
        return undefined;
      });
    },
  };
};
