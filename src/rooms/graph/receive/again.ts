import { authEventIds, parsePdu, prevEventIds } from '#src/protocol/events.ts';
import type { Drafted, Head } from '#src/rooms/graph/draft.ts';
import { AFTER_GAP, isAccepted, isRejected, LET_IN, REDUCED, type RoomEvent, UNVERIFIED } from '#src/rooms/graph/events.ts';
import { changesBetween, followedBy, headOver } from '#src/rooms/graph/extremities.ts';
import { eventNumsAfter } from '#src/rooms/graph/read-store.ts';
import type { Made, Workbench } from '#src/rooms/graph/receive/bench.ts';
import { findCited, stateBefore, unplacedAmong } from '#src/rooms/graph/receive/cited.ts';
import type { Incoming } from '#src/rooms/graph/receive/incoming.ts';
import { judgeByAuthEvents, judgeInHistory, judgeNow } from '#src/rooms/graph/receive/judge.ts';
import { draftInGraph, draftOutlier } from '#src/rooms/graph/receive/place.ts';
import type { StoredNode } from '#src/rooms/graph/state-tree/nodes.ts';
import { addEvent, newView, type View } from '#src/rooms/graph/view.ts';

/** Of the events that came after one, so many are looked at for those that stand on it. */
const MAX_LATER = 20_000;

/** The events that follow an event or are authorised by it, over others too, in the order in which they came. */
const standingOn = async ({ tools, room, pending, reads }: Workbench, event: RoomEvent): Promise<RoomEvent[]> => {
  const durable = await tools.database.read('events after', async (reader) => eventNumsAfter(reader, room.num, event.num, MAX_LATER));
  const nums = new Set([...durable, ...pending.auth.keys()].filter((num) => num > event.num));
  const affected = new Set([event.eventId]);
  const found: RoomEvent[] = [];
  for (const num of [...nums].sort((a, b) => a - b)) {
    const later = await reads.event(num);
    if (later === undefined || ![...prevEventIds(later.pdu), ...authEventIds(later.pdu)].some((eventId) => affected.has(eventId))) continue;
    affected.add(later.eventId);
    found.push(later);
  }
  return found;
};

/** What is true of an event however it is judged. */
const LASTING = REDUCED | LET_IN | AFTER_GAP;

/** A stored event as if it had just come in; its signatures were checked then. */
const asIncoming = ({ version }: Workbench, event: RoomEvent): Incoming => ({
  parsed: { ...parsePdu(event.json, version), eventId: event.eventId },
  facts: (event.facts & UNVERIFIED) === 0 ? event.facts & LASTING : event.facts,
  fault: (event.facts & (UNVERIFIED | REDUCED)) === 0 ? undefined : event.fault,
});

/** Judging again at work. */
interface Rejudging {
  readonly bench: Workbench;
  readonly current: View;
  readonly drafted: Omit<Drafted, 'currentRoot' | 'changes'>[];
  readonly revised: RoomEvent[];
  readonly nodes: StoredNode[];
}

const isAsBefore = (event: RoomEvent, again: RoomEvent): boolean =>
  again.facts === event.facts && again.fault === event.fault && again.stateRoot === event.stateRoot;

/** Where it is not known what the event follows, its auth events alone decide, and the state after it stays as it was given. */
const judgeWithoutHistory = async (
  { bench, drafted, revised }: Rejudging,
  event: RoomEvent,
  incoming: Incoming,
  isAsked: boolean,
): Promise<void> => {
  const cited = await findCited(bench, incoming.parsed);
  const judgement = await judgeByAuthEvents(bench, incoming, cited);
  if (event.stateRoot === undefined && isAsked) {
    drafted.push(await draftOutlier(bench, incoming, judgement, cited, event));
    return;
  }
  const again: RoomEvent = { ...event, ...(isRejected(judgement) || isRejected(event) ? judgement : {}) };
  if (isAsBefore(event, again)) return;
  addEvent(bench.pending, again, event.stateKeyNum === undefined ? [] : cited.auth.map((each) => each.num));
  revised.push(again);
};

/** `isAsked`: this is the event that is to be judged again, by what holds now too; of the others only those that were rejected are. */
const judgeOneAgain = async (work: Rejudging, event: RoomEvent, incoming: Incoming, isAsked: boolean): Promise<void> => {
  const { bench, current, drafted, revised, nodes } = work;
  const cited = await findCited(bench, incoming.parsed);
  if (event.stateRoot === undefined || unplacedAmong(cited).length > 0) return judgeWithoutHistory(work, event, incoming, isAsked);
  const changed = await stateBefore(bench, cited.prev);
  const before = { changed, view: changed.root === current.root ? current : newView(changed.root) };
  const inHistory = await judgeInHistory(bench, incoming, cited, before.view);
  const isOpen = isRejected(event) || (isAsked && event.position === undefined);
  const kept = isRejected(inHistory) || isOpen ? inHistory : { facts: event.facts, fault: event.fault };
  const judgement = isOpen ? await judgeNow(bench, incoming, kept, current) : kept;
  const made = await draftInGraph(bench, incoming, judgement, cited, before, event);
  const { event: again } = made.drafted;
  nodes.push(...made.drafted.nodes);
  const inTimeline = isAccepted(again) && again.position === undefined;
  if (isAsked || inTimeline) drafted.push({ ...made.drafted, inTimeline });
  else if (!isAsBefore(event, again)) revised.push(again);
};

/** The extremities when these events are as they now are: accepted ones that no accepted one follows. */
const extremitiesAmong = async ({ bench }: Rejudging, head: Head, affected: readonly RoomEvent[]): Promise<RoomEvent[]> => {
  const { reads } = bench;
  const now = new Map<number, RoomEvent>();
  const consider = async (event: RoomEvent | undefined): Promise<void> => {
    if (event === undefined || now.has(event.num)) return;
    if (isAccepted(event) && event.stateRoot !== undefined) now.set(event.num, event);
    // What counts no longer leaves the ends to what it followed.
    else if (event.position !== undefined) for (const eventId of prevEventIds(event.pdu)) await consider(await reads.eventById(eventId));
  };
  for (const event of [...head.extremities, ...affected]) await consider(await reads.event(event.num));
  const followed = new Set<string>();
  for (const event of now.values()) for (const eventId of await followedBy(bench, event)) followed.add(eventId);
  const ends = [...now.values()].filter((event) => !followed.has(event.eventId));
  return ends.length === 0 ? [...head.extremities] : ends;
};

/**
 * Judges an event again, because what it lacked has arrived (an auth event, a key, a word of the policy), and after it those that stand on it: whether
 * they are rejected, and the state after them. What has become accepted takes its place in the timeline now.
 */
export const judgeAgain = async (bench: Workbench, head: Head, event: RoomEvent, fresh?: Incoming): Promise<Made> => {
  const work: Rejudging = { bench, current: head.view, drafted: [], revised: [], nodes: [] };
  const later = await standingOn(bench, event);
  const asked = fresh === undefined ? asIncoming(bench, event) : { ...fresh, facts: fresh.facts | (event.facts & (LET_IN | AFTER_GAP)) };
  await judgeOneAgain(work, event, asked, true);
  for (const each of later) await judgeOneAgain(work, each, asIncoming(bench, each), false);
  const { drafted, revised, nodes } = work;
  const last = drafted.pop();
  if (last === undefined) return { drafted: [], revised, head };
  const over = await headOver(bench, await extremitiesAmong(work, head, [event, ...later]), [head.view]);
  return {
    drafted: [
      ...drafted.map((each) => ({ ...each, currentRoot: head.view.root, changes: [] })),
      {
        ...last,
        nodes: [...nodes, ...over.nodes],
        currentRoot: over.head.view.root,
        changes: await changesBetween(bench, head.view.root, over.head.view.root),
      },
    ],
    revised,
    head: over.head,
  };
};
