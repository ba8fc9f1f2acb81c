import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { entryCache } from '#src/platform/cache/index.ts';
import { defaultPushRules, type PushRuleset } from '#src/protocol/push-rules.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { Anchor } from '#src/push/anchors.ts';
import { compileClass, roomRulesOf } from '#src/push/classes.ts';
import { classByDigest, insertClass, type MemberRow, membersOfRoom, nameOf } from '#src/push/counts-store.ts';
import { PushRoom, type UserClass } from '#src/push/room.ts';
import type { PushRules, RuleOwner } from '#src/push/rules.ts';

/** What a member is, before the number is known. */
export interface NewMember extends RuleOwner {
  readonly name: string | undefined;
}

/** A member's class in a room, and the anchors of what the class leaves out. */
export interface Placed {
  readonly userClass: UserClass;
  readonly anchors: readonly Anchor[];
}

export interface PushRooms {
  /** A room that is being made. */
  fresh(room: RoomInfo): PushRoom;
  /**
   * The room in memory, read when it is cold: that costs the number of its members. Members are in their classes as their rules are now; for whom that
   * is not yet written down stands in `moved`.
   */
  warm(room: RoomInfo): Promise<PushRoom>;
  /** The class of each of some members, as their rules are now. */
  place(room: RoomInfo, members: readonly NewMember[]): Promise<ReadonlyMap<number, Placed>>;
}

/** The stream that gives classes their numbers. */
const CLASSES = 'push_classes';
const MAX_CLASSES = 10_000;
/** Members in the memory of all rooms. */
const MAX_MEMBERS = 1_000_000;
const PAGE = 1000;

/** By which a class is known. */
export const digestOf = (text: string): string => createHash('sha256').update(text).digest('base64');

export interface PushRoomsTools {
  readonly database: Database;
  readonly strings: Strings;
  readonly graph: Pick<RoomGraph, 'memberships' | 'currentState'>;
  readonly rules: PushRules;
}

/** The classes of users by their text; numbered as they are first met. */
const createClasses = (database: Database): ((text: string) => Promise<UserClass>) => {
  const known = entryCache<string, UserClass>(MAX_CLASSES);
  return async (text) => {
    const cached = known.get(text);
    if (cached !== undefined) return cached;
    const digest = digestOf(text);
    const found = await database.read('push class', async (reader) => classByDigest(reader, digest));
    const classNum =
      found ??
      (await database.write('new push class', async (tx) => {
        const again = await classByDigest(tx, digest);
        if (again !== undefined) return again;
        const num = await tx.nextPositions(CLASSES);
        insertClass(tx, num, digest);
        return num;
      }));
    const made: UserClass = { classNum, evaluate: compileClass(text) };
    known.set(text, made);
    return made;
  };
};

/** Finds the classes of members by the rules that they have now. */
export const createPlacing = ({ database, rules }: Pick<PushRoomsTools, 'database' | 'rules'>): PushRooms['place'] => {
  const classOf = createClasses(database);
  return async (room, members) => {
    const changed = await rules.changedRulesOf(members);
    const placed = new Map<number, Placed>();
    let usual: Placed | undefined;
    const placeOne = async (ruleset: PushRuleset, name: string | undefined): Promise<Placed> => {
      const { classText, anchors } = roomRulesOf(ruleset, room.roomId, name);
      return { userClass: await classOf(classText), anchors };
    };
    for (const { userId, userNum, name } of members) {
      const own = changed.get(userNum);
      // The predefined rules are the same class for everybody, and what they look for every user is looked for by.
      const at = own === undefined ? (usual ??= await placeOne(defaultPushRules(userId), undefined)) : await placeOne(own, name);
      placed.set(userNum, at);
    }
    return placed;
  };
};

export const createPushRooms = ({ database, strings, graph, rules }: PushRoomsTools): PushRooms => {
  const rooms = new LRUCache<number, PushRoom>({ maxSize: MAX_MEMBERS, sizeCalculation: (room) => room.members.size + 1 });
  const place = createPlacing({ database, rules });

  const addMembers = async (room: RoomInfo, state: PushRoom, rows: readonly MemberRow[]): Promise<void> => {
    const ids = await strings.textOf(rows.map((row) => row.user_num));
    const members = rows.map((row): NewMember => ({
      userNum: row.user_num,
      userId: ids.get(row.user_num) as string,
      name: nameOf(row.name),
    }));
    const placed = await place(room, members);
    for (const [index, member] of members.entries()) {
      const { userClass, anchors } = placed.get(member.userNum) as Placed;
      state.put({ ...member, classNum: userClass.classNum, anchors }, userClass);
      const stored = (rows[index] as MemberRow).class_num;
      if (stored !== userClass.classNum) state.moved.set(member.userNum, userClass.classNum);
    }
  };

  const load = async (room: RoomInfo): Promise<PushRoom> => {
    const state = new PushRoom(rules.position());
    for (let after = -1; ;) {
      const rows = await database.read('push members', async (reader) => membersOfRoom(reader, room.num, after, PAGE));
      await addMembers(room, state, rows);
      const last = rows.at(-1);
      if (last === undefined || rows.length < PAGE) break;
      after = last.user_num;
    }
    state.joinedCount = (await graph.memberships.counts(room.num)).get('join') ?? 0;
    state.create = await graph.currentState(room, 'm.room.create', '');
    state.powerLevels = await graph.currentState(room, 'm.room.power_levels', '');
    return state;
  };

  return {
    fresh: (room) => {
      const state = new PushRoom(rules.position());
      rooms.set(room.num, state);
      return state;
    },
    warm: async (room) => {
      const known = rooms.get(room.num);
      if (known !== undefined && !known.isAhead) return known;
      const state = await load(room);
      rooms.set(room.num, state);
      return state;
    },
    place,
  };
};
