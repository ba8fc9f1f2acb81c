import { isJsonObject, member } from '#src/protocol/json.ts';
import type { RoomEvent } from '#src/rooms/graph/index.ts';
import { MAIN_THREAD } from '#src/push/counts-store.ts';

/** How many relations are followed from an event to the one that is in a thread (client-server API, "Threading"). */
const MAX_HOPS = 3;

const relationOf = (event: RoomEvent): { readonly type: string; readonly eventId: string } | undefined => {
  const relation = event.pdu.content['m.relates_to'];
  if (!isJsonObject(relation)) return undefined;
  const type = member(relation, 'rel_type');
  const eventId = member(relation, 'event_id');
  return typeof type === 'string' && typeof eventId === 'string' ? { type, eventId } : undefined;
};

/** The thread that an event belongs to: the number of its root, or `MAIN_THREAD`. `find` looks in the event's room only. */
export const threadOf = async (event: RoomEvent, find: (eventId: string) => Promise<RoomEvent | undefined>): Promise<number> => {
  let current: RoomEvent | undefined = event;
  for (let hop = 0; hop <= MAX_HOPS && current !== undefined; hop++) {
    const relation = relationOf(current);
    if (relation === undefined) return MAIN_THREAD;
    const parent = await find(relation.eventId);
    if (relation.type === 'm.thread') return parent?.num ?? MAIN_THREAD;
    current = parent;
  }
  return MAIN_THREAD;
};
