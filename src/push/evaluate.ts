import { syncEvent, type ClientEvent } from '#src/protocol/client-event.ts';
import { isJsonObject, type JsonValue, member } from '#src/protocol/json.ts';
import { powerLevels } from '#src/protocol/power-levels.ts';
import type { PushContext } from '#src/protocol/push-conditions.ts';
import { defaultPushRules, matchingPushRule } from '#src/protocol/push-rules.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import type { RoomEvent, RoomInfo } from '#src/rooms/graph/index.ts';
import { wordsOf } from '#src/push/anchors.ts';
import { countOf, NOTHING, type Outcome } from '#src/push/classes.ts';
import type { Member, PushRoom } from '#src/push/room.ts';
import type { PushRules } from '#src/push/rules.ts';
import { minus, type Tally } from '#src/push/running.ts';

/** What an event counts for whom. */
export interface Evaluation {
  /** For each class that has members. */
  readonly outcomes: ReadonlyMap<number, Outcome>;
  /** For users for whom the event is different from their class: by how much. */
  readonly differences: ReadonlyMap<number, Tally>;
}

const mentionedIds = (content: ClientEvent['content']): readonly JsonValue[] => {
  const mentions = member(content, 'm.mentions');
  const ids = isJsonObject(mentions) ? member(mentions, 'user_ids') : undefined;
  return Array.isArray(ids) ? (ids as readonly JsonValue[]) : [];
};

/** Members for whom the event may be different from their class: it names or mentions them, is about them, or has a keyword of theirs. */
const candidatesOf = (state: PushRoom, event: RoomEvent, hasMentions: boolean): Set<number> => {
  const found = new Set<number>();
  const { content, sender } = event.pdu;
  const body = typeof content.body === 'string' ? content.body.toLowerCase() : '';
  const words = wordsOf(body);
  state.keywords.find(sender, body, words, found);
  if (!hasMentions) state.names.find(sender, body, words, found);
  for (const id of mentionedIds(content)) {
    const userNum = typeof id === 'string' ? state.byId(id) : undefined;
    if (userNum !== undefined) found.add(userNum);
  }
  if (event.stateKeyNum !== undefined && state.members.has(event.stateKeyNum)) found.add(event.stateKeyNum);
  return found;
};

/** Evaluates an event for a room: once for each class, and once for each candidate. */
export const evaluate = async (
  rules: Pick<PushRules, 'changedRulesOf'>,
  room: RoomInfo,
  state: PushRoom,
  event: RoomEvent,
): Promise<Evaluation> => {
  const version = roomVersion(room.version);
  const shown: ClientEvent = { ...syncEvent(event, version), room_id: room.roomId };
  const hasMentions = shown.content['m.mentions'] !== undefined;
  const context: PushContext = {
    memberCount: state.joinedCount,
    displayName: undefined,
    levels: powerLevels(state.create?.pdu, state.powerLevels?.pdu, version),
  };
  const outcomes = new Map<number, Outcome>();
  for (const { classNum, evaluate: evaluateClass } of state.classes.values())
    outcomes.set(classNum, evaluateClass(shown, context, hasMentions));
  const differences = new Map<number, Tally>();
  const note = ({ userNum, classNum }: Member, outcome: Outcome): void => {
    const difference = minus(outcome, outcomes.get(classNum) as Outcome);
    if (difference.notifications !== 0 || difference.highlights !== 0) differences.set(userNum, difference);
  };
  const candidates = candidatesOf(state, event, hasMentions);
  candidates.delete(event.senderNum);
  const members = [...candidates].map((userNum) => state.members.get(userNum) as Member);
  const changed = members.length === 0 ? undefined : await rules.changedRulesOf(members);
  for (const each of members) {
    const ruleset = changed?.get(each.userNum) ?? defaultPushRules(each.userId);
    note(each, countOf(matchingPushRule(ruleset, shown, room.roomId, { ...context, displayName: each.name })?.rule));
  }
  // Nobody is notified of what he did himself. What he says reads the room for him, so that only of what he changes a count would be left.
  const sender = state.members.get(event.senderNum);
  if (sender !== undefined && event.stateKeyNum !== undefined) note(sender, NOTHING);
  return { outcomes, differences };
};
