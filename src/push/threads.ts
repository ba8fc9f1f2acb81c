import { relationOf } from '#src/protocol/relations.ts';
import type { RoomEvent } from '#src/rooms/graph/index.ts';
import { MAIN_THREAD } from '#src/push/counts-store.ts';

/** How many relations are followed from an event to the one that is in a thread (client-server API, "Threading"). */
const MAX_HOPS = 3;

/** The thread that an event belongs to: the number of its root, or `MAIN_THREAD`. `find` looks in the event's room only. */
export const threadOf = async (event: RoomEvent, find: (eventId: string) => Promise<RoomEvent | undefined>): Promise<number> => {
  let current: RoomEvent | undefined = event;
  for (let hop = 0; hop <= MAX_HOPS && current !== undefined; hop++) {
    const relation = relationOf(current.pdu.content);
    if (relation === undefined) return MAIN_THREAD;
    const parent = await find(relation.target);
    if (relation.type === 'm.thread') return parent?.num ?? MAIN_THREAD;
    current = parent;
  }
  return MAIN_THREAD;
};
