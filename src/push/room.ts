import type { RoomEvent } from '#src/rooms/graph/index.ts';
import { type Anchor, anchorOfGlob, anchorOfName } from '#src/push/anchors.ts';
import type { ClassEvaluator } from '#src/push/classes.ts';
import { PatternIndex } from '#src/push/pattern-index.ts';
import type { Running } from '#src/push/running.ts';

/** One of this server's users in a room. */
export interface Member {
  readonly userNum: number;
  readonly userId: string;
  readonly name: string | undefined;
  readonly classNum: number;
  readonly anchors: readonly Anchor[];
}

/** A class of users with what it takes to evaluate an event for all of them. */
export interface UserClass {
  readonly classNum: number;
  readonly evaluate: ClassEvaluator;
}

interface ClassInRoom extends UserClass {
  size: number;
}

/** The legacy rules look for names and for local parts of user ids, whoever the user is. */
const namesOf = ({ userId, name }: Member): Anchor[] =>
  [name === undefined ? undefined : anchorOfName(name), anchorOfGlob(userId.slice(1, userId.indexOf(':')))].filter(
    (anchor) => anchor !== undefined,
  );

/**
 * A room as the counting of notifications sees it: who is in it, by classes, and what to look for in events. Belongs to the room's writer. It runs
 * ahead of the database while a batch is on its way; if that fails it is thrown away (`isAhead` says so) and read again.
 */
export class PushRoom {
  readonly members = new Map<number, Member>();
  readonly classes = new Map<number, ClassInRoom>();
  /** What the legacy mention rules look for; not asked for events that have `m.mentions`. */
  readonly names = new PatternIndex();
  readonly keywords = new PatternIndex();
  /** Members whose new class is not written down yet: it holds from the next event on. */
  readonly moved = new Map<number, number>();
  /** The last running counts, by series. */
  readonly running = new Map<string, Running>();
  readonly #numById = new Map<string, number>();
  /** Joined members, those of other servers too. */
  joinedCount = 0;
  create: RoomEvent | undefined;
  powerLevels: RoomEvent | undefined;
  /** The position in the stream of push rules up to which changes have been taken in. */
  rulesUpTo: number;
  isAhead = false;

  constructor(rulesUpTo: number) {
    this.rulesUpTo = rulesUpTo;
  }

  /** Adds a member, or replaces what is known of one. */
  put(member: Member, userClass: UserClass): void {
    this.remove(member.userNum);
    this.members.set(member.userNum, member);
    this.#numById.set(member.userId, member.userNum);
    const known = this.classes.get(userClass.classNum);
    if (known === undefined) this.classes.set(userClass.classNum, { ...userClass, size: 1 });
    else known.size += 1;
    for (const anchor of namesOf(member)) this.names.add(anchor, member.userNum);
    for (const anchor of member.anchors) this.keywords.add(anchor, member.userNum);
  }

  remove(userNum: number): void {
    const member = this.members.get(userNum);
    if (member === undefined) return;
    this.members.delete(userNum);
    this.#numById.delete(member.userId);
    const userClass = this.classes.get(member.classNum);
    if (userClass !== undefined) {
      userClass.size -= 1;
      if (userClass.size === 0) this.classes.delete(member.classNum);
    }
    for (const anchor of namesOf(member)) this.names.remove(anchor, userNum);
    for (const anchor of member.anchors) this.keywords.remove(anchor, userNum);
  }

  byId(userId: string): number | undefined {
    return this.#numById.get(userId);
  }
}
