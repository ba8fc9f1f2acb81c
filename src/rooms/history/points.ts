import type { HistoryPoint, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { HistoryToken } from '#src/rooms/history/tokens.ts';

export type Direction = 'b' | 'f';

/** The place in a room's history that a token stands for. */
export type PointOf = (room: RoomInfo, token: HistoryToken) => Promise<HistoryPoint>;

/** The latest events before a stream position among which the deepest is looked for. */
const LATEST = 20;

/** A token of `/sync` stands after the deepest of the room's latest events at that position. */
export const createPointOf =
  ({ timeline }: Pick<RoomGraph, 'timeline'>): PointOf =>
  async (room, token) => {
    if ('point' in token) return token.point;
    const { events } = await timeline.newest(room.num, 0, token.streamPosition, LATEST);
    return { depth: Math.max(0, ...events.map((event) => event.depth)), position: token.streamPosition };
  };
