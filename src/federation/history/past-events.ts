import type { Logger } from '#src/platform/logging/index.ts';
import { type CheckedEvent, DroppedEventError, MissingEventsError } from '#src/rooms/graph/index.ts';
import type { Questions, Where } from '#src/federation/history/questions.ts';

/** Logs why an event was not taken in; throws what is no reason for that. */
export const logNotTaken = (log: Logger, { origin }: Where, { parsed: { eventId } }: CheckedEvent, error: unknown): void => {
  if (!(error instanceof DroppedEventError) && !(error instanceof MissingEventsError)) throw error;
  log.info(`${eventId}, which ${origin} gave, is not taken in: ${error.message}`);
};

/** Receives an event of the past where it stood; the server tells the state before it if that does not follow from what is here. */
export const receivePastEvent = async (
  { questions, log }: { questions: Pick<Questions, 'receive' | 'stateBefore'>; log: Logger },
  where: Where,
  checked: CheckedEvent,
): Promise<void> => {
  const tellState = async (prev: readonly string[]) => {
    const state = await questions.stateBefore(where, checked.parsed.eventId);
    return state && new Map(prev.map((eventId) => [eventId, state]));
  };
  try {
    await questions.receive(where, checked, tellState, { isPast: true });
  } catch (error) {
    logNotTaken(log, where, checked, error);
  }
};
