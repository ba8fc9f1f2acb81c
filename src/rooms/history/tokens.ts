import { invalidParam } from '#src/protocol/errors.ts';
import type { HistoryPoint } from '#src/rooms/graph/index.ts';

/**
 * A place in a room's history as clients hold it: `t<depth>-<position>` between two events of the room's order, or, from `/sync`, the place
 * where the room stood at a position of the events' stream (`s<position>` and `m<position>~…`, with further parts after a `_`). Synapse's own
 * tokens have the same form.
 */
export type HistoryToken = { readonly point: HistoryPoint } | { readonly streamPosition: number };

const FORM = /^(?:t(?<depth>\d{1,16})-(?<position>-?\d{1,16})|s(?<stream>\d{1,16})|m(?<min>\d{1,16})(?:~[^_]*)?)(?:_.*)?$/;

/** Throws `invalidParam` for what is no token; `name` is the parameter's. */
export const parseHistoryToken = (text: string, name: string): HistoryToken => {
  const groups = FORM.exec(text)?.groups;
  if (groups === undefined) throw invalidParam(`'${name}' parameter is invalid`);
  const { depth, position, stream, min } = groups;
  if (depth !== undefined) return { point: { depth: Number(depth), position: Number(position) } };
  return { streamPosition: Number(stream ?? min) };
};

export const formatPoint = ({ depth, position }: HistoryPoint): string => `t${String(depth)}-${String(position)}`;

/** The place just after an event. */
export const pointAfter = (event: { readonly depth: number; readonly position: number | undefined }): HistoryPoint => ({
  depth: event.depth,
  position: event.position ?? 0,
});

/** The place just before an event. */
export const pointBefore = (event: { readonly depth: number; readonly position: number | undefined }): HistoryPoint => ({
  depth: event.depth,
  position: (event.position ?? 0) - 1,
});

/** The place on the far side of an event for one who goes on in that direction. */
export const pointPast = (event: { readonly depth: number; readonly position: number | undefined }, direction: 'b' | 'f'): HistoryPoint =>
  direction === 'b' ? pointBefore(event) : pointAfter(event);

/** Below 0 when `a` comes before `b` in the room's history. */
export const comparePoints = (a: HistoryPoint, b: HistoryPoint): number => a.depth - b.depth || a.position - b.position;

const THREADS_FORM = /^(?<depth>\d{1,16})_(?<position>-?\d{1,16})$/;

/** A place in the list of a room's threads, `<depth>_<position>` of the latest event of the next. Throws `invalidParam` for what is none. */
export const parseThreadsToken = (text: string): HistoryPoint => {
  const groups = THREADS_FORM.exec(text)?.groups;
  if (groups === undefined) throw invalidParam("'from' parameter is invalid");
  return { depth: Number(groups['depth']), position: Number(groups['position']) };
};

export const formatThreadsToken = ({ depth, position }: HistoryPoint): string => `${String(depth)}_${String(position)}`;
