import type { NodeId, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { Audience } from '#src/sync/engine/audience.ts';

/** The roots of rooms' current states as they were at a position, by room number. */
export type ReadRoots = (rooms: readonly RoomInfo[], position: number) => Promise<ReadonlyMap<number, NodeId>>;

/** Up to so many rooms are asked for one by one. */
const FEW = 8;

/** Rooms that have not moved since are answered from memory. */
export const createRoots =
  (graph: Pick<RoomGraph, 'head' | 'timeline'>, audience: Pick<Audience, 'activity' | 'since'>): ReadRoots =>
  async (rooms, position) => {
    const isStill = (room: RoomInfo): boolean => position >= audience.since() && (audience.activity(room.num)?.last ?? 0) <= position;
    const roots = new Map<number, NodeId>();
    const missing: number[] = [];
    for (const room of rooms) {
      if (rooms.length > FEW || !isStill(room)) {
        missing.push(room.num);
        continue;
      }
      const { extremities, view } = await graph.head(room);
      if (extremities.every((event) => (event.position ?? 0) <= position)) roots.set(room.num, view.root);
      else missing.push(room.num);
    }
    if (missing.length === 0) return roots;
    const found = await graph.timeline.rootsAt(missing, position);
    for (const [roomNum, root] of found) roots.set(roomNum, root);
    return roots;
  };
