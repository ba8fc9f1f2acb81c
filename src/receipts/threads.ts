import { isJsonObject } from '#src/protocol/json.ts';
import type { Events, RoomEvent } from '#src/rooms/graph/index.ts';

/** Relations are followed no further: a reaction to an edit of a message in a thread. */
const MAX_HOPS = 3;

const relationOf = (event: RoomEvent): { relType: unknown; target: string } | undefined => {
  const relation = event.pdu.content['m.relates_to'];
  if (!isJsonObject(relation) || typeof relation.event_id !== 'string') return undefined;
  return { relType: relation.rel_type, target: relation.event_id };
};

/**
 * Whether a receipt for the event may name this thread: the event is its root, answers in it, or relates to what is in it (client-server API,
 * "Threading"). A root stands in the main timeline as well, and so does what relates to it without answering in the thread.
 */
export const isInThread = async (events: Pick<Events, 'byId'>, event: RoomEvent, threadId: string): Promise<boolean> => {
  let at: RoomEvent | undefined = event;
  for (let hop = 0; at !== undefined && hop <= MAX_HOPS; hop++) {
    if (at.eventId === threadId) return true;
    const relation = relationOf(at);
    if (relation === undefined) break;
    if (relation.relType === 'm.thread') return relation.target === threadId;
    at = await events.byId(relation.target);
  }
  return threadId === 'main';
};
