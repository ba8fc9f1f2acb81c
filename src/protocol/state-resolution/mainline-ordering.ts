import { authEventIds } from '#src/protocol/events.ts';
import type { KnownEvents, ResolutionEvent } from '#src/protocol/state-resolution/events.ts';
import { powerLevelsAmong } from '#src/protocol/state-resolution/events.ts';
import { byAge } from '#src/protocol/state-resolution/power-ordering.ts';

/** The power levels event that an event cites. */
const citedPowerLevels = async (event: ResolutionEvent, events: KnownEvents): Promise<ResolutionEvent | undefined> => {
  await events.load(authEventIds(event.pdu));
  return powerLevelsAmong(event, events);
};

/** The mainline of a power levels event: each event's place in the list that starts with it and goes on with what the last one cites. */
const mainlineOf = async (start: ResolutionEvent | undefined, events: KnownEvents): Promise<ReadonlyMap<string, number>> => {
  const mainline = new Map<string, number>();
  // Where ids are given by their senders (versions 1 and 2), a walk may come back to where it was.
  for (let event = start; event !== undefined && !mainline.has(event.eventId); event = await citedPowerLevels(event, events)) {
    mainline.set(event.eventId, mainline.size);
  }
  return mainline;
};

/**
 * The mainline ordering based on a power levels event: events that were authorised by earlier power levels first, then the older, then the
 * smaller id.
 */
export const mainlineOrdering = async (
  toOrder: readonly ResolutionEvent[],
  start: ResolutionEvent | undefined,
  events: KnownEvents,
): Promise<ResolutionEvent[]> => {
  const mainline = await mainlineOf(start, events);
  // Where a walk from a power levels event meets the mainline; many events cite the same one.
  const meets = new Map<string, number>(mainline);
  const positionOf = async (event: ResolutionEvent): Promise<number> => {
    const walked = new Set<string>();
    let cited = await citedPowerLevels(event, events);
    while (cited !== undefined && !meets.has(cited.eventId) && !walked.has(cited.eventId)) {
      walked.add(cited.eventId);
      cited = await citedPowerLevels(cited, events);
    }
    const position = (cited === undefined ? undefined : meets.get(cited.eventId)) ?? Number.POSITIVE_INFINITY;
    for (const eventId of walked) meets.set(eventId, position);
    return position;
  };
  const positions = new Map<string, number>();
  for (const event of toOrder) positions.set(event.eventId, await positionOf(event));
  return toOrder.toSorted((a, b) => {
    const left = positions.get(a.eventId)!;
    const right = positions.get(b.eventId)!;
    return left === right ? byAge(a, b) : right - left;
  });
};
