import { domainOf } from '#src/protocol/identifiers.ts';
import { defaultPushRules } from '#src/protocol/push-rules.ts';
import type { Reader, Transaction } from '#src/platform/database/types.ts';
import { NEVER_SHOWN, type RoomEvent, type RoomInfo } from '#src/rooms/graph/index.ts';
import { compileClass, NOTHING, type Outcome, roomRulesOf } from '#src/push/classes.ts';
import { classByDigest, EVERYBODY, insertRunning, putCorrection } from '#src/push/counts-store.ts';
import { evaluate } from '#src/push/evaluate.ts';
import { PushRoom, type UserClass } from '#src/push/room.ts';
import { digestOf } from '#src/push/rooms.ts';
import { isNone, minus, NO_COUNTS, NONE, parseRunning, plus, type Running, type Tally } from '#src/push/running.ts';
import { threadOf } from '#src/push/threads.ts';
import { correctionsBetween, deleteCorrection, runningBetween, usualMembers } from '#src/push/verify-store.ts';

/** What one event counts for those who have the predefined rules. */
interface Counted {
  readonly event: RoomEvent;
  readonly position: number;
  readonly threadNum: number;
  readonly outcome: Outcome;
  readonly differences: ReadonlyMap<number, Tally>;
  readonly isRedacted: boolean;
}

/** What is wrong in the counts of some events. */
export interface PageFaults {
  readonly wrong: number;
  /** Writes what is right in its place. */
  readonly mend: (tx: Transaction) => Promise<void>;
}

/** Counts a room's events again, from its first on. */
export interface Recount {
  /** Compares what is stored for the next events of the room, oldest first, with what they count. */
  compare(reader: Reader, events: readonly RoomEvent[]): Promise<PageFaults>;
}

export interface RecountTools {
  readonly serverName: string;
  /** An event of the room. */
  readonly find: (reader: Reader, eventId: string) => Promise<RoomEvent | undefined>;
}

const MEMBER = 'm.room.member';

const isSame = (a: Tally, b: Tally): boolean => a.notifications === b.notifications && a.highlights === b.highlights;
const tallyIn = (running: Running, classNum: number): Tally => running.get(classNum) ?? NONE;

const isSameRunning = (a: Running, b: Running | undefined): boolean =>
  a.size === b?.size && [...a].every(([classNum, tally]) => isSame(tally, tallyIn(b, classNum)));

/** Follows a room and says what each event counts. */
const createFollower = (room: RoomInfo, usual: UserClass, changed: ReadonlySet<number>, { serverName, find }: RecountTools) => {
  const state = new PushRoom(0);
  const joined = new Set<number>();
  const noRules = { changedRulesOf: async () => new Map() };

  const changeMember = (event: RoomEvent): void => {
    const userNum = event.stateKeyNum as number;
    const userId = event.pdu.state_key as string;
    const isIn = event.pdu.content.membership === 'join';
    if (isIn) joined.add(userNum);
    else joined.delete(userNum);
    state.joinedCount = joined.size;
    if (domainOf(userId) !== serverName || changed.has(userNum)) return;
    const { displayname: name } = event.pdu.content;
    if (!isIn) state.remove(userNum);
    else
      state.put(
        { userNum, userId, name: typeof name === 'string' && name !== '' ? name : undefined, classNum: usual.classNum, anchors: [] },
        usual,
      );
  };

  return async (reader: Reader, event: RoomEvent): Promise<Counted> => {
    const { type, state_key: stateKey } = event.pdu;
    if (type === MEMBER && event.stateKeyNum !== undefined) changeMember(event);
    // One that was redacted before it came has never counted.
    const counts = !(NEVER_SHOWN.has(type) || (event.redactedBy !== undefined && event.redactedBy < event.num));
    const found = counts ? await evaluate(noRules, room, state, { ...event, redactedBy: undefined }) : undefined;
    if (stateKey === '' && type === 'm.room.create') state.create = event;
    if (stateKey === '' && type === 'm.room.power_levels') state.powerLevels = event;
    return {
      event,
      position: event.position as number,
      threadNum: await threadOf(event, (eventId) => find(reader, eventId)),
      outcome: found?.outcomes.get(usual.classNum) ?? NOTHING,
      differences: found?.differences ?? new Map(),
      isRedacted: event.redactedBy !== undefined,
    };
  };
};

/**
 * Begins to count a room's events again for those of its members who have never changed a push rule: what others' rules were at the time nobody knows. The room's
 * events must follow one another. Undefined where there are no such members.
 */
export const startRecount = async (reader: Reader, room: RoomInfo, tools: RecountTools): Promise<Recount | undefined> => {
  const { classText } = roomRulesOf(defaultPushRules(`@:${tools.serverName}`), room.roomId, undefined);
  const classNum = await classByDigest(reader, digestOf(classText));
  if (classNum === undefined) return undefined;
  const { members, changed } = await usualMembers(reader, room.num, classNum);
  if (members.size === 0) return undefined;
  const follow = createFollower(room, { classNum, evaluate: compileClass(classText) }, changed, tools);
  /** From here on somebody reads the counts of the class, which has had members ever since. */
  const since = Math.min(...members.values());
  const stored = new Map<number, Running>();
  const right = new Map<number, Running>();

  /** The running counts that there should be at an event; undefined where none need be. */
  const runningFor = (
    { position, threadNum, outcome }: Counted,
    at: Running | undefined,
  ): { running: Running | undefined; isWrong: boolean } => {
    const before = stored.get(threadNum) ?? NO_COUNTS;
    const base = right.get(threadNum) ?? NO_COUNTS;
    const step = at === undefined ? NONE : minus(tallyIn(at, classNum), tallyIn(before, classNum));
    const own = position > since ? outcome : step;
    stored.set(threadNum, at ?? before);
    if (at === undefined && isNone(own)) return { running: undefined, isWrong: false };
    const running = new Map<number, Tally>();
    for (const other of (at ?? base).keys()) {
      if (other === classNum) continue;
      const tally = plus(tallyIn(base, other), at === undefined ? NONE : minus(tallyIn(at, other), tallyIn(before, other)));
      if (!isNone(tally)) running.set(other, tally);
    }
    const tally = plus(tallyIn(base, classNum), own);
    if (!isNone(tally) && (position > since || at?.has(classNum) === true)) running.set(classNum, tally);
    right.set(threadNum, running);
    return { running, isWrong: at === undefined || !isSame(step, own) };
  };

  const correctionsFor = ({ position, outcome, differences, isRedacted }: Counted): Map<number, Tally> => {
    const expected = new Map<number, Tally>();
    if (isRedacted && position > since && !isNone(outcome)) expected.set(-classNum, minus(NONE, outcome));
    if (!isRedacted)
      for (const [userNum, tally] of differences) if (position > (members.get(userNum) ?? Infinity)) expected.set(userNum, tally);
    return expected;
  };

  return {
    compare: async (reader, events) => {
      const counted: Counted[] = [];
      for (const event of events) counted.push(await follow(reader, event));
      const [from, to] = [(counted[0]?.position ?? 1) - 1, counted.at(-1)?.position ?? 0];
      const threads = [...new Set(counted.map(({ threadNum }) => threadNum))];
      const rows = new Map(
        (await runningBetween(reader, room.num, threads, from, to)).map((row) => [
          `${String(row.thread_num)} ${String(row.position)}`,
          parseRunning(row.counts),
        ]),
      );
      const corrected = Map.groupBy(
        await correctionsBetween(reader, room.num, [...members.keys(), -classNum], from, to),
        ({ position }) => position,
      );
      const writes: ((tx: Transaction) => Promise<void> | void)[] = [];
      let wrong = 0;
      for (const each of counted) {
        const { position, threadNum, event } = each;
        const at = rows.get(`${String(threadNum)} ${String(position)}`);
        const { running, isWrong } = runningFor(each, at);
        if (isWrong) wrong += 1;
        const series = { roomNum: room.num, senderNum: EVERYBODY, threadNum };
        if (running !== undefined && !isSameRunning(running, at)) writes.push((tx) => insertRunning(tx, series, position, running));
        const expected = correctionsFor(each);
        for (const row of corrected.get(position) ?? []) {
          if (position <= (row.who > 0 ? (members.get(row.who) ?? Infinity) : since)) continue;
          const own = expected.get(row.who);
          if (own !== undefined && isSame(own, row)) expected.delete(row.who);
          else if (own === undefined) {
            wrong += 1;
            writes.push((tx) => deleteCorrection(tx, room.num, row.who, position));
          }
        }
        for (const [who, tally] of expected) {
          wrong += 1;
          const key = { room_num: room.num, who, position, thread_num: threadNum, sender_num: event.senderNum };
          writes.push((tx) => putCorrection(tx, { ...key, ...tally }));
        }
      }
      return {
        wrong,
        mend: async (tx) => {
          for (const write of writes) await write(tx);
        },
      };
    },
  };
};
