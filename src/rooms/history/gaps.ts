import type { RoomInfo } from '#src/rooms/graph/index.ts';

/** A stretch of a room's history by depth: (after, upTo]. */
export interface DepthSpan {
  readonly after: number;
  readonly upTo: number;
}

/** `whole`: nothing is missing, or nobody has it. `asked`: others were asked, and what they gave is there now. `waiting`: they have not answered in time, and may yet. */
export type Filling = 'whole' | 'asked' | 'waiting';

/** Brings in from other servers what is missing of a stretch of a room's history, waiting so many milliseconds at most. */
export type FillGaps = (room: RoomInfo, span: DepthSpan, budgetMs: number) => Promise<Filling>;
