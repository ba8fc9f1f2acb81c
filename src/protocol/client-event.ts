import type { RoomEvent } from '#src/protocol/events.ts';
import type { JsonNumber, JsonObject } from '#src/protocol/json.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';

/** An event as clients get it (client-server API, Room event format), still without `unsigned`. */
export type ClientEvent = {
  readonly type: string;
  readonly state_key?: string;
  readonly sender: string;
  readonly content: JsonObject;
  readonly event_id: string;
  readonly origin_server_ts: JsonNumber;
  /** Left out in `/sync`, where the room is known. */
  readonly room_id?: string;
  readonly redacts?: string;
};

/**
 * What a redaction redacts, wherever its room version puts it; `undefined` for other events and for a redaction that has been
 * redacted itself.
 */
export const redactsOf = ({ pdu }: Pick<RoomEvent, 'pdu'>, version: RoomVersion): string | undefined => {
  const redacts = version.redactsIn === 'content' ? pdu.content.redacts : pdu.redacts;
  return pdu.type === 'm.room.redaction' && typeof redacts === 'string' ? redacts : undefined;
};

/** The event in the format of `/sync`, which names no room. A redaction says what it redacts at both places, for clients old and new. */
export const syncEvent = (event: Pick<RoomEvent, 'eventId' | 'pdu'>, version: RoomVersion): ClientEvent => {
  const { pdu } = event;
  const redacts = redactsOf(event, version);
  return {
    type: pdu.type,
    ...(pdu.state_key === undefined ? {} : { state_key: pdu.state_key }),
    sender: pdu.sender,
    content: redacts === undefined ? pdu.content : { ...pdu.content, redacts },
    event_id: event.eventId,
    origin_server_ts: pdu.origin_server_ts,
    ...(redacts === undefined ? {} : { redacts }),
  };
};

/** The event as `/messages` and all others but `/sync` give it, also a version 12 create event with its room's id. */
export const clientEvent = (event: RoomEvent, version: RoomVersion): ClientEvent => ({
  ...syncEvent(event, version),
  room_id: event.roomId,
});

/** The JSON of a client event, serialised once for everybody, with what this reader gets as `unsigned`. */
export const withUnsigned = (json: string, unsigned: JsonObject | undefined): string =>
  unsigned === undefined ? json : `${json.slice(0, -1)},"unsigned":${JSON.stringify(unsigned)}}`;
