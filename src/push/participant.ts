import { domainOf } from '#src/protocol/identifiers.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import {
  type CommitParticipant,
  type Drafted,
  NEVER_SHOWN,
  type RoomEvent,
  type RoomGraph,
  type RoomInfo,
} from '#src/rooms/graph/index.ts';
import {
  deleteMember,
  deletePastClasses,
  EVERYBODY,
  insertRunning,
  MAIN_THREAD,
  moveMember,
  nameText,
  putCorrection,
  putMember,
  putSent,
  renameMember,
  runningAt,
  type Series,
  uncount,
} from '#src/push/counts-store.ts';
import { type Evaluation, evaluate } from '#src/push/evaluate.ts';
import type { Ignored } from '#src/push/ignored.ts';
import type { ReadMarks } from '#src/push/ports.ts';
import type { PushRoom } from '#src/push/room.ts';
import type { NewMember, Placed, PushRooms } from '#src/push/rooms.ts';
import type { PushRules } from '#src/push/rules.ts';
import type { RecentCounts } from '#src/push/recent.ts';
import { advance, type Running } from '#src/push/running.ts';
import { threadOf } from '#src/push/threads.ts';

export interface CountingTools {
  readonly database: Database;
  readonly graph: Pick<RoomGraph, 'events'>;
  readonly rooms: PushRooms;
  readonly rules: PushRules;
  readonly ignored: Ignored;
  readonly readMarks: ReadMarks;
  readonly recent: RecentCounts;
  readonly serverName: string;
}

/** Where the events of a batch came to stand. */
type PositionOf = (eventNum: number) => number;
type Write = (tx: Transaction, positionOf: PositionOf) => Promise<void> | void;

/** A batch of events on its way. */
interface Batch {
  readonly room: RoomInfo;
  readonly state: PushRoom;
  /** The batch's own events. */
  readonly events: ReadonlyMap<number, RoomEvent>;
  /** What the transaction is to write, in this order. */
  readonly writes: Write[];
  /** What it counts, for those who carry counts on. */
  readonly counted: { event: RoomEvent; threadNum: number; evaluation: Evaluation }[];
  readonly disturbed: number[];
  redacted: boolean;
}

/** Series beyond so many are read again when they go on. */
const MAX_SERIES = 500;

const MEMBER = 'm.room.member';

const membershipOf = (event: RoomEvent | undefined): unknown => event?.pdu.content.membership;

/**
 * Counts notifications with every batch of events, in the events' own transaction. An event costs the classes of users in the room and those few users for whom
 * it may be different, whatever the number of members.
 */
export const createCounting = (tools: CountingTools): CommitParticipant => {
  const { database, graph, rooms, rules, ignored } = tools;

  const eventOf = async (batch: Batch, num: number | undefined): Promise<RoomEvent | undefined> =>
    num === undefined ? undefined : (batch.events.get(num) ?? (await graph.events.byNum(num)));

  const eventById = async (batch: Batch, eventId: string): Promise<RoomEvent | undefined> => {
    for (const event of batch.events.values()) if (event.eventId === eventId) return event;
    const found = await graph.events.byId(eventId);
    return found?.roomNum === batch.room.num ? found : undefined;
  };

  /** Puts members whose rules have changed into their new classes, from this event on. */
  const moveMembers = async ({ room, state, writes, disturbed }: Batch, event: RoomEvent): Promise<void> => {
    const now = rules.position();
    if (now > state.rulesUpTo) {
      const changed = await rules.changedUsers(state.rulesUpTo, now);
      const members = changed.flatMap((userNum) => state.members.get(userNum) ?? []);
      const placed = await rooms.place(room, members);
      for (const member of members) {
        const { userClass, anchors } = placed.get(member.userNum) as Placed;
        if (userClass.classNum !== member.classNum) state.moved.set(member.userNum, userClass.classNum);
        state.put({ ...member, classNum: userClass.classNum, anchors }, userClass);
      }
      state.rulesUpTo = now;
    }
    for (const [userNum, classNum] of state.moved) {
      disturbed.push(userNum);
      const mark = (await tools.readMarks.of(userNum, [room.num])).get(room.num);
      writes.push(async (tx, positionOf) => {
        await moveMember(tx, room.num, userNum, classNum, positionOf(event.num) - 1);
        if (mark?.unthreaded !== undefined) await deletePastClasses(tx, room.num, userNum, mark.unthreaded);
      });
    }
    state.moved.clear();
  };

  const putJoined = async ({ room, state, writes, disturbed }: Batch, member: NewMember, event: RoomEvent): Promise<void> => {
    const known = state.members.get(member.userNum);
    const { userClass, anchors } = (await rooms.place(room, [member])).get(member.userNum) as Placed;
    const name = nameText(member.name);
    const before = known && state.classes.get(known.classNum);
    if (known !== undefined && before !== undefined) {
      if (known.name === member.name) return;
      // Rules of the user's own may look for the name: the anchors change with it. The class changes in `moveMembers` only.
      state.put({ ...member, classNum: known.classNum, anchors }, before);
      writes.push((tx) => renameMember(tx, room.num, member.userNum, name));
      return;
    }
    state.put({ ...member, classNum: userClass.classNum, anchors }, userClass);
    disturbed.push(member.userNum);
    writes.push((tx, positionOf) => {
      const position = positionOf(event.num);
      putMember(tx, {
        room_num: room.num,
        user_num: member.userNum,
        joined: position,
        class_num: userClass.classNum,
        since: position,
        name,
      });
    });
  };

  /** Takes in who has come, gone or changed names by an event. */
  const changeMembers = async (batch: Batch, { event, changes }: Drafted): Promise<void> => {
    const { room, state, writes } = batch;
    for (const { before, after } of changes) {
      const [was, is] = [await eventOf(batch, before), await eventOf(batch, after)];
      const changed = is ?? was;
      if (changed?.pdu.type !== MEMBER || changed.stateKeyNum === undefined) continue;
      const joined = membershipOf(is) === 'join';
      state.joinedCount += Number(joined) - Number(membershipOf(was) === 'join');
      const userId = changed.pdu.state_key as string;
      const userNum = changed.stateKeyNum;
      if (domainOf(userId) !== tools.serverName) continue;
      if (joined) {
        const name = is?.pdu.content.displayname;
        await putJoined(batch, { userId, userNum, name: typeof name === 'string' && name !== '' ? name : undefined }, event);
      } else if (state.members.has(userNum)) {
        state.remove(userNum);
        batch.disturbed.push(userNum);
        writes.push((tx) => deleteMember(tx, room.num, userNum));
      }
    }
  };

  /** Takes in new power levels: they hold for the events after it. */
  const changeLevels = async (batch: Batch, { changes }: Drafted): Promise<void> => {
    for (const { after } of changes) {
      const event = await eventOf(batch, after);
      if (event?.pdu.state_key !== '') continue;
      if (event.pdu.type === 'm.room.create') batch.state.create = event;
      if (event.pdu.type === 'm.room.power_levels') batch.state.powerLevels = event;
    }
  };

  const runningBefore = async (state: PushRoom, series: Series, key: string): Promise<Running> => {
    const known = state.running.get(key);
    if (known !== undefined) return known;
    const { running } = await database.read('running counts', async (reader) => runningAt(reader, series, Number.MAX_SAFE_INTEGER));
    if (state.running.size >= MAX_SERIES) state.running.clear();
    return running;
  };

  /** Writes what an event counts for the classes. */
  const countForClasses = async (
    { room, state, writes }: Batch,
    event: RoomEvent,
    threadNum: number,
    { outcomes }: Evaluation,
  ): Promise<void> => {
    if (outcomes.values().every((outcome) => outcome.notifications === 0)) return;
    const senders = ignored.isIgnored(event.senderNum) ? [EVERYBODY, event.senderNum] : [EVERYBODY];
    for (const senderNum of senders) {
      const series: Series = { roomNum: room.num, senderNum, threadNum };
      const key = `${senderNum}/${threadNum}`;
      const running = advance(await runningBefore(state, series, key), outcomes);
      state.running.set(key, running);
      writes.push((tx, positionOf) => insertRunning(tx, series, positionOf(event.num), running));
    }
  };

  const count = async (batch: Batch, event: RoomEvent): Promise<void> => {
    const { room, state, writes } = batch;
    const evaluation = await evaluate(rules, room, state, event);
    const threadNum = await threadOf(event, async (eventId) => eventById(batch, eventId));
    await countForClasses(batch, event, threadNum, evaluation);
    batch.counted.push({ event, threadNum, evaluation });
    for (const [userNum, { notifications, highlights }] of evaluation.differences) {
      writes.push((tx, positionOf) =>
        putCorrection(tx, {
          room_num: room.num,
          who: userNum,
          position: positionOf(event.num),
          thread_num: threadNum,
          sender_num: event.senderNum,
          notifications,
          highlights,
        }),
      );
    }
    if (event.stateKeyNum === undefined && state.members.has(event.senderNum))
      writes.push((tx, positionOf) => putSent(tx, room.num, event.senderNum, threadNum, positionOf(event.num)));
  };

  /** Takes the target of a redaction out of the counts. */
  const redact = async (batch: Batch, { redacts }: Drafted): Promise<void> => {
    if (redacts === undefined || !('target' in redacts) || redacts.target.redactedBy !== undefined) return;
    const { target } = redacts;
    // What it relates to may have come only after it had been counted, as one of the main timeline.
    const threads = new Set([await threadOf(target, async (eventId) => eventById(batch, eventId)), MAIN_THREAD]);
    batch.redacted = true;
    batch.writes.push(async (tx, positionOf) => {
      const position = batch.events.has(target.num) ? positionOf(target.num) : (target.position ?? 0);
      if (position > 0) await uncount(tx, batch.room.num, [...threads], target.senderNum, position);
    });
  };

  const take = async (batch: Batch, drafted: Drafted): Promise<void> => {
    await changeMembers(batch, drafted);
    if (drafted.inTimeline && drafted.event.redactedBy === undefined && !NEVER_SHOWN.has(drafted.event.pdu.type))
      await count(batch, drafted.event);
    await changeLevels(batch, drafted);
    await redact(batch, drafted);
  };

  return {
    prepare: async (room, drafted) => {
      // State that was resolved anew may change without an event that is counted.
      const moving = drafted.filter((each) => each.inTimeline || each.changes.length > 0);
      const first = moving[0];
      if (first === undefined) return () => undefined;
      const state = first.event.pdu.type === 'm.room.create' ? rooms.fresh(room) : await rooms.warm(room);
      state.isAhead = true;
      const batch: Batch = {
        room,
        state,
        events: new Map(drafted.map(({ event }) => [event.num, event])),
        writes: [],
        counted: [],
        disturbed: [],
        redacted: false,
      };
      await moveMembers(batch, first.event);
      for (const each of moving) await take(batch, each);
      return async (tx, _events, told) => {
        const positionOf: PositionOf = (num) => told.get(num) as number;
        for (const write of batch.writes) await write(tx, positionOf);
        tx.onCommit(() => {
          state.isAhead = false;
          tools.recent.remember(room.num, positionOf((moving.at(-1) as Drafted).event.num), {
            events: batch.counted.map(({ event, threadNum, evaluation }) => ({
              position: positionOf(event.num),
              threadNum,
              senderNum: event.senderNum,
              ...evaluation,
            })),
            disturbed: batch.disturbed,
            redacted: batch.redacted,
          });
        });
      };
    },
  };
};
