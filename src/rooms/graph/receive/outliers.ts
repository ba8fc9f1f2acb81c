import { setImmediate } from 'node:timers/promises';
import type { Drafted, Head } from '#src/rooms/graph/draft.ts';
import type { Workbench } from '#src/rooms/graph/receive/bench.ts';
import { findCited } from '#src/rooms/graph/receive/cited.ts';
import type { Incoming } from '#src/rooms/graph/receive/incoming.ts';
import { judgeByAuthEvents } from '#src/rooms/graph/receive/judge.ts';
import { isOutside } from '#src/rooms/graph/receive/outside.ts';
import { draftOutlier } from '#src/rooms/graph/receive/place.ts';
import { byAuthorisation } from '#src/rooms/graph/receive/topological.ts';

/** After so many events other rooms have their turn. */
const SLICE = 50;

/**
 * Takes in events that others cite as auth events, without a place in the graph. Each is judged by its own auth events; those that are here are left, but for
 * what a user was told from outside of the room, which nobody could judge until now. Such come last.
 */
export const receiveOutliers = async (bench: Workbench, head: Head, incoming: readonly Incoming[]): Promise<Drafted[]> => {
  const drafted: Drafted[] = [];
  for (const [index, each] of byAuthorisation(incoming).entries()) {
    if (index % SLICE === SLICE - 1) await setImmediate();
    const known = await bench.reads.eventById(each.parsed.eventId);
    if (known !== undefined && !isOutside(known)) continue;
    const cited = await findCited(bench, each.parsed);
    const made = await draftOutlier(bench, each, await judgeByAuthEvents(bench, each, cited), cited, known);
    drafted.push({ ...made, currentRoot: head.view.root, changes: [] });
  }
  return [...drafted.filter(({ replaces }) => !replaces), ...drafted.filter(({ replaces }) => replaces)];
};
