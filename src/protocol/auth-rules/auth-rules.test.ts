import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '#src/protocol/json.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import type { AuthPdu } from '#src/protocol/auth-rules/index.ts';
import { checkAuth } from '#src/protocol/auth-rules/index.ts';
import {
  ALICE,
  BOB,
  CAROL,
  createContent,
  DAVE,
  judge,
  levels,
  membership,
  pduOf,
  stateEvent,
  VERSIONS,
  vectors,
} from '#src/protocol/auth-rules/test-room.ts';

/** Tests one vector in each of the versions; the rule is numbered as in version 12. */
const inAll = (...vector: Parameters<typeof vectors>): void => {
  for (const { title, expected, judge } of vectors(...vector)) it(title, () => assert.equal(judge(), expected));
};

describe('rule 1, m.room.create', () => {
  const create = (id: string, more: Partial<AuthPdu> = {}): AuthPdu => {
    const { room_id: roomId, ...pdu } = pduOf(id, ALICE, 'm.room.create', createContent(id), '');
    return { ...pdu, ...(id === '12' ? {} : { room_id: roomId! }), prev_events: [], ...more };
  };
  inAll('a good create event', 'allowed', (id) => create(id));
  inAll('prev_events', '1.1', (id) => create(id, { prev_events: ['$x'] }));
  inAll('an unknown room version', '1.3', (id) => create(id, { content: { ...createContent(id), room_version: '0' } }));
  inAll('a room version that is no text', '1.3', (id) => create(id, { content: { ...createContent(id), room_version: 1 } }));
  it('v10, v11 rule 1.2: another domain in the room id', () => {
    assert.equal(judge('10', create('10', { room_id: '!room:two' })), '1.2');
    assert.equal(judge('11', create('11', { room_id: '!room' })), '1.2');
  });
  it('v12 rule 1.2: a room id', () => assert.equal(judge('12', create('12', { room_id: '!create' })), '1.2'));
  it('v10 rule 1.4: no creator; v11 needs none', () => {
    assert.equal(judge('10', create('10', { content: { room_version: '10' } })), '1.4');
    assert.equal(judge('11', create('11', { content: {} })), 'allowed');
  });
  it('v12 rule 1.4: additional_creators that are no user ids', () => {
    for (const creators of ['@a:b', [1], ['alice'], ['@alice'], {}, null] as const) {
      assert.equal(judge('12', create('12', { content: { additional_creators: creators } })), '1.4', JSON.stringify(creators));
    }
    assert.equal(judge('12', create('12', { content: { additional_creators: [BOB] } })), 'allowed');
    assert.equal(judge('11', create('11', { content: { additional_creators: 1 } })), 'allowed');
  });
});

describe('rules 2, 4, 6, 8 and 9', () => {
  it('v12 rule 2: the id of another room', () => {
    assert.equal(judge('12', { ...pduOf('12', ALICE, 'm.room.message', {}), room_id: '!other' }), '2');
    const { room_id: _, ...nowhere } = pduOf('12', ALICE, 'm.room.message', {});
    assert.equal(judge('12', nowhere), '2');
  });
  it('refuses all in a room without a create event', () => {
    const verdicts = VERSIONS.map((id) => checkAuth(pduOf(id, ALICE, 'x', {}), () => undefined, roomVersion(id)));
    assert.deepEqual(
      verdicts.map((verdict) => (verdict.allowed ? '' : verdict.rule)),
      ['2.4', '2.4', '2'],
    );
  });
  const unfederated = (id: string) => [stateEvent(ALICE, 'm.room.create', '', { ...createContent(id), 'm.federate': false })];
  inAll('another server in a room that is not federated', '4', (id) => pduOf(id, BOB, 'm.room.message', {}), unfederated);
  inAll('the own server in a room that is not federated', 'allowed', (id) => pduOf(id, ALICE, 'm.room.message', {}), unfederated);
  inAll('a member sends a message', 'allowed', (id) => pduOf(id, BOB, 'm.room.message', {}));
  inAll('a stranger', '6', (id) => pduOf(id, DAVE, 'm.room.message', {}));
  inAll(
    'somebody who is only invited',
    '6',
    (id) => pduOf(id, DAVE, 'x', {}),
    () => [membership(DAVE, 'invite')],
  );
  inAll('state takes 50 without power levels', '8', (id) => pduOf(id, BOB, 'm.room.topic', {}, ''));
  inAll('the creator sets state', 'allowed', (id) => pduOf(id, ALICE, 'm.room.topic', {}, ''));
  inAll(
    'events_default',
    '8',
    (id) => pduOf(id, BOB, 'm.room.message', {}),
    () => [levels({ events_default: 1 })],
  );
  inAll(
    'a level for the type',
    '8',
    (id) => pduOf(id, BOB, 'm.x', {}),
    () => [levels({ events: { 'm.x': 10 }, users: { [BOB]: 9 } })],
  );
  inAll(
    'just enough',
    'allowed',
    (id) => pduOf(id, BOB, 'm.x', {}),
    () => [levels({ events: { 'm.x': 10 }, users: { [BOB]: 10 } })],
  );
  inAll(
    "a type named like an object's method",
    'allowed',
    (id) => pduOf(id, BOB, 'toString', {}),
    () => [levels({ events: {} })],
  );
  inAll("another user's state key", '9', (id) => pduOf(id, ALICE, 'm.x', {}, BOB));
  inAll('an own state key', 'allowed', (id) => pduOf(id, ALICE, 'm.x', {}, ALICE));
  it('v12: the creator is above all levels, before he was not', () => {
    const high = levels({ state_default: 2 ** 53 - 1, users: {} });
    assert.deepEqual(
      VERSIONS.map((id) => judge(id, pduOf(id, ALICE, 'm.room.topic', {}, ''), [high])),
      ['7', '7', 'allowed'],
    );
  });
  it('v12: an additional creator is, too', () => {
    const create = stateEvent(ALICE, 'm.room.create', '', { additional_creators: [BOB] });
    assert.equal(judge('12', pduOf('12', BOB, 'm.room.topic', {}, ''), [create]), 'allowed');
    assert.equal(judge('11', pduOf('11', BOB, 'm.room.topic', {}, ''), [create]), '7');
  });
});

describe('rule 10, m.room.power_levels', () => {
  const change = (id: string, sender: string, content: JsonObject): AuthPdu => pduOf(id, sender, 'm.room.power_levels', content, '');
  const before = (content: JsonObject) => () => [levels({ users: { [BOB]: 50 }, ...content })];
  const byBob = (content: JsonObject) => (id: string) => change(id, BOB, { users: { [BOB]: 50 }, ...content });
  for (const wrong of ['50', 1.5, true, null] as const) {
    const written = JSON.stringify(wrong);
    inAll(`a level written ${written}`, '10.1', byBob({ kick: wrong }), before({}));
    inAll(`an event's level written ${written}`, '10.2', byBob({ events: { x: wrong } }), before({}));
    inAll(`a notification's level written ${written}`, '10.2', byBob({ notifications: { room: wrong } }), before({}));
    inAll(`a user's level written ${written}`, '10.3', byBob({ users: { [BOB]: wrong } }), before({}));
  }
  inAll('events that are no object', '10.2', byBob({ events: [] }), before({}));
  inAll('users that are no object', '10.3', byBob({ users: [] }), before({}));
  inAll('users that are no user ids', '10.3', byBob({ users: { bob: 1 } }), before({}));
  it('v12 rule 10.4: the creators in users', () => {
    const create = stateEvent(ALICE, 'm.room.create', '', { additional_creators: [CAROL] });
    assert.equal(judge('12', change('12', ALICE, { users: { [ALICE]: 100 } })), '10.4');
    assert.equal(judge('12', change('12', ALICE, { users: { [CAROL]: 1 } }), [create]), '10.4');
    assert.equal(judge('11', change('11', ALICE, { users: { [ALICE]: 100 } })), 'allowed');
  });
  inAll('the first one, rule 10.5', 'allowed', (id) => change(id, ALICE, { users: { [BOB]: 200 }, kick: 300 }));
  inAll('nothing changed', 'allowed', byBob({ kick: 99 }), before({ kick: 99 }));
  inAll('a level from above the own', '10.6.1', byBob({ kick: 10 }), before({ kick: 51 }));
  inAll('a level removed from above the own', '10.6.1', byBob({}), before({ kick: 51 }));
  inAll('a level to above the own', '10.6.2', byBob({ kick: 51 }), before({ kick: 10 }));
  inAll('a level added above the own', '10.6.2', byBob({ kick: 51 }), before({}));
  inAll('a level up to the own', 'allowed', byBob({ kick: 50, ban: 50 }), before({ kick: 10, ban: 0 }));
  for (const key of ['events', 'notifications']) {
    inAll(`${key} from above the own`, '10.7.1', byBob({ [key]: { x: 1 } }), before({ [key]: { x: 51 } }));
    inAll(`${key} removed from above the own`, '10.7.1', byBob({}), before({ [key]: { x: 51 } }));
    inAll(`${key} to above the own`, '10.8.1', byBob({ [key]: { x: 51 } }), before({ [key]: { x: 1 } }));
    inAll(`${key} added above the own`, '10.8.1', byBob({ [key]: { x: 51 } }), before({}));
    inAll(`${key} up to the own`, 'allowed', byBob({ [key]: { x: 50 } }), before({ [key]: { x: 1 } }));
  }
  const users = (own: number, carol?: number): JsonObject => ({
    users: { [BOB]: own, ...(carol === undefined ? {} : { [CAROL]: carol }) },
  });
  inAll("an equal's level", '10.9.1', byBob(users(50, 49)), before(users(50, 50)));
  inAll("an equal's entry removed", '10.9.1', byBob(users(50)), before(users(50, 50)));
  inAll("a lower one's level", 'allowed', byBob(users(50, 50)), before(users(50, 49)));
  inAll('the own level down', 'allowed', byBob(users(10)), before(users(50)));
  inAll('the own level up', '10.10.1', byBob(users(51)), before(users(50)));
  inAll('a user above the own level', '10.10.1', byBob(users(50, 51)), before(users(50)));
  it('version 9 takes levels as texts and compares them as numbers', () => {
    const content = { users: { [BOB]: ' +50' }, kick: '050' };
    assert.equal(judge('9', change('9', BOB, content), [levels({ users: { [BOB]: 50 }, kick: 50 })]), 'allowed');
    assert.equal(judge('9', change('9', BOB, { ...content, kick: '51' }), [levels(content)]), '9.5.2');
    assert.equal(judge('9', change('9', BOB, { users: { [BOB]: '5.0' } }), [levels(content)]), '9.3');
  });
});
