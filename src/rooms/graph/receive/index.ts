import type { Head } from '#src/rooms/graph/draft.ts';
import { changesBetween } from '#src/rooms/graph/extremities.ts';
import { AFTER_GAP, isAccepted, LET_IN, type RoomEvent, UNVERIFIED } from '#src/rooms/graph/events.ts';
import { judgeAgain } from '#src/rooms/graph/receive/again.ts';
import type { Made, Workbench } from '#src/rooms/graph/receive/bench.ts';
import { type Cited, findCited, stateBefore, unplacedAmong } from '#src/rooms/graph/receive/cited.ts';
import type { Incoming } from '#src/rooms/graph/receive/incoming.ts';
import { judgeInHistory, judgeNow } from '#src/rooms/graph/receive/judge.ts';
import { MissingEventsError, RefusedEventError } from '#src/rooms/graph/receive/missing.ts';
import { draftInGraph, headAfter } from '#src/rooms/graph/receive/place.ts';
import { toldState } from '#src/rooms/graph/receive/told-state.ts';
import type { Changed } from '#src/rooms/graph/state-tree/tree.ts';
import { newView, type View } from '#src/rooms/graph/view.ts';

/** What the caller makes of an event that cites what is not here. */
export interface ReceiveOptions {
  /** The auth events that are missing cannot be had: the event is kept as a rejected one, and judged again when they come. */
  readonly withoutAuthEvents?: boolean;
  /**
   * The states after events that it follows and whose own place is not known, as another server tells: the ids of their state events, of two for one key the last. Events
   * that are not here, or rejected, are left out.
   */
  readonly statesAfter?: ReadonlyMap<string, readonly string[]>;
  /** This server lets the sender in or out: the event is passed on to the other servers, and is taken in only if it counts. */
  readonly isLetIn?: boolean;
  /** The event is of the room's past: it is judged by what was then, takes its place behind what is here, and the room goes on as it was. */
  readonly isPast?: boolean;
}

/** Judges an event in its place and puts it there, upon the state before it. `current` is another than the room's where that is known to be old. */
export const receiveUpon = async (
  bench: Workbench,
  head: Head,
  incoming: Incoming,
  cited: Cited,
  changed: Changed,
  known: RoomEvent | undefined,
  current?: View,
): Promise<Made> => {
  const before = { changed, view: changed.root === head.view.root ? head.view : newView(changed.root) };
  const judgement = await judgeNow(bench, incoming, await judgeInHistory(bench, incoming, cited, before.view), current ?? head.view);
  const { drafted, after } = await draftInGraph(bench, incoming, judgement, cited, before, known);
  const inTimeline = isAccepted(judgement);
  const advanced = inTimeline ? await headAfter(bench, head, drafted.event, after) : { head, nodes: [] };
  return {
    drafted: [
      {
        ...drafted,
        inTimeline,
        nodes: [...drafted.nodes, ...advanced.nodes],
        currentRoot: advanced.head.view.root,
        changes: await changesBetween(bench, head.view.root, advanced.head.view.root),
      },
    ],
    revised: [],
    head: advanced.head,
  };
};

/** Puts an event into the past: upon the state before it, in no place that `/sync` passes. */
const receiveInPast = async (
  bench: Workbench,
  head: Head,
  incoming: Incoming,
  cited: Cited,
  changed: Changed,
  known: RoomEvent | undefined,
): Promise<Made> => {
  const before = { changed, view: newView(changed.root) };
  const judgement = await judgeInHistory(bench, incoming, cited, before.view);
  const { drafted } = await draftInGraph(bench, incoming, judgement, cited, before, known);
  const placed = { inTimeline: false, isPast: isAccepted(judgement), currentRoot: head.view.root, changes: [] };
  return { drafted: [{ ...drafted, ...placed }], revised: [], head };
};

/**
 * Receives an event whose form, signatures and hash are known (`checkIncoming`): finds what it cites, judges it by its auth events, the state before
 * it, the current state and the policy, and puts it into the graph with what became of it (server-server API, "Checks performed on receipt of a
 * PDU"). Undefined when it is here already. Throws `MissingEventsError` when it cites what is not here, and `RefusedEventError` for one that was to be let
 * in and does not count.
 */
export const receiveEvent = async (
  bench: Workbench,
  head: Head,
  incoming: Incoming,
  options: ReceiveOptions = {},
): Promise<Made | undefined> => {
  const known = await bench.reads.eventById(incoming.parsed.eventId);
  if (known !== undefined && (known.facts & UNVERIFIED) !== 0 && (incoming.facts & UNVERIFIED) === 0)
    return judgeAgain(bench, head, known, incoming);
  if (known?.stateRoot !== undefined) return undefined;
  const cited = await findCited(bench, incoming.parsed);
  const auth = options.withoutAuthEvents === true ? [] : cited.missing.auth;
  const unplaced = unplacedAmong(cited);
  const prev = unplaced.filter((eventId) => options.statesAfter?.has(eventId) !== true);
  if (prev.length > 0 || auth.length > 0) throw new MissingEventsError(prev, auth);
  const told = await Promise.all(unplaced.map(async (eventId) => toldState(bench, options.statesAfter?.get(eventId) ?? [])));
  const before = await stateBefore(bench, cited.prev, told);
  const noted: Incoming = unplaced.length === 0 ? incoming : { ...incoming, facts: incoming.facts | AFTER_GAP };
  if (options.isPast === true) return receiveInPast(bench, head, noted, cited, before, known);
  if (options.isLetIn !== true) return receiveUpon(bench, head, noted, cited, before, known);
  const made = await receiveUpon(bench, head, { ...noted, facts: noted.facts | LET_IN }, cited, before, known);
  const event = made.drafted[0]?.event;
  if (event === undefined || !isAccepted(event)) throw new RefusedEventError(event?.fault ?? 'It is not accepted');
  return made;
};
