import { isRejected, type RoomEvent } from '#src/rooms/graph/events.ts';
import type { Workbench } from '#src/rooms/graph/receive/bench.ts';
import { DroppedEventError } from '#src/rooms/graph/receive/missing.ts';
import { EMPTY } from '#src/rooms/graph/state-tree/nodes.ts';
import { type Changed, put, type StateChange } from '#src/rooms/graph/state-tree/tree.ts';
import { addNodes } from '#src/rooms/graph/view.ts';

/**
 * A state that another server tells of, as far as it can be believed: by these of its events that are here and not rejected; of those that claim one key, the last.
 * Costs the size of the state. Throws `DroppedEventError` where the room's create event is not among them.
 */
export const toldState = async ({ tools, reads, version, pending }: Workbench, eventIds: readonly string[]): Promise<Changed> => {
  const changes = new Map<string, StateChange>();
  let create: RoomEvent | undefined;
  for (const eventId of eventIds) {
    const event = await reads.eventById(eventId);
    const stateKey = event?.pdu.state_key;
    if (event === undefined || isRejected(event) || stateKey === undefined) continue;
    if (event.pdu.type === 'm.room.create' && stateKey === '') create = event;
    const key = await tools.states.makeKey(event.pdu.type, stateKey);
    changes.set(`${String(key.type)}/${String(key.stateKey)}`, { key, event: event.num });
  }
  const claimed = create?.pdu.content.room_version ?? '1';
  if (create === undefined) throw new DroppedEventError('The state of the room has no create event that can be believed');
  if (claimed !== version.id) throw new DroppedEventError(`The room is not of version ${version.id}`);
  const told = await put(reads.nodes, EMPTY, [...changes.values()]);
  addNodes(pending, told.created);
  return told;
};
