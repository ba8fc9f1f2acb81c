import { buildPdu } from '#src/protocol/events.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import type { SigningKey } from '#src/protocol/signatures.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database, LeaseToken, Transaction } from '#src/platform/database/types.ts';
import type { Random } from '#src/platform/random.ts';
import { createAuthChains, readAuthChain } from '#src/rooms/graph/auth-chains/index.ts';
import type { Committed } from '#src/rooms/graph/commit.ts';
import type { Head, NewEvent, RoomDraft } from '#src/rooms/graph/draft.ts';
import { createEvents, type Events } from '#src/rooms/graph/event-cache.ts';
import type { RoomEvent, RoomInfo } from '#src/rooms/graph/events.ts';
import { createHotRooms } from '#src/rooms/graph/hot-rooms.ts';
import { createMemberships, type Memberships } from '#src/rooms/graph/memberships.ts';
import { createNumbers } from '#src/rooms/graph/numbers.ts';
import { type EventPolicy, NO_POLICY } from '#src/rooms/graph/receive/policy.ts';
import { createReceiver, type Receiver } from '#src/rooms/graph/receive/receiver.ts';
import { ownServerKeys, type ServerKeys } from '#src/rooms/graph/receive/server-keys.ts';
import { createSentTransactions } from '#src/rooms/graph/sent-transactions.ts';
import type { NodeId } from '#src/rooms/graph/state-tree/nodes.ts';
import { collectDueRooms } from '#src/rooms/graph/state-collection/index.ts';
import { createWrittenRoots } from '#src/rooms/graph/state-collection/written-roots.ts';
import { createStates, type States } from '#src/rooms/graph/states.ts';
import { setRoomVersion } from '#src/rooms/graph/store.ts';
import { createTimeline, type Timeline } from '#src/rooms/graph/timeline.ts';
import { type CommitParticipant, createRoomWriter } from '#src/rooms/graph/writer.ts';

export {
  AUTH_GENERATIONS_UPDATE,
  rebuildAuthChains,
  updateAuthGenerations,
  verifyAuthChains,
} from '#src/rooms/graph/auth-chains/rebuild.ts';
export { EVENTS_STREAM, PAST_STREAM } from '#src/rooms/graph/commit.ts';
export { resolveEnds, type ResolvedEnds } from '#src/rooms/graph/ends.ts';
export type { NewEvent, RoomDraft } from '#src/rooms/graph/draft.ts';
export type { Events } from '#src/rooms/graph/event-cache.ts';
export {
  DUMMY_EVENT,
  HELD,
  isAccepted,
  isAfterGap,
  isRejected,
  LET_IN,
  NEVER_SHOWN,
  NOT_ACCEPTED,
  REDUCED,
  REJECTED,
  type RoomEvent,
  type RoomInfo,
  SOFT_FAILED,
  UNVERIFIED,
} from '#src/rooms/graph/events.ts';
export type { Memberships } from '#src/rooms/graph/memberships.ts';
export type { HistoryPoint, MembershipChange, TimePoint } from '#src/rooms/graph/read-store.ts';
export type { NodeId } from '#src/rooms/graph/state-tree/nodes.ts';
export { DroppedEventError, MissingEventsError, RefusedEventError } from '#src/rooms/graph/receive/missing.ts';
export type { ReceiveOptions } from '#src/rooms/graph/receive/index.ts';
export type { CheckedEvent, RoomName } from '#src/rooms/graph/receive/receiver.ts';
export type { EventPolicy, PolicyVerdict } from '#src/rooms/graph/receive/policy.ts';
export type { ServerKeys } from '#src/rooms/graph/receive/server-keys.ts';
export { createStates, type StateEntry, type States } from '#src/rooms/graph/states.ts';
export type { MembershipRow, TransactionKey } from '#src/rooms/graph/store.ts';
export { acquireWriterLease } from '#src/rooms/graph/lease.ts';
export { createLooseEnds, scheduleLooseEnds } from '#src/rooms/graph/loose-ends.ts';
export { scheduleGraphJanitor } from '#src/rooms/graph/janitor.ts';
export type { CommitParticipant } from '#src/rooms/graph/writer.ts';
export type { Drafted } from '#src/rooms/graph/draft.ts';
export type { Gap, SilentChange, Timeline } from '#src/rooms/graph/timeline.ts';

/** The heart: rooms' event graphs and states. Everything above reads rooms by this door and changes them by its commands. */
export interface RoomGraph extends Receiver {
  readonly events: Events;
  readonly states: States;
  readonly memberships: Memberships;
  readonly timeline: Timeline;
  /** The room with this id, or undefined when this server has never seen it. */
  room(roomId: string): Promise<RoomInfo | undefined>;
  rooms(roomNums: readonly number[]): Promise<ReadonlyMap<number, RoomInfo>>;
  /** Where a room stands now: its extremities and current state, as last published. */
  head(room: RoomInfo): Promise<Head>;
  /** The root of a room's current state now. */
  currentRoot(room: RoomInfo): Promise<NodeId>;
  /** The event that holds (type, stateKey) in a room's current state. Usually answered from memory. */
  currentState(room: RoomInfo, type: string, stateKey: string): Promise<RoomEvent | undefined>;
  /** Every state event of a state, or of one type of it. */
  stateEvents(room: RoomInfo, root: NodeId, type?: string): Promise<readonly RoomEvent[]>;
  /** What authorises these events: their auth events, what those cite, and so on; not the events themselves. Costs the size of the answer. */
  authChain(events: readonly RoomEvent[]): Promise<readonly RoomEvent[]>;
  /** Lets another slice write with every batch of events from now on. */
  takePart(participant: CommitParticipant): void;
  /** Removes state nodes that nothing reaches any more from the rooms that are due; answers how many. Rooms go on meanwhile. */
  collectState(signal: AbortSignal): Promise<number>;
  /** The transaction id with which a device sent a recent event, for `unsigned.transaction_id`. */
  transactionIdOf(userNum: number, deviceId: string, eventNum: number): string | undefined;
  /**
   * Runs a command on a room: alone, in its turn, in one transaction. Resolves once all that it did is durable and published; if it throws,
   * it did nothing. The command awaits nothing but the draft and quick reads, as the room waits for it, unless it is to wait (`creation/upgrade/`).
   */
  write<T>(room: RoomInfo, command: (draft: RoomDraft) => Promise<T>): Promise<T>;
  /** An id for a room of this version: a new one, or where rooms are named by their create event that event's, whose time must be given. */
  newRoomId(versionId: string, create: NewEvent): string;
  /**
   * Makes a room of this version: appends `create`, then runs the command in the same transaction. `roomId` is what `newRoomId` gave, for who had to know it before.
   * Throws as `write` does.
   */
  createRoom<T>(
    versionId: string,
    create: NewEvent,
    command: (draft: RoomDraft) => Promise<T>,
    roomId?: string,
  ): Promise<{ room: RoomInfo; value: T }>;
}

export interface RoomGraphTools {
  readonly database: Database;
  readonly strings: Strings;
  readonly clock: Clock;
  readonly random: Random;
  readonly serverName: string;
  readonly signingKey: SigningKey;
  /** Whether no other process writes events. */
  readonly soleWriter: boolean;
  /** Whether this server's users forget a room as soon as they leave it (`forget_rooms_on_leave`). */
  readonly forgetsOnLeave?: boolean;
  /** Keys of servers, with which events from elsewhere are checked; by default this server's own alone. */
  readonly serverKeys?: ServerKeys | undefined;
  /** Who has a word on events from elsewhere; by default nobody. */
  readonly eventPolicy?: EventPolicy;
  /** Proof that this process may write events, where others could think that they may (`acquireWriterLease`). */
  readonly lease?: LeaseToken | undefined;
}

/** Builds the graph. Reads nothing of rooms until it is asked. */
export const createRoomGraph = async (tools: RoomGraphTools): Promise<RoomGraph> => {
  const { database, strings, clock, random, serverName, signingKey } = tools;
  const events = createEvents(database);
  const states = createStates(database, strings);
  const memberships = createMemberships(database);
  const timeline = createTimeline(database, events, tools.soleWriter);
  const hotRooms = createHotRooms(database, events);
  const sentTransactions = createSentTransactions(database);
  const roomNumbers = createNumbers(database, 'room_numbers');
  const writerNum = (await strings.intern([database.writer])).get(database.writer) as number;

  const participants: CommitParticipant[] = [];
  const writtenRoots = createWrittenRoots();
  const fence = (tx: Transaction): void => {
    if (tools.lease !== undefined) tx.fence(tools.lease);
  };

  const onCommitted = (_room: RoomInfo, committed: Committed): void => {
    memberships.remember(committed.memberships);
    timeline.remember(committed.live);
  };

  const writer = createRoomWriter({
    database,
    strings,
    clock,
    random,
    serverName,
    signingKey,
    events,
    states,
    authChains: createAuthChains(database),
    hotRooms,
    sentTransactions,
    writtenRoots,
    eventNumbers: createNumbers(database, 'event_numbers'),
    writerNum,
    forgetsOnLeave: tools.forgetsOnLeave ?? false,
    onInDoubt: () => {
      timeline.forget();
      memberships.forgetAll();
      sentTransactions.forgetAll();
    },
    participants,
    eventPolicy: tools.eventPolicy ?? NO_POLICY,
    fence,
    onCommitted,
  });

  /** `!` and 18 letters, or for rooms named by their create event that event's hash. */
  const newRoomId = (versionId: string, create: NewEvent): string => {
    const version = roomVersion(versionId);
    if (version.roomIds === 'opaque') return `!${random.string(18)}:${serverName}`;
    const { roomId } = buildPdu({
      roomVersion: version,
      roomId: '',
      type: create.type,
      stateKey: create.stateKey,
      sender: create.sender,
      content: create.content,
      originServerTs: create.originServerTs ?? clock.now(),
      depth: 1,
      prevEvents: [],
      authEvents: [],
      serverName,
      signingKey,
    });
    return roomId;
  };

  const serverKeys = tools.serverKeys ?? ownServerKeys(serverName, [signingKey]);
  const reviseVersion = async (room: RoomInfo): Promise<void> => {
    await database.write('version of room', async (tx) => {
      await setRoomVersion(tx, room.num, room.version);
      tx.onCommit(() => hotRooms.revise(room));
    });
  };
  const receiver = createReceiver({ writer, events, hotRooms, strings, roomNumbers, serverKeys, reviseVersion });

  const currentState: RoomGraph['currentState'] = async (room, type, stateKey) => writer.state(room, type, stateKey);

  return {
    events,
    states,
    memberships,
    timeline,
    room: hotRooms.byId,
    rooms: hotRooms.byNums,
    head: writer.head,
    currentRoot: async (room) => (await writer.head(room)).view.root,
    currentState,
    stateEvents: async (room, root, type) => {
      const entries = await states.entries(room.num, root, type);
      return events.list(entries.map((entry) => entry.eventNum));
    },
    authChain: async (of) => readAuthChain(database, events, of),
    collectState: async (signal) =>
      collectDueRooms({ database, clock, writtenRoots, fence, rooms: hotRooms.byNums, alone: writer.alone }, signal),
    takePart: (participant) => void participants.push(participant),
    transactionIdOf: sentTransactions.txnIdOf,
    ...receiver,
    write: writer.write,
    newRoomId,
    createRoom: async (versionId, create, command, roomId) => {
      const timed: NewEvent = { ...create, originServerTs: create.originServerTs ?? clock.now() };
      const room: RoomInfo = { num: await roomNumbers.next(), roomId: roomId ?? newRoomId(versionId, timed), version: versionId };
      const value = await writer.create(room, async (draft) => {
        await draft.append(timed);
        return command(draft);
      });
      return { room, value };
    },
  };
};
