import { roomVersion } from '#src/protocol/room-versions.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import { CommitInDoubt } from '#src/platform/database/errors.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import { type Batch, type Committed, type MembershipsOf, writeBatch } from '#src/rooms/graph/commit.ts';
import { draftEvent, draftTemplate, type Drafted, type DraftWork, type Head, type RoomDraft } from '#src/rooms/graph/draft.ts';
import type { Events } from '#src/rooms/graph/event-cache.ts';
import type { RoomEvent, RoomInfo } from '#src/rooms/graph/events.ts';
import type { Command, HotRoom, HotRooms } from '#src/rooms/graph/hot-rooms.ts';
import { EMPTY } from '#src/rooms/graph/state-tree/nodes.ts';
import type { StateDifference } from '#src/rooms/graph/state-tree/tree.ts';
import { judgeAgain } from '#src/rooms/graph/receive/again.ts';
import type { Made, ReceiveTools, Workbench, Workshop } from '#src/rooms/graph/receive/bench.ts';
import { lackingEvent } from '#src/rooms/graph/receive/place.ts';
import { redactionOf } from '#src/rooms/graph/redactions.ts';
import type { SentTransactions } from '#src/rooms/graph/sent-transactions.ts';
import type { WrittenRoots } from '#src/rooms/graph/state-collection/written-roots.ts';
import type { MembershipRow } from '#src/rooms/graph/store.ts';
import {
  addEvent,
  flatten,
  forgetEventsSince,
  newPending,
  newView,
  type Pending,
  roomReads,
  type RoomReads,
} from '#src/rooms/graph/view.ts';

/** What the writer needs beside the tools for drafting. */
export interface WriterTools extends ReceiveTools {
  readonly database: Database;
  readonly events: Events;
  readonly hotRooms: HotRooms;
  readonly sentTransactions: SentTransactions;
  readonly writtenRoots: WrittenRoots;
  /** Whether this server's users forget a room as soon as they leave it. */
  readonly forgetsOnLeave: boolean;
  readonly participants: readonly CommitParticipant[];
  /** Makes a commit depend on this process still being the rooms' writer. */
  readonly fence: (tx: Transaction) => void;
  /** Called when a batch has become durable, before its positions are published: what must not be stale by then is renewed here. */
  readonly onCommitted: (room: RoomInfo, committed: Committed) => void;
  /** Called when it is not known whether a batch was committed: what memory believes of the timeline may miss it. */
  readonly onInDoubt: () => void;
}

/**
 * Another slice that writes with every batch of events, in the events' own transaction (push counts, relations). `prepare` runs before it,
 * with the room to itself, and may read; what it answers writes in the transaction, which may run twice, and awaits nothing but it. `told` has for each event
 * the position from which on clients are told what it changed.
 */
export interface CommitParticipant {
  prepare(room: RoomInfo, drafted: readonly Drafted[]): Promise<CommitPart>;
}

/** What a participant writes with a batch. */
type CommitPart = (tx: Transaction, events: readonly RoomEvent[], told: ReadonlyMap<number, number>) => Promise<void> | void;

/** Commands that one batch takes at most; the others go with the next. */
const MAX_BATCH = 100;

/** So many events are written ahead at a time: some ten milliseconds. */
const EVENTS_AHEAD = 500;

/** Whom state resolution has taken out of the state has left, by the event that was there. */
const memberChange = (tools: WriterTools, roomNum: number, pending: Pending, change: StateDifference): MembershipRow | undefined => {
  const eventNum = (change.after ?? change.before) as number;
  const event = pending.events.get(eventNum) ?? tools.events.peek(eventNum);
  if (event === undefined || event.pdu.type !== 'm.room.member' || event.stateKeyNum === undefined) return undefined;
  const membership = change.after === undefined ? 'leave' : event.pdu.content.membership;
  const isLocal = domainOf(event.pdu.state_key ?? '') === tools.serverName;
  return {
    roomNum,
    userNum: event.stateKeyNum,
    membership: typeof membership === 'string' ? membership : 'leave',
    eventNum,
    isLocal,
    forgotten: isLocal && tools.forgetsOnLeave && (membership === 'leave' || membership === 'ban'),
  };
};

const newWork = (head: Head): DraftWork => ({ head, drafted: [], revised: [], sent: [], alongside: [] });

/** Takes what one step has made into a command's work. */
const take = (work: DraftWork, pending: Pending, made: { drafted: Drafted; head: Head }): RoomEvent => {
  work.head = made.head;
  work.drafted.push(made.drafted);
  addEvent(pending, made.drafted.event, made.drafted.authNums);
  return made.drafted.event;
};

/** Does a step and takes what it has made; then judges again those that lacked its events, and so on. */
const makeEvents = async (bench: Workbench, work: DraftWork, step: Parameters<Workshop['make']>[0]): Promise<Made | undefined> => {
  const made = await step(bench, work.head);
  if (made === undefined) return undefined;
  work.head = made.head;
  work.drafted.push(...made.drafted);
  work.revised.push(...made.revised);
  for (const { event, replaces, arrives } of made.drafted) {
    if (replaces || !(arrives || bench.pending.lacking.has(event.eventId))) continue;
    for (const num of await lackingEvent(bench, event.eventId)) {
      const lacking = await bench.reads.event(num);
      if (lacking !== undefined) await makeEvents(bench, work, async (_, head) => judgeAgain(bench, head, lacking));
    }
  }
  return made;
};

/** The draft that a command works on. What it makes stays with `work` until the batch takes it. */
const openDraft = (
  tools: WriterTools,
  hot: HotRoom,
  batchWork: DraftWork,
  pending: Pending,
  reads: RoomReads,
  work: DraftWork,
): RoomDraft & Workshop => {
  const version = roomVersion(hot.room.version);
  const { room } = hot;
  return {
    room,
    version,
    state: async (type, stateKey) => reads.state(work.head.view, type, stateKey),
    event: async (eventId) => reads.eventById(eventId),
    append: async (wanted) => {
      const made = await draftEvent(tools, room, version, work.head, pending, reads, wanted);
      const redacts = await redactionOf(version, made.drafted.event, reads, work.head.view);
      return take(work, pending, { ...made, drafted: { ...made.drafted, redacts } });
    },
    template: async (wanted) => draftTemplate(tools, room, { head: work.head, version, pending, reads }, wanted),
    make: async (step) => makeEvents({ tools, room, version, pending, reads, isNew: hot.isNew }, work, step),
    sent: async (key) => {
      const same = (each: { key: { userNum: number; deviceId: string; txnId: string } }): boolean =>
        each.key.userNum === key.userNum && each.key.deviceId === key.deviceId && each.key.txnId === key.txnId;
      const now = batchWork.sent.find(same) ?? work.sent.find(same);
      if (now !== undefined) return now.event;
      const num = await tools.sentTransactions.find(key, room.num);
      return num === undefined ? undefined : tools.events.byNum(num);
    },
    markSent: (key, event) => {
      work.sent.push({ key, event });
    },
    alongside: (body) => {
      work.alongside.push(body);
    },
  };
};

/** Runs commands one after another on top of each other; one that throws leaves no trace. Answers how to tell those that succeeded. */
const runCommands = async (
  tools: WriterTools,
  hot: HotRoom,
  commands: readonly Command[],
  work: DraftWork,
  pending: Pending,
): Promise<(() => void)[]> => {
  const reads = roomReads(hot.room.num, pending, tools.states, tools.events, hot.isNew);
  const succeeded: (() => void)[] = [];
  for (const command of commands) {
    const own = newWork(work.head);
    const undo = pending.undo.length;
    try {
      const value = await command.run(openDraft(tools, hot, work, pending, reads, own));
      work.head = own.head;
      work.drafted.push(...own.drafted);
      work.revised.push(...own.revised);
      work.sent.push(...own.sent);
      work.alongside.push(...own.alongside);
      succeeded.push(() => command.resolve(value));
    } catch (error) {
      forgetEventsSince(pending, undo);
      command.reject(error);
    }
  }
  return succeeded;
};

/** Writes a batch, or a part of one that stands by itself, in one transaction. */
const commitPart = async (tools: WriterTools, hot: HotRoom, work: DraftWork, pending: Pending): Promise<void> => {
  const stateNums = [...work.drafted.map(({ event }) => event), ...work.revised]
    .filter((event) => event.stateKeyNum !== undefined)
    .map((event) => event.num);
  const generations = stateNums.length === 0 ? new Map<number, number>() : await tools.authChains.graph(pending).generations(stateNums);
  const batch: Batch = { room: hot.room, isNew: hot.isNew, rootBefore: hot.head.view.root, work, generations };
  const membershipsOf: MembershipsOf = (drafted) =>
    drafted.changes.flatMap((change) => memberChange(tools, hot.room.num, pending, change) ?? []);
  tools.writtenRoots.note(hot.room.num, () => [
    work.head.view.root,
    ...work.drafted.flatMap((each) => [each.event.stateRoot, each.currentRoot]),
    ...work.revised.map((event) => event.stateRoot),
  ]);
  const parts = await Promise.all(tools.participants.map(async (participant) => participant.prepare(hot.room, work.drafted)));
  await tools.database.write('room batch', async (tx) => {
    tools.fence(tx);
    const committed = await writeBatch(tx, batch, membershipsOf, tools.clock);
    for (const part of parts) await part(tx, committed.events, committed.told);
    tx.onCommit(() => {
      const placed = new Map(committed.events.map((event) => [event.num, event]));
      hot.head = {
        extremities: committed.head.extremities.map((event) => placed.get(event.num) ?? event),
        view: flatten(committed.head.view, placed),
      };
      if (hot.isNew) tools.hotRooms.adopt(hot);
      hot.isNew = false;
      tools.events.remember([...committed.events, ...committed.changed]);
      tools.authChains.remember(generations);
      for (const drafted of work.drafted) tools.states.remember(drafted.nodes);
      for (const { key, event } of work.sent) tools.sentTransactions.remember(key, hot.room.num, event.num);
      tools.onCommitted(hot.room, committed);
    });
  });
};

/** Whether an event changes nothing but that it is here: no place in the graph, and nothing waited for it. */
const standsByItself = ({ inTimeline, isPast = false, nodes, changes, redacts, settles, replaces, arrives }: Drafted): boolean =>
  !(inTimeline || isPast || settles || replaces || arrives) && nodes.length === 0 && changes.length === 0 && redacts === undefined;

/**
 * Commits what a batch has made. What comes first in it and only authorises the rest, thousands of events where a large room is taken in, is written ahead in parts,
 * between which other rooms are written to. A crash between them leaves auth events that nothing refers to yet, in a room that is new with nobody in it; they are
 * found when the room is taken in again. Who is in the room, its state and its timeline are there at once, with the last part.
 */
const commit = async (tools: WriterTools, hot: HotRoom, work: DraftWork, pending: Pending): Promise<void> => {
  const first = work.drafted.findIndex((drafted) => !standsByItself(drafted));
  for (let start = 0; start + EVENTS_AHEAD <= first; start += EVENTS_AHEAD)
    await commitPart(tools, hot, { ...newWork(hot.head), drafted: work.drafted.splice(0, EVENTS_AHEAD) }, pending);
  await commitPart(tools, hot, work, pending);
};

const runBatch = async (tools: WriterTools, hot: HotRoom, commands: readonly Command[]): Promise<void> => {
  if (hot.isInDoubt) hot.head = await tools.hotRooms.headOf(hot.room);
  hot.isInDoubt = false;
  const pending = newPending();
  const work = newWork(hot.head);
  const succeeded = await runCommands(tools, hot, commands, work, pending);
  if (work.drafted.length > 0 || work.revised.length > 0 || work.sent.length > 0 || work.alongside.length > 0)
    await commit(tools, hot, work, pending);
  for (const tell of succeeded) tell();
};

const nextCommands = (queue: Command[]): Command[] => {
  const untilAlone = queue.findIndex((command) => command.isAlone);
  return queue.splice(0, untilAlone === -1 ? MAX_BATCH : Math.max(1, Math.min(untilAlone, MAX_BATCH)));
};

const drain = async (tools: WriterTools, hot: HotRoom): Promise<void> => {
  hot.busy = true;
  while (hot.queue.length > 0) {
    const commands = nextCommands(hot.queue);
    try {
      await runBatch(tools, hot, commands);
    } catch (error) {
      // It may have been committed although it failed: what memory believes is not built upon.
      if (error instanceof CommitInDoubt) {
        hot.isInDoubt = true;
        tools.onInDoubt();
      }
      for (const command of commands) command.reject(error);
    }
  }
  hot.busy = false;
};

/** Changes rooms: one batch of a room at a time, in the order of asking. */
export interface RoomWriter {
  /**
   * Runs `command` when the room is free and resolves once what it did is durable and published. Commands of one room that wait together
   * share a commit. A command must be quick: the room waits for it.
   */
  write<T>(room: RoomInfo, command: (draft: RoomDraft & Workshop) => Promise<T>): Promise<T>;
  /** The same for a room that does not exist yet; its first command makes the create event. */
  create<T>(room: RoomInfo, command: (draft: RoomDraft & Workshop) => Promise<T>): Promise<T>;
  /** Runs `step`, which makes no events, while no batch of the room is under way. It may write rows of its own. */
  alone<T>(room: RoomInfo, step: () => Promise<T>): Promise<T>;
  /** Where a room stands now: its extremities and its current state's root, as last published. */
  head(room: RoomInfo): Promise<Head>;
  /** The event that holds (type, stateKey) in the current state. */
  state(room: RoomInfo, type: string, stateKey: string): Promise<RoomEvent | undefined>;
}

export const createRoomWriter = (tools: WriterTools): RoomWriter => {
  const enqueue = async <T>(hot: HotRoom, run: (draft: RoomDraft & Workshop) => Promise<T>, isAlone: boolean): Promise<T> => {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    hot.queue.push({ run, resolve: resolve as (value: unknown) => void, reject, isAlone });
    if (!hot.busy) void drain(tools, hot);
    return promise;
  };

  const enqueueIn = async <T>(room: RoomInfo, run: (draft: RoomDraft & Workshop) => Promise<T>, isAlone: boolean): Promise<T> => {
    let hot = await tools.hotRooms.warm(room);
    // Between its coming warm and here it may have made place for another; two of one room would write past each other.
    while (!tools.hotRooms.holds(hot)) hot = await tools.hotRooms.warm(room);
    return enqueue(hot, run, isAlone);
  };

  return {
    write: async (room, command) => enqueueIn(room, command, false),
    alone: async (room, step) => enqueueIn(room, step, true),
    create: async (room, command) => {
      const hot: HotRoom = { room, isNew: true, head: { extremities: [], view: newView(EMPTY) }, isInDoubt: false, queue: [], busy: false };
      return enqueue(hot, command, false);
    },
    head: async (room) => (await tools.hotRooms.warm(room)).head,
    state: async (room, type, stateKey) => {
      const { head } = await tools.hotRooms.warm(room);
      return roomReads(room.num, newPending(), tools.states, tools.events).state(head.view, type, stateKey);
    },
  };
};
