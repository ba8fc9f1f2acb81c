import { roomVersion } from '#src/protocol/room-versions.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import { createAuthChains } from '#src/rooms/graph/auth-chains/index.ts';
import { createEvents } from '#src/rooms/graph/event-cache.ts';
import type { RoomInfo } from '#src/rooms/graph/events.ts';
import { headOver } from '#src/rooms/graph/extremities.ts';
import type { NodeId } from '#src/rooms/graph/state-tree/nodes.ts';
import type { States } from '#src/rooms/graph/states.ts';
import { putNodes } from '#src/rooms/graph/store.ts';
import { newPending, roomReads } from '#src/rooms/graph/view.ts';

/** The state that a room's ends have together, and how what it is made of is written down where it is not yet. */
export interface ResolvedEnds {
  readonly root: NodeId;
  readonly save: (tx: Transaction) => void;
}

/**
 * Resolves the states after some events of a room into one (room versions, "State resolution"), from what is stored alone; undefined where one of the events is lost
 * or has no state. For who looks at a room or repairs it: a room at work knows its state.
 */
export const resolveEnds = async (
  { database, strings, states }: { readonly database: Pick<Database, 'read'>; readonly strings: Strings; readonly states: States },
  room: RoomInfo,
  ends: readonly number[],
): Promise<ResolvedEnds | undefined> => {
  const events = createEvents(database);
  const extremities = await events.list(ends);
  if (extremities.length < ends.length || extremities.some((event) => event.stateRoot === undefined)) return undefined;
  const pending = newPending();
  const bench = {
    tools: { database, strings, states, authChains: createAuthChains(database) },
    version: roomVersion(room.version),
    pending,
    reads: roomReads(room.num, pending, states, events),
  };
  const { head, nodes } = await headOver(bench, extremities, []);
  return { root: head.view.root, save: (tx) => putNodes(tx, room.num, nodes) };
};
