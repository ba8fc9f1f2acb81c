import type { Strings } from '#src/platform/database/strings.ts';
import type { OwnServer } from '#src/doctor/event-check.ts';
import type { GraphTools } from '#src/doctor/graph-check.ts';

/** Rows that are in memory at a time. */
export const PAGE = 200;

export interface RoomCheckTools extends Omit<GraphTools, 'room' | 'version'> {
  readonly strings: Strings;
  readonly own: OwnServer;
  /** Told of so many events more that were looked at; throws to end the check. */
  readonly onProgress: (events: number) => void;
}
