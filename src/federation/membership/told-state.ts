import { invalidParam } from '#src/protocol/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '#src/protocol/json.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import { type StrippedEvent, strippedEvent } from '#src/protocol/stripped-state.ts';
import { DroppedEventError, type RoomGraph } from '#src/rooms/graph/index.ts';

/** The room that is told of. */
interface RoomName {
  readonly roomId: string;
  readonly version: string;
}

const MAX_EVENTS = 500;

/** What of an event clients are shown, if it has it. */
const asStripped = (event: JsonObject): StrippedEvent | undefined => {
  const { type, state_key: stateKey, sender, content } = event;
  if (typeof type !== 'string' || typeof stateKey !== 'string' || typeof sender !== 'string' || !isJsonObject(content)) return undefined;
  return strippedEvent({ type, state_key: stateKey, sender, content });
};

const listOf = (told: JsonValue | undefined): readonly JsonObject[] =>
  Array.isArray(told) ? (told as readonly JsonValue[]).filter((each) => isJsonObject(each)).slice(0, MAX_EVENTS) : [];

/**
 * The state by which another server tells what room it is: `invite_room_state` and `knock_room_state`. From room version 12 on it has to be made of whole events of
 * the room, signed by their senders' servers, the create event among them: `strict` throws `invalidParam` where it is not, else what is not right is left
 * out. Before, it is what it claims to be.
 */
export const readToldState = async (
  graph: Pick<RoomGraph, 'checkEvent'>,
  room: RoomName,
  told: JsonValue | undefined,
  { strict }: { readonly strict: boolean },
): Promise<readonly StrippedEvent[]> => {
  if (roomVersion(room.version).roomIds !== 'create-event') return listOf(told).flatMap((each) => asStripped(each) ?? []);
  if (strict && !Array.isArray(told)) throw invalidParam('The state of the room must be a list of its events');
  const state: StrippedEvent[] = [];
  for (const each of listOf(told)) {
    try {
      const { pdu } = await graph.checkEvent(room, each);
      if (pdu.state_key !== undefined) state.push(strippedEvent(pdu));
    } catch (error) {
      if (!(error instanceof DroppedEventError)) throw error;
      if (strict) throw invalidParam(`What is told of the room is not in order: ${error.message}`);
    }
  }
  if (strict && !state.some(({ type, state_key: stateKey }) => type === 'm.room.create' && stateKey === ''))
    throw invalidParam('The create event of the room is not told');
  return state;
};
