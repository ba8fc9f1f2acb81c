import { entryCache } from '#src/platform/cache/index.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import { syncEvent, type ClientEvent } from '#src/protocol/client-event.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import { powerLevels } from '#src/protocol/power-levels.ts';
import { defaultPushRules, matchingPushRule, outcomeOf, type PushRule } from '#src/protocol/push-rules.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import { NEVER_SHOWN, type RoomEvent, type RoomGraph, type RoomInfo } from '#src/rooms/graph/index.ts';
import type { Ignored } from '#src/push/ignored.ts';
import type { PushRules } from '#src/push/rules.ts';
import { pusherUsersIn, usersWithPushers } from '#src/push/pushers/store.ts';

/** Somebody whom an event notifies, by the actions of the rule that matched. */
export interface Notified {
  readonly userNum: number;
  readonly userId: string;
  readonly actions: PushRule['actions'];
}

/** Whom events notify of those who have pushers. */
export interface Evaluating {
  notified(room: RoomInfo, event: RoomEvent): Promise<readonly Notified[]>;
  /** Whether a user has pushers, or had some lately. */
  hasPushers(userNum: number): boolean;
  /** A user has come to have pushers, or none any more. */
  changed(userNum: number): Promise<void>;
}

export interface EvaluatingTools {
  readonly database: Pick<Database, 'read'>;
  readonly strings: Pick<Strings, 'textOf'>;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly graph: Pick<RoomGraph, 'memberships' | 'currentState'>;
  readonly rules: Pick<PushRules, 'changedRulesOf'>;
  readonly ignored: Pick<Ignored, 'isIgnored' | 'spansOf'>;
  readonly serverName: string;
}

const MEMBER = 'm.room.member';
const MAX_ROOMS = 5000;
/** Members whom resolved state brings in without an event are seen after so long, in milliseconds. */
const KEPT_MS = 5 * 60_000;

/** The rules are evaluated for each user with a pusher in the room, beside the requests: a notification costs a request to a gateway anyway. */
export const createEvaluating = async (tools: EvaluatingTools): Promise<Evaluating> => {
  const { database, strings, clock, graph, rules, ignored, serverName } = tools;
  const users = new Set(await database.read('users with pushers', usersWithPushers));
  const rooms = entryCache<number, { readonly userNums: readonly number[]; readonly untilMs: number }>(MAX_ROOMS);

  const usersIn = async (roomNum: number): Promise<readonly number[]> => {
    const known = rooms.get(roomNum);
    if (known !== undefined && known.untilMs > clock.monotonic()) return known.userNums;
    const userNums = await database.read('pushers in room', (reader) => pusherUsersIn(reader, roomNum));
    rooms.set(roomNum, { userNums, untilMs: clock.monotonic() + KEPT_MS });
    return userNums;
  };

  /** Members who have pushers, and who is invited by the event. */
  const candidates = async (room: RoomInfo, event: RoomEvent): Promise<number[]> => {
    const { type, state_key: stateKey } = event.pdu;
    const isLocal = type === MEMBER && stateKey !== undefined && domainOf(stateKey) === serverName;
    if (isLocal) rooms.delete(room.num);
    const found = new Set(await usersIn(room.num));
    if (isLocal && event.stateKeyNum !== undefined && users.has(event.stateKeyNum)) found.add(event.stateKeyNum);
    found.delete(event.senderNum);
    return [...found];
  };

  const ignores = async (userNum: number, { senderNum, position = 0 }: RoomEvent): Promise<boolean> =>
    ignored.isIgnored(senderNum) &&
    (await database.read('ignored senders of user', (reader) => ignored.spansOf(reader, userNum))).some(
      (span) => span.senderNum === senderNum && span.since < position && position <= span.until,
    );

  const contextOf = async (room: RoomInfo) => {
    const create = await graph.currentState(room, 'm.room.create', '');
    const levels = await graph.currentState(room, 'm.room.power_levels', '');
    return {
      memberCount: (await graph.memberships.counts(room.num)).get('join') ?? 0,
      levels: powerLevels(create?.pdu, levels?.pdu, roomVersion(room.version)),
    };
  };

  return {
    hasPushers: (userNum) => users.has(userNum),
    changed: async (userNum) => {
      users.add(userNum);
      for (const roomNum of (await graph.memberships.ofUser(userNum)).keys()) rooms.delete(roomNum);
    },
    notified: async (room, event) => {
      if (users.size === 0 || event.redactedBy !== undefined || NEVER_SHOWN.has(event.pdu.type)) return [];
      const userNums = await candidates(room, event);
      if (userNums.length === 0) return [];
      const ids = await strings.textOf(userNums);
      const owners = userNums.map((userNum) => ({ userNum, userId: ids.get(userNum) ?? '' }));
      const changed = await rules.changedRulesOf(owners);
      const context = await contextOf(room);
      const shown: ClientEvent = { ...syncEvent(event, roomVersion(room.version)), room_id: room.roomId };
      const notified: Notified[] = [];
      for (const { userNum, userId } of owners) {
        const name = (await graph.currentState(room, MEMBER, userId))?.pdu.content.displayname;
        const displayName = typeof name === 'string' && name !== '' ? name : undefined;
        const ruleset = changed.get(userNum) ?? defaultPushRules(userId);
        const rule = matchingPushRule(ruleset, shown, room.roomId, { ...context, displayName })?.rule;
        if (rule === undefined || !outcomeOf(rule).notify || (await ignores(userNum, event))) continue;
        notified.push({ userNum, userId, actions: rule.actions });
      }
      return notified;
    },
  };
};
