import { type Head, NOTHING_MISSING } from '#src/rooms/graph/draft.ts';
import type { RoomEvent } from '#src/rooms/graph/events.ts';
import type { Made, Workbench } from '#src/rooms/graph/receive/bench.ts';
import type { Incoming } from '#src/rooms/graph/receive/incoming.ts';
import { asRoomEvent } from '#src/rooms/graph/receive/place.ts';
import { addEvent } from '#src/rooms/graph/view.ts';

/** Whether an event has a place in the timeline, and none in the graph: it tells a user of this server what became of them in a room that this server is not in. */
export const isOutside = ({ position, stateRoot }: Pick<RoomEvent, 'position' | 'stateRoot'>): boolean =>
  position !== undefined && stateRoot === undefined;

/**
 * Takes in what became of a user of this server in a room that this server is not in: an invite, a knock, or the end of one. It takes its place in the timeline, where
 * that user alone is shown it, and makes the user's membership; the room's state and its ends stay. Whether the room's rules allow it nobody here can tell.
 * Undefined when the event is here already.
 */
export const receiveOutside = async (bench: Workbench, head: Head, incoming: Incoming): Promise<Made | undefined> => {
  const known = await bench.reads.eventById(incoming.parsed.eventId);
  if (known?.position !== undefined || known?.stateRoot !== undefined) return undefined;
  const event = await asRoomEvent(bench, incoming, incoming, known);
  addEvent(bench.pending, event, []);
  const key = await bench.tools.states.makeKey(event.pdu.type, event.pdu.state_key ?? '');
  return {
    drafted: [
      {
        event,
        inTimeline: true,
        authNums: [],
        nodes: [],
        currentRoot: head.view.root,
        changes: [{ key, before: undefined, after: event.num }],
        redacts: undefined,
        settles: false,
        replaces: known !== undefined,
        arrives: false,
        missing: NOTHING_MISSING,
      },
    ],
    revised: [],
    head,
  };
};
