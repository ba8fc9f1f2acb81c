import type { RoomGraph, RoomInfo, RoomName } from '#src/rooms/graph/index.ts';

/**
 * The rooms that this server is just coming into. The others in the room send their events from the moment in which one of them has let this server in, and the room itself may
 * be long in coming: what is sent meanwhile is taken in, and judged once the room is here.
 */
export interface Arrivals {
  /** The room with this id, while this server is coming into it. */
  room(roomId: string): RoomInfo | undefined;
  /** Resolves once it is decided whether this server has come into the room; undefined where it is not coming. */
  decided(roomNum: number): Promise<void> | undefined;
  /** Comes into a room by what `arrive` does. One at a time for each room. */
  during<T>(name: RoomName, arrive: () => Promise<T>): Promise<T>;
}

interface Arrival {
  readonly room: RoomInfo;
  readonly decided: Promise<void>;
}

export const createArrivals = ({ graph }: { graph: Pick<RoomGraph, 'expectRoom'> }): Arrivals => {
  const arrivals = new Map<string, Arrival>();
  const byNum = new Map<number, Arrival>();
  return {
    room: (roomId) => arrivals.get(roomId)?.room,
    decided: (roomNum) => byNum.get(roomNum)?.decided,
    during: async (name, arrive) => {
      const { room, done } = await graph.expectRoom(name);
      const { promise: decided, resolve } = Promise.withResolvers<void>();
      const arrival = { room, decided };
      arrivals.set(room.roomId, arrival);
      byNum.set(room.num, arrival);
      try {
        return await arrive();
      } finally {
        arrivals.delete(room.roomId);
        byNum.delete(room.num);
        done();
        resolve();
      }
    },
  };
};
