/** An event cites events that are not here. Nothing was done; the caller fetches them and tries again. */
export class MissingEventsError extends Error {
  override readonly name = 'MissingEventsError';
  /** Those that it follows: they have to be received, or the state before it. */
  readonly prev: readonly string[];
  /** Its auth events: `RoomGraph.receiveAuthEvents` takes them. */
  readonly auth: readonly string[];
  constructor(prev: readonly string[], auth: readonly string[]) {
    super(`Events are missing: ${[...prev, ...auth].join(', ')}`);
    this.prev = prev;
    this.auth = auth;
  }
}

/** An event was thrown away: it is not an event of the room, or not its sender's. Nothing is kept of it. */
export class DroppedEventError extends Error {
  override readonly name = 'DroppedEventError';
}

/** An event that was to be taken in only if it counts does not. Nothing is kept of it. */
export class RefusedEventError extends Error {
  override readonly name = 'RefusedEventError';
}
