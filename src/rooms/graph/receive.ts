import { clampedInteger } from '#src/protocol/json.ts';
import { authStateOf, checkAuth, checkAuthEvents, stateNeededFor } from '#src/protocol/auth-rules/index.ts';
import { authEventIds, type ParsedEvent, prevEventIds, redactedCopy } from '#src/protocol/events.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import { applyState, type Drafted, type DraftTools, eventsUnder, type Head, internEvent } from '#src/rooms/graph/draft.ts';
import { REJECTED, type RoomEvent, type RoomInfo, SOFT_FAILED } from '#src/rooms/graph/events.ts';
import { redactionApplies, redactionOf } from '#src/rooms/graph/redactions.ts';
import { type ResolveTools, resolveRoots } from '#src/rooms/graph/resolve.ts';
import type { NodeId, StoredNode } from '#src/rooms/graph/state-tree/nodes.ts';
import { diff } from '#src/rooms/graph/state-tree/tree.ts';
import { pendingRedactionsOf } from '#src/rooms/graph/store.ts';
import { addEvent, addNodes, newView, type Pending, type RoomReads, type View } from '#src/rooms/graph/view.ts';

/** An event cites events that are not here. Nothing was done; the caller fetches them and tries again. */
export class MissingEventsError extends Error {
  override readonly name = 'MissingEventsError';
  readonly eventIds: readonly string[];
  constructor(eventIds: readonly string[]) {
    super(`Events are missing: ${eventIds.join(', ')}`);
    this.eventIds = eventIds;
  }
}

/** A batch at work on a room. */
export interface Workbench {
  readonly tools: DraftTools & ResolveTools;
  readonly room: RoomInfo;
  readonly version: RoomVersion;
  readonly pending: Pending;
  readonly reads: RoomReads;
}

const find = async ({ reads }: Workbench, eventIds: readonly string[]): Promise<RoomEvent[]> => {
  const found = await Promise.all(eventIds.map(async (eventId) => reads.eventById(eventId)));
  const missing = eventIds.filter((_, index) => found[index] === undefined);
  if (missing.length > 0) throw new MissingEventsError(missing);
  return found as RoomEvent[];
};

/** The state before an event: that after its prev events, resolved where they differ. */
const stateBefore = async (
  { tools, version, pending, reads }: Workbench,
  prev: readonly RoomEvent[],
): Promise<{ root: NodeId; created: readonly StoredNode[] }> => {
  const roots = prev.map((event) => event.stateRoot);
  if (roots.includes(undefined))
    throw new MissingEventsError(prev.filter((event) => event.stateRoot === undefined).map((event) => event.eventId));
  const resolved = await resolveRoots(tools, version, pending, reads, roots as NodeId[]);
  addNodes(pending, resolved.created);
  return resolved;
};

/** What became of the event: the bits for `facts`, and the sentence for the operator. */
interface Judgement {
  readonly facts: number;
  readonly fault: string | undefined;
}

/** Checks 4 to 6 of the specification's "Checks performed on receipt of a PDU". */
const judge = async (
  bench: Workbench,
  parsed: ParsedEvent,
  auth: readonly RoomEvent[],
  before: View,
  current: View,
): Promise<Judgement> => {
  const { version, reads } = bench;
  const rejected = (fault: string): Judgement => ({ facts: REJECTED, fault });
  if (parsed.rejection !== undefined) return rejected(parsed.rejection);
  const cited = checkAuthEvents(
    parsed,
    auth.map((event) => ({ eventId: event.eventId, roomId: bench.room.roomId, pdu: event.pdu, rejected: (event.facts & REJECTED) !== 0 })),
    version,
  );
  if (!cited.allowed) return rejected(`auth events, rule ${cited.rule}: ${cited.reason}`);
  const needed = stateNeededFor(parsed.pdu, version);
  const create = await reads.state(before, 'm.room.create', '');
  const byAuthEvents = checkAuth(parsed.pdu, authStateOf(create === undefined ? auth : [create, ...auth]), version);
  if (!byAuthEvents.allowed) return rejected(`by its auth events, rule ${byAuthEvents.rule}: ${byAuthEvents.reason}`);
  const byState = checkAuth(parsed.pdu, authStateOf(await eventsUnder(reads, before, needed)), version);
  if (!byState.allowed) return rejected(`by the state before it, rule ${byState.rule}: ${byState.reason}`);
  const byCurrent = checkAuth(parsed.pdu, authStateOf(await eventsUnder(reads, current, needed)), version);
  if (!byCurrent.allowed) return { facts: SOFT_FAILED, fault: `by the current state, rule ${byCurrent.rule}: ${byCurrent.reason}` };
  return { facts: 0, fault: undefined };
};

/** The redaction that was here before its target, if one applies. */
const waitingRedaction = async (
  { tools, room, version, reads }: Workbench,
  event: RoomEvent,
  view: View,
): Promise<{ waited: boolean; redactedBy: number | undefined }> => {
  const nums = await tools.database.read('pending redactions', async (reader) => pendingRedactionsOf(reader, room.num, event.eventId));
  for (const num of nums) {
    const redaction = await reads.event(num);
    if (redaction !== undefined && (await redactionApplies(version, redaction, event, reads, view)))
      return { waited: true, redactedBy: num };
  }
  return { waited: nums.length > 0, redactedBy: undefined };
};

/** The head once an accepted event counts: it takes the place of what it cites, and several extremities' states are resolved into the current one. */
const advance = async (
  bench: Workbench,
  head: Head,
  event: RoomEvent,
  after: View,
): Promise<{ head: Head; nodes: readonly StoredNode[] }> => {
  const { tools, version, pending, reads } = bench;
  const cited = new Set(prevEventIds(event.pdu));
  const extremities = [...head.extremities.filter((extremity) => !cited.has(extremity.eventId)), event];
  if (extremities.length === 1) return { head: { extremities, view: after }, nodes: [] };
  const resolved = await resolveRoots(
    tools,
    version,
    pending,
    reads,
    extremities.map((extremity) => extremity.stateRoot as NodeId),
  );
  addNodes(pending, resolved.created);
  const view = resolved.root === head.view.root ? head.view : newView(resolved.root);
  return { head: { extremities, view }, nodes: resolved.created };
};

/**
 * Receives an event that another server made, whose form and signatures are in order: compares its hash, authorises it by its auth events, the state
 * before it and the current state, and puts it into the graph with what became of it (server-server API, "Checks performed on receipt of a PDU").
 * Throws `MissingEventsError` when it cites what is not here.
 */
export const receiveEvent = async (
  bench: Workbench,
  head: Head,
  given: ParsedEvent,
): Promise<{ drafted: Drafted; head: Head } | undefined> => {
  const { tools, room, version, pending, reads } = bench;
  if ((await reads.eventById(given.eventId)) !== undefined) return undefined;
  const parsed: ParsedEvent = given.contentHashMatches ? given : { ...given, ...redactedCopy(given, version) };
  const prev = await find(bench, prevEventIds(parsed.pdu));
  const auth = await find(bench, authEventIds(parsed.pdu));
  const before = await stateBefore(bench, prev);
  const beforeView = before.root === head.view.root ? head.view : newView(before.root);
  const judgement = await judge(bench, parsed, auth, beforeView, head.view);
  const unrooted: RoomEvent = {
    num: await tools.eventNumbers.next(),
    eventId: parsed.eventId,
    roomNum: room.num,
    ...(await internEvent(tools.strings, parsed.pdu)),
    pdu: parsed.pdu,
    json: parsed.json,
    depth: clampedInteger(parsed.pdu.depth),
    position: undefined,
    writerNum: tools.writerNum,
    stateRoot: before.root,
    ...judgement,
    redactedBy: undefined,
  };
  const isRejected = (judgement.facts & REJECTED) !== 0;
  const applied = isRejected ? { view: beforeView, nodes: [] } : await applyState(tools, reads, beforeView, unrooted);
  addNodes(pending, applied.nodes);
  const { waited, redactedBy } = await waitingRedaction(bench, unrooted, beforeView);
  const event: RoomEvent = { ...unrooted, stateRoot: applied.view.root, redactedBy };
  const authNums = event.stateKeyNum === undefined ? [] : auth.map((each) => each.num);
  addEvent(pending, event, authNums);
  const counts = judgement.facts === 0;
  const advanced = counts ? await advance(bench, head, event, applied.view) : { head, nodes: [] };
  const changes = await diff(reads.nodes, head.view.root, advanced.head.view.root);
  // The commit looks at the member events among the changes: they have to be at hand.
  for (const { after } of changes) {
    const changed = after === undefined ? undefined : await reads.event(after);
    if (changed !== undefined) pending.events.set(changed.num, changed);
  }
  const drafted: Drafted = {
    event,
    inTimeline: counts,
    authNums,
    nodes: [...before.created, ...applied.nodes, ...advanced.nodes],
    currentRoot: advanced.head.view.root,
    changes,
    redacts: isRejected ? undefined : await redactionOf(version, event, reads, beforeView),
    settles: waited,
  };
  return { drafted, head: advanced.head };
};
