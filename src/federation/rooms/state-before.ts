import type { RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { ReplacedState } from '#src/rooms/history/index.ts';

/** The state before an event that has a place in the graph. Costs the size of the state. */
export const stateBefore = async (
  { graph, replacedState }: { readonly graph: Pick<RoomGraph, 'events' | 'stateEvents'>; readonly replacedState: ReplacedState },
  room: RoomInfo,
  event: RoomEvent,
): Promise<RoomEvent[]> => {
  const after = await graph.stateEvents(room, event.stateRoot ?? '');
  const replaced = (await replacedState.of([event])).get(event.num);
  const before = replaced === undefined ? undefined : await graph.events.byNum(replaced);
  return [...after.filter((each) => each.num !== event.num), ...(before === undefined ? [] : [before])];
};
