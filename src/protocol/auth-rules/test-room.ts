import type { JsonObject } from '#src/protocol/json.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import type { AuthPdu, StateEvent } from '#src/protocol/auth-rules/index.ts';
import { authStateOf, checkAuth, stateKeyText } from '#src/protocol/auth-rules/index.ts';

export const [ALICE, BOB, CAROL, DAVE] = ['@alice:one', '@bob:two', '@carol:two', '@dave:three'] as const;
export const CREATE_ID = '$create';

export const stateEvent = (sender: string, type: string, stateKey: string, content: JsonObject): StateEvent => ({
  eventId: type === 'm.room.create' ? CREATE_ID : `$${type}${stateKey}`,
  pdu: { type, sender, state_key: stateKey, content },
});

export const membership = (userId: string, value: string): StateEvent => stateEvent(userId, 'm.room.member', userId, { membership: value });
export const joinRules = (rule: string): StateEvent => stateEvent(ALICE, 'm.room.join_rules', '', { join_rule: rule });
export const levels = (content: JsonObject): StateEvent => stateEvent(ALICE, 'm.room.power_levels', '', content);

export const createContent = (id: string): JsonObject => (Number(id) < 11 ? { room_version: id, creator: ALICE } : { room_version: id });

/** A room of Alice's with Bob in it; what is given replaces or adds to its state. */
export const roomState = (id: string, changes: readonly StateEvent[] = []): StateEvent[] => {
  const base = [stateEvent(ALICE, 'm.room.create', '', createContent(id)), membership(ALICE, 'join'), membership(BOB, 'join')];
  const all = new Map([...base, ...changes].map((event) => [stateKeyText(event.pdu.type, event.pdu.state_key!), event]));
  return [...all.values()];
};

export const pduOf = (id: string, sender: string, type: string, content: JsonObject, stateKey?: string): AuthPdu => ({
  room_id: id === '12' ? '!create' : '!room:one',
  sender,
  type,
  content,
  prev_events: ['$previous'],
  ...(stateKey === undefined ? {} : { state_key: stateKey }),
});

export const memberPdu = (id: string, sender: string, target: string, value: unknown, more: JsonObject = {}): AuthPdu =>
  pduOf(id, sender, 'm.room.member', { membership: value as string, ...more }, target);

/** The number of the rule that refuses, or `allowed`. */
export const judge = (id: string, pdu: AuthPdu, changes: readonly StateEvent[] = []): string => {
  const verdict = checkAuth(pdu, authStateOf(roomState(id, changes)), roomVersion(id));
  return verdict.allowed ? 'allowed' : verdict.rule;
};

/** `expected` by the numbers of version 12; the others have one rule less before them. */
export const numberIn = (id: string, expected: string): string => {
  if (id === '12' || expected === 'allowed' || expected.startsWith('1.')) return expected;
  const [chapter, item, ...rest] = expected.split('.');
  const moved = chapter === '10' && Number(item) > 4 ? [String(Number(item) - 1)] : item === undefined ? [] : [item];
  return [String(Number(chapter) - 1), ...moved, ...rest].join('.');
};

export const VERSIONS = ['10', '11', '12'] as const;

/** What is to be tested, with the number of the rule that refuses in this version. */
export interface Vector {
  readonly title: string;
  readonly expected: string;
  readonly judge: () => string;
}

/** One vector for each of the versions; `expected` is numbered as in version 12. */
export const vectors = (
  what: string,
  expected: string,
  pdu: (id: string) => AuthPdu,
  changes: (id: string) => readonly StateEvent[] = () => [],
): Vector[] =>
  VERSIONS.map((id) => {
    const number = numberIn(id, expected);
    return { title: `v${id} rule ${number}: ${what}`, expected: number, judge: () => judge(id, pdu(id), changes(id)) };
  });
