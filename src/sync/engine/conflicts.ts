import { prevEventIds } from '#src/protocol/events.ts';
import type { NodeId, RoomEvent, RoomGraph } from '#src/rooms/graph/index.ts';
import type { RoomPlan } from '#src/sync/engine/plan.ts';
import type { RoomTimeline } from '#src/sync/engine/timelines.ts';

/** Whether each event cites the one before it and no other. */
const isLine = (shown: RoomTimeline['shown']): boolean =>
  shown.every(({ event }, index) => {
    const prev = prevEventIds(event.pdu);
    return index === 0 || (prev.length === 1 && prev[0] === shown[index - 1]?.event.eventId);
  });

/**
 * A client that is told the state before the timeline lets the timeline's own state events have the last word. Where one of them does not hold
 * its key in the end (what replaced it is hidden from the reader, or it lost in a fork), the timeline of a room that is new to the client begins
 * after it.
 */
export const withoutConflicts = async (
  states: RoomGraph['states'],
  { room }: RoomPlan,
  timeline: RoomTimeline,
  root: NodeId,
): Promise<RoomTimeline> => {
  const { shown } = timeline;
  if (timeline.isWhole && isLine(shown) && shown.at(-1)?.event.stateRoot === root) return timeline;
  const lastOfKey = new Map<string, { event: RoomEvent; index: number }>();
  for (const [index, { event }] of shown.entries())
    if (event.stateKeyNum !== undefined) lastOfKey.set(`${String(event.typeNum)}.${String(event.stateKeyNum)}`, { event, index });
  let begin = 0;
  for (const { event, index } of lastOfKey.values()) {
    const holder = await states.get(room.num, root, event.pdu.type, event.pdu.state_key ?? '');
    if (holder !== event.num) begin = Math.max(begin, index + 1);
  }
  if (begin === 0) return timeline;
  const cut = shown[begin - 1]?.event.position ?? timeline.before;
  return { ...timeline, shown: shown.slice(begin), limited: true, before: cut };
};
