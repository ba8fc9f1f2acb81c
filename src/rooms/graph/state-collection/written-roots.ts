import { EMPTY, type NodeId } from '#src/rooms/graph/state-tree/nodes.ts';

/** The roots that batches write into rooms while those are being collected. */
export interface WrittenRoots {
  /** Begins to write down a room's roots, until `forget`. */
  watch(roomNum: number): void;
  /** Those written since the last taking. */
  take(roomNum: number): NodeId[];
  forget(roomNum: number): void;
  /** Told by each batch before it is committed: one that fails has told too much, which does no harm. `roots` is asked only while the room is watched. */
  note(roomNum: number, roots: () => Iterable<NodeId | undefined>): void;
}

export const createWrittenRoots = (): WrittenRoots => {
  const rooms = new Map<number, Set<NodeId>>();
  return {
    watch: (roomNum) => void rooms.set(roomNum, new Set()),
    take: (roomNum) => {
      const roots = [...(rooms.get(roomNum) ?? [])];
      rooms.get(roomNum)?.clear();
      return roots;
    },
    forget: (roomNum) => void rooms.delete(roomNum),
    note: (roomNum, roots) => {
      const written = rooms.get(roomNum);
      if (written === undefined) return;
      for (const root of roots()) if (root !== undefined && root !== EMPTY) written.add(root);
    },
  };
};
