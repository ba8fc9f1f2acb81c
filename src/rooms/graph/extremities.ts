import { MAX_PREV_EVENTS } from '#src/protocol/event-format.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import { prevEventIds } from '#src/protocol/events.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import type { Head } from '#src/rooms/graph/draft.ts';
import { DUMMY_EVENT, isAccepted, type RoomEvent } from '#src/rooms/graph/events.ts';
import { type ResolveTools, resolveRoots } from '#src/rooms/graph/resolve.ts';
import type { NodeId, StoredNode } from '#src/rooms/graph/state-tree/nodes.ts';
import { diff, type StateDifference } from '#src/rooms/graph/state-tree/tree.ts';
import { addNodes, newView, type Pending, type RoomReads, type View } from '#src/rooms/graph/view.ts';

/** What computing a room's head needs. */
export interface HeadBench {
  readonly tools: ResolveTools;
  readonly version: RoomVersion;
  readonly pending: Pending;
  readonly reads: RoomReads;
}

/** A new event cites this many of the room's ends, if states do not differ among more. */
const FEW = 10;

const byDepthNewestFirst = (a: RoomEvent, b: RoomEvent): number => b.depth - a.depth || b.num - a.num;

/**
 * Which of a room's forward extremities a new event cites: the deepest, and for every state that is among them one that holds it, so that the state before the
 * event is the room's current one for everybody. At most 20 (specification); the others stay extremities.
 */
export const toCite = (extremities: readonly RoomEvent[]): readonly RoomEvent[] => {
  const deepest = extremities.toSorted(byDepthNewestFirst);
  const states = new Map(deepest.toReversed().map((event) => [event.stateRoot, event]));
  const chosen = new Set([...states.values()].toSorted(byDepthNewestFirst).slice(0, MAX_PREV_EVENTS));
  for (const event of deepest) if (chosen.size < FEW) chosen.add(event);
  return deepest.filter((event) => chosen.has(event));
};

/** The head that has these extremities: their states resolved into the current one. `known` are views of states that it may turn out to be. */
export const headOver = async (
  { tools, version, pending, reads }: HeadBench,
  extremities: readonly RoomEvent[],
  known: readonly View[],
): Promise<{ head: Head; nodes: readonly StoredNode[] }> => {
  const roots = extremities.map((extremity) => extremity.stateRoot as NodeId);
  const resolved = await resolveRoots(tools, version, pending, reads, roots);
  addNodes(pending, resolved.created);
  const view = known.find(({ root }) => root === resolved.root) ?? newView(resolved.root);
  return { head: { extremities, view }, nodes: resolved.created };
};

/** Where two states differ. The events there have to be at hand: the commit looks at the member events among them. */
export const changesBetween = async ({ pending, reads }: HeadBench, before: NodeId, after: NodeId): Promise<readonly StateDifference[]> => {
  const changes = await diff(reads.nodes, before, after);
  for (const num of changes.flatMap((change) => change.after ?? change.before ?? [])) {
    const event = await reads.event(num);
    if (event !== undefined) pending.events.set(num, event);
  }
  return changes;
};

/** What an event takes the place of at the end of the room: what it cites, and what that follows where it is not accepted itself. */
export const followedBy = async ({ reads }: HeadBench, event: RoomEvent): Promise<ReadonlySet<string>> => {
  const followed = new Set(prevEventIds(event.pdu));
  for (const eventId of followed) {
    const prev = await reads.eventById(eventId);
    if (prev !== undefined && !isAccepted(prev)) for (const before of prevEventIds(prev.pdu)) followed.add(before);
  }
  return followed;
};

const DAY_MS = 24 * 60 * 60 * 1000;
/** An end so many events back is stuck: when it is a day old, or when its own server has moved on. */
const FAR_BACK = 100;
const BACK = 20;

/** Whether an event is this server's own, or a dummy event that ties such ones up: those we want to cite when we send something. */
const isOurs = async ({ reads }: HeadBench, serverName: string, start: RoomEvent): Promise<boolean> => {
  const checked = new Set([start.eventId]);
  for (const eventId of checked) {
    const event = await reads.eventById(eventId);
    if (event === undefined || domainOf(event.pdu.sender) !== serverName) continue;
    if (event.pdu.type !== DUMMY_EVENT) return true;
    for (const prev of prevEventIds(event.pdu)) checked.add(prev);
  }
  return false;
};

/**
 * The extremities without those that are stuck because of a gap in the graph, as Synapse prunes them: ends whose state is not what became of all, if each of
 * them is of another server and far enough behind `event`, which has just come. All of them go or none. An event that comes for one of them later is received
 * as any other, and is an end again.
 */
export const pruned = async (bench: HeadBench, head: Head, event: RoomEvent, own: { serverName: string; now: number }): Promise<Head> => {
  const kept = head.extremities.filter((extremity) => extremity.stateRoot === head.view.root);
  const dropped = head.extremities.filter((extremity) => extremity.stateRoot !== head.view.root);
  if (kept.length === 0 || dropped.length === 0 || dropped.includes(event)) return head;
  const server = domainOf(event.pdu.sender);
  for (const end of dropped) {
    const isOld = end.depth < event.depth - FAR_BACK && Number(end.pdu.origin_server_ts) < own.now - DAY_MS;
    const hasMovedOn = end.depth < event.depth - BACK && domainOf(end.pdu.sender) === server;
    if (!(isOld || hasMovedOn) || (await isOurs(bench, own.serverName, end))) return head;
  }
  return { ...head, extremities: kept };
};
