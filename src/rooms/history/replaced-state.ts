import { authEventIds, prevEventIds } from '#src/protocol/events.ts';
import type { Events, RoomEvent, States } from '#src/rooms/graph/index.ts';

/** Which state events took which others' places. */
export interface ReplacedState {
  /** For state events of any rooms: the number of the event that held the same key before, where there was one. */
  of(events: readonly RoomEvent[]): Promise<ReadonlyMap<number, number>>;
}

/**
 * The state before an event is the state after the event that it follows; of several the deepest speaks. Where none of them has a place here, as before a join by which this server
 * came into the room, a member event still says by what it is authorised: by the one before it, if there was one.
 */
export const createReplacedState = ({ events, states }: { events: Events; states: States }): ReplacedState => {
  // `null` is known to have replaced nothing. Both are facts of the event for ever.
  const known = new WeakMap<RoomEvent, number | null>();

  const authorising = async ({ typeNum, stateKeyNum, roomNum, pdu }: RoomEvent): Promise<number | undefined> => {
    const found = [...(await events.byIds(authEventIds(pdu))).values()].find(
      (each) => each.typeNum === typeNum && each.stateKeyNum === stateKeyNum && each.roomNum === roomNum,
    );
    return found?.num;
  };

  const look = async (event: RoomEvent, previous: ReadonlyMap<string, RoomEvent>): Promise<number | undefined> => {
    let deepest: RoomEvent | undefined;
    for (const id of prevEventIds(event.pdu)) {
      const each = previous.get(id);
      if (each?.stateRoot !== undefined && (deepest === undefined || each.depth > deepest.depth)) deepest = each;
    }
    if (deepest?.stateRoot === undefined) return authorising(event);
    return states.get(event.roomNum, deepest.stateRoot, event.pdu.type, event.pdu.state_key ?? '');
  };

  return {
    of: async (given) => {
      const replaced = new Map<number, number>();
      const unknown: RoomEvent[] = [];
      for (const event of given) {
        if (event.stateKeyNum === undefined) continue;
        const num = known.get(event);
        if (num === undefined) unknown.push(event);
        else if (num !== null) replaced.set(event.num, num);
      }
      if (unknown.length === 0) return replaced;
      const previous = await events.byIds([...new Set(unknown.flatMap((event) => prevEventIds(event.pdu)))]);
      for (const event of unknown) {
        const num = await look(event, previous);
        known.set(event, num ?? null);
        if (num !== undefined) replaced.set(event.num, num);
      }
      return replaced;
    },
  };
};
