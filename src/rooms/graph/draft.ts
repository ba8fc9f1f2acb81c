import { authStateOf, authTypesFor, checkAuth, stateKeyText, stateNeededFor } from '#src/protocol/auth-rules/index.ts';
import { forbidden } from '#src/protocol/errors.ts';
import { buildPdu, MAX_DEPTH, type NewPdu, type Pdu, referencesTo, templatePdu, type UnsignedPdu } from '#src/protocol/events.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import type { SigningKey } from '#src/protocol/signatures.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Random } from '#src/platform/random.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Transaction } from '#src/platform/database/types.ts';
import type { RoomEvent, RoomInfo } from '#src/rooms/graph/events.ts';
import { changesBetween, type HeadBench, headOver, toCite } from '#src/rooms/graph/extremities.ts';
import type { Numbers } from '#src/rooms/graph/numbers.ts';
import type { ResolveTools } from '#src/rooms/graph/resolve.ts';
import type { NodeId, StoredNode } from '#src/rooms/graph/state-tree/nodes.ts';
import { put, type StateDifference } from '#src/rooms/graph/state-tree/tree.ts';
import type { States } from '#src/rooms/graph/states.ts';
import type { TransactionKey } from '#src/rooms/graph/store.ts';
import { addEvent, addNodes, type Pending, type RoomReads, type View, withEvent } from '#src/rooms/graph/view.ts';

/** What somebody on this server wants to happen in a room. */
export interface NewEvent {
  readonly sender: string;
  readonly type: string;
  /** Present for state events. */
  readonly stateKey?: string;
  readonly content: JsonObject;
  /** The event that an `m.room.redaction` redacts; placed where the room version has it. */
  readonly redacts?: string;
  /** Milliseconds; now, unless an application service says otherwise. */
  readonly originServerTs?: number;
}

/** A room as a command may change it: what it reads includes what the commands before it in the same batch have done. */
export interface RoomDraft {
  readonly room: RoomInfo;
  readonly version: RoomVersion;
  /** The event that holds (type, stateKey) in the room's current state. */
  state(type: string, stateKey: string): Promise<RoomEvent | undefined>;
  /** An event of this room, durable or of this batch. */
  event(eventId: string): Promise<RoomEvent | undefined>;
  /** Adds an event after the forward extremities. Throws `forbidden` with the authorisation rule's reason, and the errors of the event format. */
  append(event: NewEvent): Promise<RoomEvent>;
  /** The event that `append` would add, for another server to complete and sign; nothing is added. Throws the same. */
  template(event: NewEvent): Promise<UnsignedPdu>;
  /** The event that this transaction made before, if it did. */
  sent(key: TransactionKey): Promise<RoomEvent | undefined>;
  /** Writes down which event a client's transaction made. */
  markSent(key: TransactionKey, event: RoomEvent): void;
  /** Adds writes of another slice to the room's transaction. The body may run twice; if it throws, the whole batch of the room fails. */
  alongside(body: (tx: Transaction) => Promise<void> | void): void;
}

/** An event that a command made, with what its commit writes beside it. */
export interface Drafted {
  readonly event: RoomEvent;
  readonly inTimeline: boolean;
  /** Whether its place is in the room's past, behind all that was here before it. */
  readonly isPast?: boolean;
  readonly authNums: readonly number[];
  readonly nodes: readonly StoredNode[];
  /** The root of the room's current state once this event counts. */
  readonly currentRoot: NodeId;
  readonly changes: readonly StateDifference[];
  readonly redacts: { readonly target: RoomEvent } | { readonly pendingId: string } | undefined;
  /** Whether redactions waited for this event. */
  readonly settles: boolean;
  /** Whether it has a row already, which it takes the place of: it was an outlier, or is judged again. */
  readonly replaces: boolean;
  /** Whether others cite it that were here before it. */
  readonly arrives: boolean;
  /** What it cites and is not here, and what it follows and has no place in the graph. */
  readonly missing: { readonly prev: readonly string[]; readonly auth: readonly string[] };
}

export const NOTHING_MISSING = { prev: [], auth: [] } as const;

/** Where a room stands: its forward extremities and its current state. */
export interface Head {
  readonly extremities: readonly RoomEvent[];
  readonly view: View;
}

/** A command's work so far; the batch takes it over when the command succeeds. */
export interface DraftWork {
  head: Head;
  readonly drafted: Drafted[];
  /** Events in whose judgement or state another's being judged again has changed something. */
  readonly revised: RoomEvent[];
  readonly sent: { key: TransactionKey; event: RoomEvent }[];
  readonly alongside: ((tx: Transaction) => Promise<void> | void)[];
}

/** What drafting needs of the house. */
export interface DraftTools {
  readonly serverName: string;
  readonly signingKey: SigningKey;
  readonly clock: Clock;
  readonly random: Random;
  readonly strings: Strings;
  readonly states: States;
  readonly eventNumbers: Numbers;
  readonly writerNum: number;
}

/** The state after a state event: the view with its key taken, and the tree nodes which that made. */
export const applyState = async (
  tools: Pick<DraftTools, 'states'>,
  reads: RoomReads,
  view: View,
  event: RoomEvent,
): Promise<{ view: View; nodes: readonly StoredNode[]; changes: readonly StateDifference[] }> => {
  const { type, state_key: stateKey } = event.pdu;
  if (stateKey === undefined) return { view, nodes: [], changes: [] };
  const before = await reads.state(view, type, stateKey);
  const key = await tools.states.makeKey(type, stateKey);
  const changed = await put(reads.nodes, view.root, [{ key, event: event.num }]);
  return {
    view: withEvent(view, changed.root, type, stateKey, event),
    nodes: changed.created,
    changes: [{ key, before: before?.num, after: event.num }],
  };
};

/** Numbers for an event's strings, from memory where they are known. */
export const internEvent = async (
  strings: Strings,
  pdu: Pdu,
): Promise<{ typeNum: number; senderNum: number; stateKeyNum: number | undefined }> => {
  const texts = [pdu.type, pdu.sender, ...(pdu.state_key === undefined ? [] : [pdu.state_key])];
  let nums = texts.map((text) => strings.peekNum(text));
  if (nums.includes(undefined)) {
    const interned = await strings.intern(texts);
    nums = texts.map((text) => interned.get(text));
  }
  return { typeNum: nums[0] as number, senderNum: nums[1] as number, stateKeyNum: nums[2] };
};

/** The events under some keys of a state. */
export const eventsUnder = async (
  reads: RoomReads,
  view: View,
  keys: readonly (readonly [type: string, stateKey: string])[],
): Promise<RoomEvent[]> => {
  const found = await Promise.all(keys.map(async ([type, stateKey]) => reads.state(view, type, stateKey)));
  return found.filter((event) => event !== undefined);
};

/** The state before an event that cites these extremities: the current one, unless there are more states at the ends of the room than can be cited. */
const stateBefore = async (
  bench: HeadBench,
  head: Head,
  cited: readonly RoomEvent[],
): Promise<{ view: View; nodes: readonly StoredNode[] }> => {
  const states = new Set(head.extremities.map((event) => event.stateRoot)).size;
  if (new Set(cited.map((event) => event.stateRoot)).size === states) return { view: head.view, nodes: [] };
  const over = await headOver(bench, cited, [head.view]);
  return { view: over.head.view, nodes: over.nodes };
};

/** The room once a drafted event counts: extremities that it does not cite go on having their say. */
const advance = async (
  bench: HeadBench,
  head: Head,
  cited: readonly RoomEvent[],
  event: RoomEvent,
  applied: Awaited<ReturnType<typeof applyState>>,
): Promise<Pick<Drafted, 'currentRoot' | 'changes' | 'nodes'> & { head: Head }> => {
  const left = head.extremities.filter((extremity) => !cited.includes(extremity));
  if (left.length === 0) {
    const { view, nodes, changes } = applied;
    return { head: { extremities: [event], view }, currentRoot: view.root, changes, nodes };
  }
  const over = await headOver(bench, [...left, event], [applied.view, head.view]);
  const currentRoot = over.head.view.root;
  const changes = await changesBetween(bench, head.view.root, currentRoot);
  return { head: over.head, currentRoot, changes, nodes: [...applied.nodes, ...over.nodes] };
};

/** The next event of a room before it is built: what it follows and by what it is authorised. */
interface Prepared {
  readonly fields: NewPdu;
  readonly cited: readonly RoomEvent[];
  readonly auth: readonly RoomEvent[];
  readonly before: { readonly view: View; readonly nodes: readonly StoredNode[] };
}

const prepareEvent = async (
  tools: DraftTools & ResolveTools,
  room: RoomInfo,
  { head, ...bench }: Omit<HeadBench, 'tools'> & { readonly head: Head },
  wanted: NewEvent,
): Promise<Prepared> => {
  const { version, reads } = bench;
  const cited = toCite(head.extremities);
  const before = await stateBefore({ tools, ...bench }, head, cited);
  const fields = {
    type: wanted.type,
    sender: wanted.sender,
    ...(wanted.stateKey === undefined ? {} : { state_key: wanted.stateKey }),
    content: wanted.content,
  };
  const needed = await eventsUnder(reads, before.view, stateNeededFor(fields, version));
  const selected = new Set(authTypesFor(fields, version).map(([type, stateKey]) => stateKeyText(type, stateKey)));
  const auth = needed.filter(({ pdu }) => selected.has(stateKeyText(pdu.type, pdu.state_key ?? '')));
  return {
    cited,
    auth,
    before,
    fields: {
      roomVersion: version,
      roomId: room.roomId,
      type: wanted.type,
      stateKey: wanted.stateKey,
      sender: wanted.sender,
      content: wanted.content,
      redacts: wanted.redacts,
      originServerTs: wanted.originServerTs ?? tools.clock.now(),
      depth: Math.min(MAX_DEPTH, 1 + Math.max(0, ...cited.map((event) => event.depth))),
      prevEvents: referencesTo(cited, version),
      authEvents: referencesTo(auth, version),
      serverName: tools.serverName,
      signingKey: tools.signingKey,
      authorise: (pdu) => {
        const verdict = checkAuth(pdu, authStateOf(needed), version);
        if (!verdict.allowed) throw forbidden(verdict.reason);
      },
    },
  };
};

/** The next event of the room as its sender's server may complete it. Throws `forbidden` where the rules refuse it. */
export const draftTemplate = async (
  tools: DraftTools & ResolveTools,
  room: RoomInfo,
  bench: Omit<HeadBench, 'tools'> & { readonly head: Head },
  wanted: NewEvent,
): Promise<UnsignedPdu> => templatePdu((await prepareEvent(tools, room, bench, wanted)).fields);

/** Builds, authorises and signs the next event of the room on top of `head`. Throws `forbidden` where the rules refuse it. */
export const draftEvent = async (
  tools: DraftTools & ResolveTools,
  room: RoomInfo,
  version: RoomVersion,
  head: Head,
  pending: Pending,
  reads: RoomReads,
  wanted: NewEvent,
): Promise<{ drafted: Drafted; head: Head }> => {
  const bench: HeadBench = { tools, version, pending, reads };
  const { fields, cited, auth, before } = await prepareEvent(tools, room, { head, version, pending, reads }, wanted);
  const built = buildPdu({
    ...fields,
    eventId: version.eventIds === 'given' ? `$${tools.random.string(18)}:${tools.serverName}` : undefined,
  });
  const nums = await internEvent(tools.strings, built.pdu);
  const unrooted: RoomEvent = {
    num: await tools.eventNumbers.next(),
    eventId: built.eventId,
    roomNum: room.num,
    ...nums,
    pdu: built.pdu,
    json: built.json,
    depth: fields.depth,
    position: undefined,
    writerNum: tools.writerNum,
    stateRoot: undefined,
    facts: 0,
    fault: undefined,
    redactedBy: undefined,
  };
  const applied = await applyState(tools, reads, before.view, unrooted);
  const event: RoomEvent = { ...unrooted, stateRoot: applied.view.root };
  addNodes(pending, applied.nodes);
  const authNums = event.stateKeyNum === undefined ? [] : auth.map((each) => each.num);
  // Where ends are left, their states are resolved with this event's.
  if (cited.length < head.extremities.length) addEvent(pending, event, authNums);
  const { head: advanced, ...changed } = await advance(bench, head, cited, event, applied);
  return {
    drafted: {
      event,
      inTimeline: true,
      authNums,
      ...changed,
      nodes: [...before.nodes, ...changed.nodes],
      redacts: undefined,
      settles: false,
      replaces: false,
      arrives: false,
      missing: NOTHING_MISSING,
    },
    head: advanced,
  };
};
