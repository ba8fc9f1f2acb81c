import { type HistoryPoint, isAfterGap, type RoomGraph, type RoomInfo } from '#src/rooms/graph/index.ts';
import type { HistoryToken } from '#src/rooms/history/tokens.ts';

export type Direction = 'b' | 'f';

/** The place in a room's history that a token stands for. */
export type PointOf = (room: RoomInfo, token: HistoryToken) => Promise<HistoryPoint>;

/** The latest events before a stream position among which the deepest is looked for. */
const LATEST = 20;

/**
 * A token of `/sync` stands after the deepest of the room's latest events at that position; where the next event came after a gap, just before
 * that event, so that what is missing lies behind the token.
 */
export const createPointOf =
  ({ timeline }: Pick<RoomGraph, 'timeline'>): PointOf =>
  async (room, token) => {
    if ('point' in token) return token.point;
    const { events } = await timeline.newest(room.num, 0, token.streamPosition, LATEST);
    const { events: next } = await timeline.newest(room.num, token.streamPosition, token.streamPosition + 1, 1);
    const known = [...events, ...next.filter(isAfterGap)];
    return { depth: Math.max(0, ...known.map((event) => event.depth)), position: token.streamPosition };
  };
