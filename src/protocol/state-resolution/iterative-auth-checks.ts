import { type AuthState, authStateOf, checkAuth, stateKeyText } from '#src/protocol/auth-rules/index.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import type { KnownEvents, ResolutionEvent } from '#src/protocol/state-resolution/events.ts';
import { authorisingEventIds } from '#src/protocol/state-resolution/events.ts';

/** A room state in the making: what has been applied, by `stateKeyText`, over the state that it started from. */
export interface PartialState {
  readonly applied: Map<string, ResolutionEvent>;
  readonly initial: AuthState;
}

/**
 * Applies each event to the state if the authorisation rules allow it there. Where the state has no event for a key that the rules ask for,
 * the event's own auth event stands in, unless that was rejected. All events must have been loaded, auth events too.
 */
export const applyAuthorised = (
  state: PartialState,
  sorted: readonly ResolutionEvent[],
  events: KnownEvents,
  version: RoomVersion,
): void => {
  for (const event of sorted) {
    const cited = authorisingEventIds(event, version)
      .map((eventId) => events.get(eventId))
      .filter((authEvent) => authEvent !== undefined && !authEvent.rejected);
    const fallback = authStateOf(cited as ResolutionEvent[]);
    const lookUp: AuthState = (type, stateKey) =>
      state.applied.get(stateKeyText(type, stateKey)) ?? state.initial(type, stateKey) ?? fallback(type, stateKey);
    const { type, state_key: stateKey } = event.pdu;
    if (stateKey !== undefined && checkAuth(event.pdu, lookUp, version).allowed) state.applied.set(stateKeyText(type, stateKey), event);
  }
};
