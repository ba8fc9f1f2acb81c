import type { RoomEvent } from '#src/protocol/events.ts';
import { authEventIds } from '#src/protocol/events.ts';
import { createEventIdOf } from '#src/protocol/identifiers.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';

/** A state event and what became of it. */
export interface ResolutionEvent extends Pick<RoomEvent, 'eventId' | 'pdu'> {
  readonly rejected: boolean;
}

/** Finds events of the room by id; those that are not known are left out. */
export type LoadEvents = (eventIds: readonly string[]) => Promise<ReadonlyMap<string, ResolutionEvent>>;

/** The events that one resolution has seen so far. */
export interface KnownEvents {
  /** Makes these events known, in one call for all that are not yet. */
  load(eventIds: Iterable<string>): Promise<void>;
  /** An event that has been loaded; `undefined` for one that could not be found. */
  get(eventId: string): ResolutionEvent | undefined;
  /** An event without which nothing can be resolved. Throws `Error` when it has not been found. */
  need(eventId: string): ResolutionEvent;
}

export const createKnownEvents = (loadEvents: LoadEvents): KnownEvents => {
  const known = new Map<string, ResolutionEvent | undefined>();
  return {
    load: async (eventIds) => {
      const missing = [...new Set(eventIds)].filter((eventId) => !known.has(eventId));
      if (missing.length === 0) return;
      const loaded = await loadEvents(missing);
      for (const eventId of missing) known.set(eventId, loaded.get(eventId));
    },
    get: (eventId) => known.get(eventId),
    need: (eventId) => {
      const event = known.get(eventId);
      if (event === undefined) throw new Error(`State resolution needs the event ${eventId}`);
      return event;
    },
  };
};

/** What an event is authorised by: its auth events and, where they do not name it, the room's create event. */
export const authorisingEventIds = ({ pdu }: ResolutionEvent, version: RoomVersion): readonly string[] =>
  version.createInAuthEvents || pdu.room_id === undefined ? authEventIds(pdu) : [...authEventIds(pdu), createEventIdOf(pdu.room_id)];

/** The power levels event among an event's auth events, which must have been loaded. */
export const powerLevelsAmong = ({ pdu }: ResolutionEvent, events: KnownEvents): ResolutionEvent | undefined =>
  authEventIds(pdu)
    .map((eventId) => events.get(eventId))
    .find((event) => event?.pdu.type === 'm.room.power_levels');
