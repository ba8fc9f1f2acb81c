import { canonicalJson } from '#src/protocol/canonical-json.ts';
import { syncEvent } from '#src/protocol/client-event.ts';
import type { Pdu } from '#src/protocol/events.ts';
import { numbersOf } from '#src/protocol/hashes.ts';
import { redact } from '#src/protocol/redaction.ts';
import { type RoomVersion, roomVersion } from '#src/protocol/room-versions.ts';
import type { RoomEvent, RoomInfo } from '#src/rooms/graph/index.ts';

/** How an event is written: as clients know it, or as servers exchange it (the filter's `event_format`). */
export type EventFormat = 'client' | 'federation';

/** An event as anybody may see it now: redacted where a redaction applies. */
export const shownPdu = (event: RoomEvent, version: RoomVersion): Pdu =>
  event.redactedBy === undefined ? event.pdu : redact(event.pdu, version);

/** The members of an event as clients get it, without braces: all but `room_id` and `unsigned`. */
const clientMembers = (event: RoomEvent, version: RoomVersion): string =>
  JSON.stringify(syncEvent({ eventId: event.eventId, pdu: shownPdu(event, version) }, version)).slice(1, -1);

/** The members of an event as servers exchange it, with the id that servers compute, without `room_id` and `unsigned`. */
const federationMembers = (event: RoomEvent, version: RoomVersion): string => {
  const { room_id: _roomId, ...pdu } = shownPdu(event, version);
  return canonicalJson({ ...pdu, event_id: event.eventId }, numbersOf(version)).slice(1, -1);
};

/** The state event that a state event took the place of, and the redaction that applies to an event: what `unsigned` tells everybody. */
export interface Surroundings {
  readonly replaced: RoomEvent | undefined;
  readonly redaction: RoomEvent | undefined;
}

/** What `unsigned` tells one reader. */
export interface ForReader {
  readonly ageMs: number;
  /** The transaction id with which the reading device sent the event. */
  readonly transactionId: string | undefined;
  /** What the reader was in the room when the event was sent; undefined where that is not known. */
  readonly membership: string | undefined;
  /** `m.relations` as JSON text. */
  readonly relations: string | undefined;
}

/** What is the same for everybody, serialised once. A redaction makes new event objects, so nothing here goes stale. */
interface Shared {
  readonly members: string;
  readonly surroundings: Surroundings;
  /** Begins with a comma unless it is empty. */
  readonly unsigned: string;
}

/** Writes events as JSON text: once for everybody, with each reader's own `unsigned` spliced in. */
export interface EventWriter {
  write(room: RoomInfo, event: RoomEvent, around: Surroundings, reader: ForReader, withRoomId: boolean, format: EventFormat): string;
}

export const NOTHING_AROUND: Surroundings = { replaced: undefined, redaction: undefined };

export const createEventWriter = (): EventWriter => {
  const caches = { client: new WeakMap<RoomEvent, Shared>(), federation: new WeakMap<RoomEvent, Shared>() };

  const sharedUnsigned = (room: RoomInfo, version: RoomVersion, { replaced, redaction }: Surroundings): string => {
    let text = '';
    if (replaced !== undefined) {
      text += `,"prev_content":${JSON.stringify(shownPdu(replaced, version).content)},"prev_sender":${JSON.stringify(replaced.pdu.sender)}`;
      text += `,"replaces_state":${JSON.stringify(replaced.eventId)}`;
    }
    if (redaction !== undefined) {
      const because = `{${shared(room, redaction, NOTHING_AROUND, 'client').members},"room_id":${JSON.stringify(room.roomId)}}`;
      text += `,"redacted_by":${JSON.stringify(redaction.eventId)},"redacted_because":${because}`;
    }
    return text;
  };

  const shared = (room: RoomInfo, event: RoomEvent, around: Surroundings, format: EventFormat): Shared => {
    const cache = caches[format];
    const known = cache.get(event);
    const isSame = known?.surroundings.replaced === around.replaced && known?.surroundings.redaction === around.redaction;
    if (known !== undefined && isSame) return known;
    const version = roomVersion(room.version);
    const made: Shared = {
      members: known?.members ?? (format === 'client' ? clientMembers(event, version) : federationMembers(event, version)),
      surroundings: around,
      unsigned: sharedUnsigned(room, version, around),
    };
    cache.set(event, made);
    return made;
  };

  return {
    write: (room, event, around, reader, withRoomId, format) => {
      const { members, unsigned } = shared(room, event, around, format);
      let own = `"age":${String(reader.ageMs)}`;
      if (reader.membership !== undefined) own += `,"membership":${JSON.stringify(reader.membership)}`;
      if (reader.transactionId !== undefined) own += `,"transaction_id":${JSON.stringify(reader.transactionId)}`;
      if (reader.relations !== undefined) own += `,"m.relations":${reader.relations}`;
      const roomId = withRoomId ? `,"room_id":${JSON.stringify(room.roomId)}` : '';
      return `{${members}${roomId},"unsigned":{${own}${unsigned}}}`;
    },
  };
};
