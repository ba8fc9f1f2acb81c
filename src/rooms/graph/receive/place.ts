import { clampedInteger } from '#src/protocol/json.ts';
import { applyState, type Drafted, type Head, internEvent, NOTHING_MISSING } from '#src/rooms/graph/draft.ts';
import { followedBy, headOver, pruned } from '#src/rooms/graph/extremities.ts';
import { isAccepted, isRejected, type RoomEvent } from '#src/rooms/graph/events.ts';
import type { Workbench } from '#src/rooms/graph/receive/bench.ts';
import { type Cited, unplacedAmong } from '#src/rooms/graph/receive/cited.ts';
import type { Incoming } from '#src/rooms/graph/receive/incoming.ts';
import type { Judgement } from '#src/rooms/graph/receive/judgement.ts';
import { redactionApplies, redactionOf } from '#src/rooms/graph/redactions.ts';
import { EMPTY, type StoredNode } from '#src/rooms/graph/state-tree/nodes.ts';
import type { Changed } from '#src/rooms/graph/state-tree/tree.ts';
import { pendingRedactionsOf, waitingFor } from '#src/rooms/graph/store.ts';
import { addEvent, addNodes, newView, type View } from '#src/rooms/graph/view.ts';

/** What has waited for an event to come. */
interface Awaited {
  /** The redaction that was here before its target, if one applies. */
  readonly redactedBy: number | undefined;
  readonly hasRedactions: boolean;
  /** Whether events cite it that came before. */
  readonly isCited: boolean;
}

const whatWaits = async ({ tools, room, version, reads, isNew }: Workbench, event: RoomEvent, view: View): Promise<Awaited> => {
  if (isNew) return { redactedBy: undefined, hasRedactions: false, isCited: false };
  const { redactions, citing } = await tools.database.read('waiting for event', async (reader) => ({
    redactions: await pendingRedactionsOf(reader, room.num, event.eventId),
    citing: await waitingFor(reader, room.num, event.eventId),
  }));
  const awaited = { redactedBy: undefined, hasRedactions: redactions.length > 0, isCited: citing.length > 0 };
  for (const num of redactions) {
    const redaction = await reads.event(num);
    if (redaction !== undefined && isAccepted(redaction) && (await redactionApplies(version, redaction, event, reads, view)))
      return { ...awaited, redactedBy: num };
  }
  return awaited;
};

/** An event as it will be stored, before its state is known. `known` is the same event as it has been here. */
export const asRoomEvent = async (
  { tools, room }: Workbench,
  { parsed }: Incoming,
  judgement: Judgement,
  known: RoomEvent | undefined,
): Promise<RoomEvent> => ({
  num: known?.num ?? (await tools.eventNumbers.next()),
  eventId: parsed.eventId,
  roomNum: room.num,
  ...(await internEvent(tools.strings, parsed.pdu)),
  pdu: parsed.pdu,
  json: parsed.json,
  depth: clampedInteger(parsed.pdu.depth),
  position: known?.position,
  writerNum: tools.writerNum,
  stateRoot: undefined,
  facts: judgement.facts,
  fault: judgement.fault,
  redactedBy: known?.redactedBy,
});

/** The numbers of the auth events of a state event, from which auth chains are walked. */
const authNumsOf = (event: RoomEvent, { auth }: Cited): readonly number[] =>
  event.stateKeyNum === undefined ? [] : auth.map((each) => each.num);

/** Lays an event over what is durable, and writes down what it lacks. */
const addReceived = ({ pending }: Workbench, event: RoomEvent, authNums: readonly number[], { missing }: Cited): void => {
  addEvent(pending, event, authNums);
  for (const eventId of missing.auth) pending.lacking.getOrInsertComputed(eventId, () => []).push(event.num);
};

/** An event without a place in the graph: it authorises others, and nothing is known of what it follows. */
export const draftOutlier = async (
  bench: Workbench,
  incoming: Incoming,
  judgement: Judgement,
  cited: Cited,
  known: RoomEvent | undefined,
): Promise<Omit<Drafted, 'currentRoot' | 'changes'>> => {
  const event = await asRoomEvent(bench, incoming, judgement, known);
  const authNums = authNumsOf(event, cited);
  addReceived(bench, event, authNums, cited);
  return {
    event,
    inTimeline: false,
    authNums,
    nodes: [],
    redacts: undefined,
    settles: false,
    replaces: known !== undefined,
    arrives: (await whatWaits(bench, event, newView(EMPTY))).isCited,
    missing: { ...NOTHING_MISSING, auth: cited.missing.auth },
  };
};

/** An event in the graph, with the state after it; the head is left to the caller. */
export const draftInGraph = async (
  bench: Workbench,
  incoming: Incoming,
  judgement: Judgement,
  cited: Cited,
  before: { readonly changed: Changed; readonly view: View },
  known: RoomEvent | undefined,
): Promise<{ drafted: Omit<Drafted, 'currentRoot' | 'changes' | 'inTimeline'>; after: View }> => {
  const { tools, version, pending, reads } = bench;
  const unrooted = await asRoomEvent(bench, incoming, judgement, known);
  const applied = isRejected(judgement) ? { view: before.view, nodes: [] } : await applyState(tools, reads, before.view, unrooted);
  addNodes(pending, applied.nodes);
  const waits = await whatWaits(bench, unrooted, before.view);
  const event: RoomEvent = { ...unrooted, stateRoot: applied.view.root, redactedBy: unrooted.redactedBy ?? waits.redactedBy };
  const authNums = authNumsOf(event, cited);
  addReceived(bench, event, authNums, cited);
  return {
    after: applied.view,
    drafted: {
      event,
      authNums,
      nodes: [...before.changed.created, ...applied.nodes],
      redacts: isAccepted(event) ? await redactionOf(version, event, reads, before.view) : undefined,
      settles: waits.hasRedactions,
      replaces: known !== undefined,
      arrives: waits.isCited,
      missing: { prev: unplacedAmong(cited), auth: cited.missing.auth },
    },
  };
};

/** The head once an accepted event counts: it takes the place of what it follows. */
export const headAfter = async (
  bench: Workbench,
  head: Head,
  event: RoomEvent,
  after: View,
): Promise<{ head: Head; nodes: readonly StoredNode[] }> => {
  const followed = await followedBy(bench, event);
  const left = head.extremities.filter((extremity) => !followed.has(extremity.eventId) && extremity.num !== event.num);
  const over = await headOver(bench, [...left, event], [after, head.view]);
  const { serverName, clock } = bench.tools;
  return { ...over, head: await pruned(bench, over.head, event, { serverName, now: clock.now() }) };
};

/** The numbers of the events that were rejected for want of this one. */
export const lackingEvent = async ({ tools, room, pending, isNew }: Workbench, eventId: string): Promise<readonly number[]> => {
  const durable = isNew ? [] : await tools.database.read('waiting for event', async (reader) => waitingFor(reader, room.num, eventId));
  return [...new Set([...durable.filter((row) => row.is_auth === 1).map((row) => row.event_num), ...(pending.lacking.get(eventId) ?? [])])];
};
