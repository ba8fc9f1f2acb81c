import type { JsonObject } from '#src/protocol/json.ts';
import type { RoomEvent, RoomInfo } from '#src/rooms/graph/index.ts';

/** What has to relate to an event for it to be wanted: some relation type, some sender. What is undefined does not restrict. */
export interface RelatedBy {
  readonly types: readonly string[] | undefined;
  readonly senders: readonly string[] | undefined;
}

/** Which events of a room a client wants to see (client-server API, `RoomEventFilter`). */
export interface EventFilter {
  readonly lazyLoadMembers: boolean;
  readonly relatedBy: RelatedBy | undefined;
  allows(event: { readonly type: string; readonly sender: string; readonly roomId: string; readonly content: JsonObject }): boolean;
}

/** Reads a filter that was given as JSON text; throws `notJson` or `badJson`. The port by which the filters come in. */
export type ParseFilter = (text: string) => Promise<EventFilter>;

export const passes = (filter: EventFilter | undefined, room: RoomInfo, { pdu }: RoomEvent): boolean =>
  filter === undefined || filter.allows({ type: pdu.type, sender: pdu.sender, roomId: room.roomId, content: pdu.content });
