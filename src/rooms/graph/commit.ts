import type { Clock } from '#src/platform/clock.ts';
import type { Transaction } from '#src/platform/database/types.ts';
import type { Drafted, DraftWork, Head } from '#src/rooms/graph/draft.ts';
import type { RoomEvent, RoomInfo } from '#src/rooms/graph/events.ts';
import type { NodeId } from '#src/rooms/graph/state-tree/nodes.ts';
import {
  deletePendingRedactions,
  insertAuthEdges,
  insertEvent,
  insertMembershipChange,
  insertPendingRedaction,
  insertRoom,
  insertStateHistory,
  insertTransaction,
  markRedacted,
  type MembershipRow,
  putHead,
  putMembership,
  putNodes,
} from '#src/rooms/graph/store.ts';

/** The stream whose positions are the places of events in the timeline. */
export const EVENTS_STREAM = 'events';

/** All that one commit writes for one room. */
export interface Batch {
  readonly room: RoomInfo;
  /** True for a room that this batch makes. */
  readonly isNew: boolean;
  /** The root of the current state before the batch. */
  readonly rootBefore: NodeId;
  readonly work: DraftWork;
}

/** What changed in a room, as it became durable. */
export interface Committed {
  /** The events of the batch, with their positions. */
  readonly events: readonly RoomEvent[];
  /** Events that were there before and now are redacted. */
  readonly redacted: readonly RoomEvent[];
  /** Memberships as they are now, for those users whose membership changed; the last word on each. */
  readonly memberships: readonly MembershipRow[];
  readonly head: Head;
}

const place = (drafted: readonly Drafted[], first: number): RoomEvent[] => {
  let position = first;
  return drafted.map(({ event, inTimeline }) => (inTimeline ? { ...event, position: position++ } : event));
};

/** Memberships that a drafted event's state changes touch. */
export type MembershipsOf = (drafted: Drafted) => readonly MembershipRow[];

const writeEvent = async (
  tx: Transaction,
  batch: Batch,
  drafted: Drafted,
  event: RoomEvent,
  memberships: readonly MembershipRow[],
): Promise<void> => {
  insertEvent(tx, event);
  insertAuthEdges(tx, event.num, drafted.authNums);
  putNodes(tx, batch.room.num, drafted.nodes);
  for (const row of memberships) {
    putMembership(tx, row);
    if (row.isLocal && event.position !== undefined) insertMembershipChange(tx, row, event.position);
  }
  if (drafted.redacts !== undefined) {
    if ('target' in drafted.redacts) await markRedacted(tx, drafted.redacts.target.num, event.num);
    else insertPendingRedaction(tx, batch.room.num, drafted.redacts.pendingId, event.num);
  }
  if (drafted.settles) await deletePendingRedactions(tx, batch.room.num, event.eventId);
};

/**
 * Writes a batch in the transaction: events, edges, state nodes, memberships, redactions, transaction ids and the room's head. One row a table
 * for a plain message, whatever the size of the room. Runs again after a conflict; answers what the commit made, to be used only once it is durable.
 */
export const writeBatch = async (tx: Transaction, batch: Batch, membershipsOf: MembershipsOf, clock: Clock): Promise<Committed> => {
  const { drafted, sent, alongside, head } = batch.work;
  const live = drafted.filter((each) => each.inTimeline).length;
  const first = live === 0 ? 0 : await tx.nextPositions(EVENTS_STREAM, live);
  const events = place(drafted, first);
  if (batch.isNew) insertRoom(tx, batch.room, clock.now());
  let root = batch.rootBefore;
  const memberships = new Map<number, MembershipRow>();
  for (const [index, each] of drafted.entries()) {
    const event = events[index] as RoomEvent;
    const rows = membershipsOf(each);
    for (const row of rows) memberships.set(row.userNum, row);
    await writeEvent(tx, batch, each, event, rows);
    if (each.currentRoot !== root && event.position !== undefined) insertStateHistory(tx, batch.room.num, event.position, each.currentRoot);
    root = each.currentRoot;
  }
  for (const { key, event } of sent) insertTransaction(tx, key, batch.room.num, event.num, clock.now());
  for (const body of alongside) await body(tx);
  if (drafted.length > 0) putHead(tx, batch.room.num, { extremities: head.extremities.map((event) => event.num), root: head.view.root });
  const byNum = new Map(events.map((event) => [event.num, event]));
  const redacted: RoomEvent[] = [];
  for (const [index, each] of drafted.entries()) {
    if (each.redacts === undefined || !('target' in each.redacts)) continue;
    const target = byNum.get(each.redacts.target.num) ?? each.redacts.target;
    if (target.redactedBy !== undefined) continue;
    const changed = { ...target, redactedBy: (events[index] as RoomEvent).num };
    byNum.set(changed.num, changed);
    redacted.push(changed);
  }
  return { events: events.map((event) => byNum.get(event.num) as RoomEvent), redacted, memberships: [...memberships.values()], head };
};
