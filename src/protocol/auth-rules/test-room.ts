import type { JsonObject } from '#src/protocol/json.ts';
import { ROOM_VERSIONS, type RoomVersion } from '#src/protocol/room-versions.ts';
import type { AuthPdu, StateEvent } from '#src/protocol/auth-rules/index.ts';
import { authStateOf, checkAuth, stateKeyText } from '#src/protocol/auth-rules/index.ts';

export const [ALICE, BOB, CAROL, DAVE] = ['@alice:one', '@bob:two', '@carol:two', '@dave:three'] as const;
export const CREATE_ID = '$create';

export const versionOf = (id: string): RoomVersion => ROOM_VERSIONS.get(id)!;

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
  const verdict = checkAuth(pdu, authStateOf(roomState(id, changes)), versionOf(id));
  return verdict.allowed ? 'allowed' : verdict.rule;
};

const LEVELS_10 = {
  '10.1': '9.1',
  '10.2': '9.2',
  '10.3': '9.3',
  '10.6': '9.5',
  '10.7': '9.6',
  '10.8': '9.7',
  '10.9': '9.8',
  '10.10': '9.9',
};
const LEVELS_6 = { '10.3': '9.1', '10.6': '9.3', '10.7': '9.4', '10.8': '9.5', '10.9': '9.6', '10.10': '9.7' };
const LEVELS_1 = { '10.3': '10.1', '10.6': '10.3', '10.7': '10.4', '10.8': '10.5', '10.9': '10.6', '10.10': '10.7' };
const FROM_6 = { '3': '2', '4': '3', '6': '5', '7': '6', '8': '7', '9': '8' };
const MEMBER_6 = { '5.1': '4.1', '5.3': '4.2', '5.3.6': '4.2.5', '5.3.7': '4.2.6', '5.4': '4.3', '5.5': '4.4', '5.6': '4.5' };
const MEMBER_1 = { '5.1': '5.1', '5.3': '5.2', '5.3.6': '5.2.5', '5.3.7': '5.2.6', '5.4': '5.3', '5.5': '5.4', '5.6': '5.5', '5.8': '5.6' };

/** The rules of version 12 as the pages of older versions count them, from the given version on. `4a` and `10a` are of older versions only. */
const PAGES: readonly (readonly [from: number, numbers: Readonly<Record<string, string>>])[] = [
  [12, {}],
  [10, { ...FROM_6, '5': '4', ...LEVELS_10 }],
  [8, { ...FROM_6, '5': '4', ...LEVELS_6 }],
  [7, { ...FROM_6, ...MEMBER_6, '5.7': '4.6', '5.8': '4.7', ...LEVELS_6 }],
  [6, { ...FROM_6, ...MEMBER_6, '5.8': '4.6', ...LEVELS_6 }],
  [1, { '3': '2', '4': '3', '4a': '4', ...MEMBER_1, ...LEVELS_1, '10a': '11' }],
];

/** `expected`, a rule of version 12, by its number on the version's own page. */
export const numberIn = (id: string, expected: string): string => {
  const [, numbers] = PAGES.find(([from]) => Number(id) >= from)!;
  const parts = expected.split('.');
  for (let length = parts.length; length > 0; length -= 1) {
    const found = numbers[parts.slice(0, length).join('.')];
    if (found !== undefined) return [found, ...parts.slice(length)].join('.');
  }
  return expected;
};

export const VERSIONS = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12'] as const;

/** What is to be tested, with the number of the rule that refuses in this version. */
export interface Vector {
  readonly title: string;
  readonly expected: string;
  readonly judge: () => string;
}

/** One vector for each of the versions from the first on; `expected` is numbered as in version 12. */
export const vectors = (
  what: string,
  expected: string,
  pdu: (id: string) => AuthPdu,
  changes: (id: string) => readonly StateEvent[] = () => [],
  first = 1,
): Vector[] =>
  VERSIONS.filter((id) => Number(id) >= first).map((id) => {
    const number = numberIn(id, expected);
    return { title: `v${id} rule ${number}: ${what}`, expected: number, judge: () => judge(id, pdu(id), changes(id)) };
  });
