import { powerLevels } from '#src/protocol/power-levels.ts';
import { matchingPushRule, outcomeOf, type PushRuleset } from '#src/protocol/push-rules.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import type { JsonValue } from '#src/protocol/json.ts';
import { isJsonObject } from '#src/protocol/json.ts';
import type { RoomEvent, RoomInfo } from '#src/rooms/graph/index.ts';

/** A user as an event finds him. */
interface Witness {
  readonly userNum: number;
  readonly name: string | undefined;
  readonly rules: PushRuleset;
  readonly ignores: ReadonlySet<string>;
  /** The position of the join that the user has stayed since. */
  readonly joined: number;
}

interface Entry {
  readonly event: RoomEvent;
  readonly position: number;
  /** The event id of the thread's root, or `main`. */
  readonly thread: string;
  readonly memberCount: number;
  readonly powerLevels: RoomEvent | undefined;
  readonly witnesses: ReadonlyMap<number, Witness>;
  redacted: boolean;
}

export interface SlowCounts {
  readonly notifications: number;
  readonly highlights: number;
  readonly threads: Readonly<Record<string, { notifications: number; highlights: number }>>;
}

/** What the oracle asks about users. */
export interface People {
  readonly localUsers: ReadonlyMap<string, number>;
  rulesOf(userId: string): Promise<PushRuleset>;
  ignoredBy(userId: string): ReadonlySet<string>;
}

const relationOf = (event: RoomEvent): { type: JsonValue | undefined; id: JsonValue | undefined } | undefined => {
  const relation = event.pdu.content['m.relates_to'];
  return isJsonObject(relation) ? { type: relation.rel_type, id: relation.event_id } : undefined;
};

/**
 * Counts notifications the slow way: keeps all events of a room with all that was known when they came, and evaluates every user's rules for every
 * event each time it is asked.
 */
export class Oracle {
  readonly entries: Entry[] = [];
  readonly #room: RoomInfo;
  readonly #people: People;
  readonly #joined = new Map<string, { name: string | undefined; since: number }>();
  #powerLevels: RoomEvent | undefined;
  #create: RoomEvent | undefined;

  constructor(room: RoomInfo, people: People) {
    this.#room = room;
    this.#people = people;
  }

  isJoined(userId: string): boolean {
    return this.#joined.has(userId);
  }

  /** Takes in an event that is durable. */
  async see(event: RoomEvent): Promise<void> {
    const { pdu, position = 0 } = event;
    if (pdu.type === 'm.room.create') this.#create = event;
    if (pdu.type === 'm.room.member') this.#seeMember(event, position);
    const witnesses = new Map<number, Witness>();
    for (const [userId, { name, since }] of this.#joined) {
      const userNum = this.#people.localUsers.get(userId);
      if (userNum === undefined) continue;
      const rules = await this.#people.rulesOf(userId);
      witnesses.set(userNum, { userNum, name, rules, ignores: new Set(this.#people.ignoredBy(userId)), joined: since });
    }
    this.entries.push({
      event,
      position,
      thread: this.#threadOf(event),
      memberCount: this.#joined.size,
      powerLevels: this.#powerLevels,
      witnesses,
      redacted: false,
    });
    if (pdu.type === 'm.room.power_levels') this.#powerLevels = event;
    if (pdu.type === 'm.room.redaction') {
      const target = this.entries.find((entry) => entry.event.eventId === pdu.content.redacts);
      if (target !== undefined) target.redacted = true;
    }
  }

  counts(userId: string, mark: { unthreaded: number | undefined; threads: ReadonlyMap<string, number> } | undefined): SlowCounts {
    const stay = this.#joined.get(userId);
    const userNum = this.#people.localUsers.get(userId) as number;
    const threads: Record<string, { notifications: number; highlights: number }> = {};
    for (const [index, entry] of stay === undefined ? [] : this.entries.entries()) {
      if (entry.position <= (stay?.since ?? 0) || entry.redacted || entry.position <= (mark?.unthreaded ?? 0)) continue;
      if (entry.position <= (mark?.threads.get(entry.thread) ?? 0)) continue;
      const saysLater = this.entries
        .slice(index)
        .some((later) => later.event.pdu.sender === userId && later.event.pdu.state_key === undefined && later.thread === entry.thread);
      if (saysLater) continue;
      const outcome = this.#outcome(entry, userId, userNum);
      if (outcome === undefined) continue;
      const counts = (threads[entry.thread] ??= { notifications: 0, highlights: 0 });
      counts.notifications += 1;
      counts.highlights += outcome.highlight ? 1 : 0;
    }
    const { main = { notifications: 0, highlights: 0 }, ...others } = threads;
    return { ...main, threads: others };
  }

  #outcome(entry: Entry, userId: string, userNum: number): { highlight: boolean } | undefined {
    const witness = entry.witnesses.get(userNum);
    const { pdu, eventId } = entry.event;
    if (witness === undefined || pdu.sender === userId || witness.ignores.has(pdu.sender)) return undefined;
    const shown = {
      type: pdu.type,
      sender: pdu.sender,
      content: pdu.content,
      event_id: eventId,
      room_id: this.#room.roomId,
      origin_server_ts: pdu.origin_server_ts,
      ...(pdu.state_key === undefined ? {} : { state_key: pdu.state_key }),
    };
    const match = matchingPushRule(witness.rules, shown, this.#room.roomId, {
      memberCount: entry.memberCount,
      displayName: witness.name,
      levels: powerLevels(this.#create?.pdu, entry.powerLevels?.pdu, roomVersion(this.#room.version)),
    });
    if (match === undefined) return undefined;
    const { notify, highlight } = outcomeOf(match.rule);
    return notify ? { highlight } : undefined;
  }

  #seeMember({ pdu }: RoomEvent, position: number): void {
    const userId = pdu.state_key as string;
    const { membership, displayname } = pdu.content;
    const name = typeof displayname === 'string' ? displayname : undefined;
    if (membership === 'join') this.#joined.set(userId, { name, since: this.#joined.get(userId)?.since ?? position });
    else this.#joined.delete(userId);
  }

  #threadOf(event: RoomEvent): string {
    let relation = relationOf(event);
    for (let hop = 0; hop <= 3 && relation !== undefined; hop++) {
      const { type, id } = relation;
      const parent = this.entries.find((entry) => entry.event.eventId === id)?.event;
      if (type === 'm.thread') return parent?.eventId ?? 'main';
      relation = parent && relationOf(parent);
    }
    return 'main';
  }
}
