import { isJsonObject } from '#src/protocol/json.ts';
import type { Events, RoomEvent } from '#src/rooms/graph/index.ts';

/** Relations are followed no further: a reaction to an edit of a message in a thread. */
const MAX_HOPS = 3;

const relationOf = (event: RoomEvent): { relType: unknown; target: string } | undefined => {
  const relation = event.pdu.content['m.relates_to'];
  if (!isJsonObject(relation) || typeof relation.event_id !== 'string') return undefined;
  return { relType: relation.rel_type, target: relation.event_id };
};

/** The root of the thread that an event belongs to, itself or by what it relates to; undefined for the main timeline. */
export const threadOf = async (events: Pick<Events, 'byId'>, event: RoomEvent): Promise<string | undefined> => {
  let at: RoomEvent | undefined = event;
  for (let hop = 0; at !== undefined && hop <= MAX_HOPS; hop++) {
    const relation = relationOf(at);
    if (relation === undefined) return undefined;
    if (relation.relType === 'm.thread') return relation.target;
    at = await events.byId(relation.target);
  }
  return undefined;
};

/** Whether a receipt for the event may name this thread; a thread's root stands in the thread and in the main timeline. */
export const isInThread = async (events: Pick<Events, 'byId'>, event: RoomEvent, threadId: string): Promise<boolean> => {
  if (event.eventId === threadId) return true;
  return ((await threadOf(events, event)) ?? 'main') === threadId;
};
