import { prevEventIds } from '#src/protocol/events.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Transaction } from '#src/platform/database/types.ts';
import { putGeneration } from '#src/rooms/graph/auth-chains/store.ts';
import type { Drafted, DraftWork, Head } from '#src/rooms/graph/draft.ts';
import type { RoomEvent, RoomInfo } from '#src/rooms/graph/events.ts';
import { COLLECTION_WAIT_MS } from '#src/rooms/graph/state-collection/index.ts';
import { wantCollection } from '#src/rooms/graph/state-collection/store.ts';
import type { NodeId } from '#src/rooms/graph/state-tree/nodes.ts';
import {
  deleteMissing,
  deletePendingRedactions,
  insertAuthEdges,
  insertEvent,
  insertMissing,
  insertPendingRedaction,
  insertRoom,
  insertTransaction,
  markRedacted,
  type MembershipRow,
  putHead,
  putMembership,
  insertMembershipChange,
  putNodes,
  insertStateHistory,
  replaceEvent,
  reviseEvent,
} from '#src/rooms/graph/store.ts';

/** The stream whose positions are the places of events in the timeline. */
export const EVENTS_STREAM = 'events';
/** Counts the places of events that were fetched from the past: place n is the position -n. */
export const PAST_STREAM = 'backfill';

/** All that one commit writes for one room. */
export interface Batch {
  readonly room: RoomInfo;
  /** True for a room that this batch makes. */
  readonly isNew: boolean;
  /** The root of the current state before the batch. */
  readonly rootBefore: NodeId;
  readonly work: DraftWork;
  /** How far state events of the batch are from the beginning over auth events. */
  readonly generations: ReadonlyMap<number, number>;
}

/** What changed in a room, as it became durable. */
export interface Committed {
  /** The events of the batch, with their positions. */
  readonly events: readonly RoomEvent[];
  /** Those that have just taken their places in the timeline. */
  readonly live: readonly RoomEvent[];
  /** Events that were there before and are not as they were: they were redacted, or judged again. */
  readonly changed: readonly RoomEvent[];
  /** Memberships as they are now, for those users whose membership changed; the last word on each. */
  readonly memberships: readonly MembershipRow[];
  /** For each event of the batch the position from which on clients are told what it changed; undefined where it changed nothing. */
  readonly told: ReadonlyMap<number, number>;
  readonly head: Head;
}

/**
 * The events as they will be: in their places, and as later steps of the batch have judged them. `first` is the first place in the timeline,
 * `lastPast` the furthest in the past; those of the past come oldest first.
 */
const place = ({ drafted, revised }: DraftWork, first: number, lastPast: number): RoomEvent[] => {
  const again = new Map(revised.map((event) => [event.num, event]));
  let [position, past] = [first, -lastPast];
  return drafted.map(({ event, inTimeline, isPast }) => {
    const { facts, fault, stateRoot } = again.get(event.num) ?? event;
    const at = inTimeline ? position++ : isPast === true ? past++ : event.position;
    return { ...event, facts, fault, stateRoot, position: at };
  });
};

/** The number of the last of so many new places in the past. */
const takePlacesInPast = async (tx: Transaction, count: number): Promise<number> =>
  count === 0 ? 0 : (await tx.nextPositions(PAST_STREAM, count)) + count - 1;

/** Memberships that a drafted event's state changes touch. */
export type MembershipsOf = (drafted: Drafted) => readonly MembershipRow[];

const writeEvent = async (
  tx: Transaction,
  batch: Batch,
  drafted: Drafted,
  event: RoomEvent,
  memberships: readonly MembershipRow[],
  position: number | undefined,
): Promise<void> => {
  if (drafted.replaces) replaceEvent(tx, event);
  else insertEvent(tx, event);
  insertAuthEdges(tx, event.num, drafted.authNums);
  putNodes(tx, batch.room.num, drafted.nodes);
  for (const row of memberships) {
    putMembership(tx, row);
    if (row.isLocal && position !== undefined) insertMembershipChange(tx, row, position);
  }
  if (drafted.redacts !== undefined) {
    if ('target' in drafted.redacts) await markRedacted(tx, drafted.redacts.target.num, event.num);
    else insertPendingRedaction(tx, batch.room.num, drafted.redacts.pendingId, event.num);
  }
  insertMissing(tx, event, drafted.missing);
  if (drafted.arrives) await deleteMissing(tx, batch.room.num, event.eventId, event.stateRoot !== undefined);
  if (drafted.settles) await deletePendingRedactions(tx, batch.room.num, event.eventId);
};

/**
 * Whether there may be state nodes that no root reaches when this is written: the state between branches that an event joins, that over several extremities, and
 * what was believed before an event was judged again. What this server itself adds to a room leaves none.
 */
const leavesGarbage = ({ drafted, revised }: DraftWork): boolean =>
  revised.length > 0 ||
  drafted.some(
    ({ event, nodes, currentRoot, replaces }) =>
      replaces || (nodes.length > 0 && (event.stateRoot !== currentRoot || prevEventIds(event.pdu).length > 1)),
  );

/** What an event outside the timeline changes is told with the next one in it; after the last, at a place of its own. */
const toldPositions = (
  drafted: readonly Drafted[],
  events: readonly RoomEvent[],
  last: number | undefined,
): ReadonlyMap<number, number> => {
  const told = new Map<number, number>();
  let position = last;
  for (const [index, each] of [...drafted.entries()].toReversed()) {
    const event = events[index] as RoomEvent;
    if (each.inTimeline) position = event.position;
    if (position !== undefined) told.set(event.num, position);
  }
  return told;
};

/**
 * Writes a batch in the transaction: events, edges, state nodes, memberships, redactions, transaction ids and the room's head. One row a table
 * for a plain message, whatever the size of the room. Runs again after a conflict; answers what the commit made, to be used only once it is durable.
 */
export const writeBatch = async (tx: Transaction, batch: Batch, membershipsOf: MembershipsOf, clock: Clock): Promise<Committed> => {
  const { drafted, revised, sent, alongside, head } = batch.work;
  const live = drafted.filter((each) => each.inTimeline);
  // State that changes after the last event in the timeline has a place of its own there: from it on clients are told.
  const isUntold = (live.at(-1)?.currentRoot ?? batch.rootBefore) !== head.view.root;
  const count = live.length + (isUntold ? 1 : 0);
  const first = count === 0 ? 0 : await tx.nextPositions(EVENTS_STREAM, count);
  const events = place(batch.work, first, await takePlacesInPast(tx, drafted.filter((each) => each.isPast).length));
  if (batch.isNew) insertRoom(tx, batch.room, clock.now());
  const told = toldPositions(drafted, events, isUntold ? first + live.length : undefined);
  let root = batch.rootBefore;
  const memberships = new Map<number, MembershipRow>();
  for (const [index, each] of drafted.entries()) {
    const event = events[index] as RoomEvent;
    const rows = membershipsOf(each);
    for (const row of rows) memberships.set(row.userNum, row);
    const position = told.get(event.num);
    await writeEvent(tx, batch, each, event, rows, position);
    if (each.currentRoot !== root && position !== undefined) insertStateHistory(tx, batch.room.num, position, each.currentRoot);
    root = each.currentRoot;
  }
  for (const event of revised) await reviseEvent(tx, event);
  if (leavesGarbage(batch.work)) await wantCollection(tx, batch.room.num, clock.now() + COLLECTION_WAIT_MS);
  for (const [num, generation] of batch.generations) putGeneration(tx, num, generation);
  for (const { key, event } of sent) insertTransaction(tx, key, batch.room.num, event.num, clock.now());
  for (const body of alongside) await body(tx);
  if (drafted.length > 0) putHead(tx, batch.room.num, { extremities: head.extremities.map((event) => event.num), root: head.view.root });
  const byNum = new Map([...revised, ...events].map((event) => [event.num, event]));
  const changedNums = new Set(revised.map((event) => event.num));
  for (const [index, each] of drafted.entries()) {
    if (each.redacts === undefined || !('target' in each.redacts)) continue;
    const target = byNum.get(each.redacts.target.num) ?? each.redacts.target;
    if (target.redactedBy !== undefined) continue;
    const changed = { ...target, redactedBy: (events[index] as RoomEvent).num };
    byNum.set(changed.num, changed);
    changedNums.add(changed.num);
  }
  const latest = (event: RoomEvent): RoomEvent => byNum.get(event.num) as RoomEvent;
  return {
    events: events.map(latest),
    live: events.filter((_, index) => drafted[index]?.inTimeline === true).map(latest),
    changed: [...changedNums].flatMap((num) => byNum.get(num) ?? []),
    memberships: [...memberships.values()],
    told,
    head,
  };
};
