import type { RoomEvent } from '#src/protocol/events.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import type { AuthState, StateEvent, Verdict } from '#src/protocol/auth-rules/check.ts';
import { ALLOWED, numbered, rejected } from '#src/protocol/auth-rules/check.ts';
import { authTypesFor, stateKeyText } from '#src/protocol/auth-rules/selection.ts';

/** One of an event's auth events and what became of it. */
export interface AuthEvent extends RoomEvent {
  readonly rejected: boolean;
}

/** Rules 3.1 to 3.5 as the page of version 12 counts them; 3.4 is of older versions. */
const check = (event: Pick<RoomEvent, 'roomId' | 'pdu'>, authEvents: readonly AuthEvent[], version: RoomVersion): Verdict => {
  const names = authEvents.map(({ pdu }) => stateKeyText(pdu.type, pdu.state_key ?? ''));
  if (new Set(names).size !== names.length) return rejected('3.1', 'Two auth events have the same type and state key');
  const selected = new Set(authTypesFor(event.pdu, version).map(([type, stateKey]) => stateKeyText(type, stateKey)));
  const stray = authEvents.find(({ pdu }, index) => pdu.state_key === undefined || !selected.has(names[index]!));
  if (stray !== undefined) return rejected('3.2', `The event's auth events should not contain ${stray.pdu.type}`);
  if (authEvents.some((authEvent) => authEvent.rejected)) return rejected('3.3', 'An auth event was itself rejected');
  if (version.createInAuthEvents && !authEvents.some(({ pdu }) => pdu.type === 'm.room.create')) {
    return rejected('3.4', 'The create event is not among the auth events');
  }
  return authEvents.some(({ roomId }) => roomId !== event.roomId) ? rejected('3.5', 'An auth event is of another room') : ALLOWED;
};

/**
 * Rule 3 (2 before version 12): whether the event cites the auth events that it may. All that its `auth_events` name must be given. A create
 * event, which rule 1 judges alone, has none.
 */
export const checkAuthEvents = (
  event: Pick<RoomEvent, 'roomId' | 'pdu'>,
  authEvents: readonly AuthEvent[],
  version: RoomVersion,
): Verdict => (event.pdu.type === 'm.room.create' ? ALLOWED : numbered(check(event, authEvents, version), version));

/** The state that consists of these events. From version 12 the room's create event has to be added to an event's auth events. */
export const authStateOf = (events: Iterable<StateEvent>): AuthState => {
  const byName = new Map<string, StateEvent>();
  for (const event of events) byName.set(stateKeyText(event.pdu.type, event.pdu.state_key ?? ''), event);
  return (type, stateKey) => byName.get(stateKeyText(type, stateKey));
};
