import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '#src/protocol/json.ts';
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
  versionOf,
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
  it('rule 1.2 before version 12: another domain in the room id', () => {
    for (const id of VERSIONS.slice(0, 11)) {
      assert.equal(judge(id, create(id, { room_id: '!room:two' })), '1.2');
      assert.equal(judge(id, create(id, { room_id: '!room' })), '1.2');
    }
  });
  it('v12 rule 1.2: a room id', () => assert.equal(judge('12', create('12', { room_id: '!create' })), '1.2'));
  it('rule 1.4 before version 11: no creator; v11 needs none', () => {
    for (const id of VERSIONS.slice(0, 10)) assert.equal(judge(id, create(id, { content: { room_version: id } })), '1.4');
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
    const verdicts = VERSIONS.map((id) => checkAuth(pduOf(id, ALICE, 'x', {}), () => undefined, versionOf(id)));
    assert.deepEqual(
      verdicts.map((verdict) => (verdict.allowed ? '' : verdict.rule)),
      [...Array.from({ length: 11 }, () => '2.4'), '2'],
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
      [...'88888777777'.split(''), 'allowed'],
    );
  });
  it('v12: an additional creator is, too', () => {
    const create = stateEvent(ALICE, 'm.room.create', '', { additional_creators: [BOB] });
    assert.equal(judge('12', pduOf('12', BOB, 'm.room.topic', {}, ''), [create]), 'allowed');
    assert.equal(judge('11', pduOf('11', BOB, 'm.room.topic', {}, ''), [create]), '7');
  });
});

describe('rule 4 of versions 1 to 5, m.room.aliases', () => {
  const aliases = (id: string, sender: string, stateKey?: string): AuthPdu => pduOf(id, sender, 'm.room.aliases', {}, stateKey);
  for (const id of VERSIONS) {
    const has = Number(id) < 6;
    const stranger = id === '12' ? '6' : '5';
    it(`v${id}: ${has ? 'a server lists its own aliases, even from outside the room' : 'is state like any other'}`, () => {
      assert.equal(judge(id, aliases(id, DAVE, 'three')), has ? 'allowed' : stranger);
      assert.equal(judge(id, aliases(id, ALICE, 'three')), has ? '4.2' : 'allowed');
      assert.equal(judge(id, aliases(id, ALICE)), has ? '4.1' : 'allowed');
    });
  }
});

describe('rule 11 of versions 1 and 2, m.room.redaction', () => {
  const redaction = (id: string, sender: string, target?: string): AuthPdu => ({
    ...pduOf(id, sender, 'm.room.redaction', {}),
    event_id: '$own:two',
    ...(target === undefined ? {} : { redacts: target }),
  });
  for (const id of VERSIONS) {
    const refusal = Number(id) < 3 ? '11.3' : 'allowed';
    it(`v${id}: ${refusal === 'allowed' ? 'is no rule' : 'takes the redact level or an event of the same server'}`, () => {
      assert.equal(judge(id, redaction(id, BOB, '$x:two')), 'allowed');
      assert.equal(judge(id, redaction(id, BOB, '$x:one')), refusal);
      assert.equal(judge(id, redaction(id, BOB)), refusal);
      assert.equal(judge(id, redaction(id, BOB, '$x:one'), [levels({ redact: 0 })]), 'allowed');
      assert.equal(judge(id, redaction(id, ALICE, '$x:two:three')), 'allowed');
    });
  }
});

describe('rule 10, m.room.power_levels', () => {
  const change = (id: string, sender: string, content: JsonObject): AuthPdu => pduOf(id, sender, 'm.room.power_levels', content, '');
  const before = (content: JsonObject) => () => [levels({ users: { [BOB]: 50 }, ...content })];
  const byBob = (content: JsonObject) => (id: string) => change(id, BOB, { users: { [BOB]: 50 }, ...content });
  for (const wrong of ['50', 1.5, true, null] as const) {
    const written = JSON.stringify(wrong);
    inAll(`a level written ${written}`, '10.1', byBob({ kick: wrong }), before({}), 10);
    inAll(`an event's level written ${written}`, '10.2', byBob({ events: { x: wrong } }), before({}), 10);
    inAll(`a notification's level written ${written}`, '10.2', byBob({ notifications: { room: wrong } }), before({}), 10);
    inAll(`a user's level written ${written}`, '10.3', byBob({ users: { [BOB]: wrong } }), before({}), 10);
  }
  inAll('events that are no object', '10.2', byBob({ events: [] }), before({}), 10);
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
  for (const [key, first] of [
    ['events', 1],
    ['notifications', 6],
  ] as const) {
    inAll(`${key} from above the own`, '10.7.1', byBob({ [key]: { x: 1 } }), before({ [key]: { x: 51 } }), first);
    inAll(`${key} removed from above the own`, '10.7.1', byBob({}), before({ [key]: { x: 51 } }), first);
    inAll(`${key} to above the own`, '10.8.1', byBob({ [key]: { x: 51 } }), before({ [key]: { x: 1 } }), first);
    inAll(`${key} added above the own`, '10.8.1', byBob({ [key]: { x: 51 } }), before({}), first);
    inAll(`${key} up to the own`, 'allowed', byBob({ [key]: { x: 50 } }), before({ [key]: { x: 1 } }), first);
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
    assert.equal(judge('9', change('9', BOB, { ...content, kick: '51' }), [levels(content)]), '9.3.2');
    assert.equal(judge('9', change('9', BOB, { users: { [BOB]: '5.0' } }), [levels(content)]), '9.1');
  });
  it('versions 1 to 5 take floats, truncated, and do not look at notifications', () => {
    for (const id of ['1', '2', '3', '4', '5']) {
      assert.equal(judge(id, change(id, BOB, { users: { [BOB]: 50 }, kick: 50.9 }), [levels({ users: { [BOB]: 50 } })]), 'allowed');
      assert.equal(judge(id, change(id, BOB, { users: { [BOB]: 50 }, kick: 51.1 }), [levels({ users: { [BOB]: 50 } })]), '10.3.2');
      assert.equal(
        judge(id, change(id, BOB, { users: { [BOB]: 50 }, notifications: { room: 99 } }), [levels({ users: { [BOB]: 50 } })]),
        'allowed',
      );
    }
    assert.equal(judge('6', change('6', BOB, { users: { [BOB]: 49.5 } }), [levels({ users: { [BOB]: 50 } })]), '9.1');
  });
  it('levels beyond 2^53 are compared exactly', () => {
    const [own, above] = ['9007199254740993', '9007199254740994'];
    const current = [levels({ users: { [BOB]: own } })];
    assert.equal(judge('9', change('9', BOB, { users: { [BOB]: own }, kick: own }), current), 'allowed');
    assert.equal(judge('9', change('9', BOB, { users: { [BOB]: own }, kick: above }), current), '9.3.2');
  });
  it('what cannot be read as a level replaces none, and passes only in the first power levels', () => {
    for (const id of VERSIONS.slice(0, 9)) {
      const named = { users: { [BOB]: 50 }, kick: 'high' };
      const listed = { users: { [BOB]: 50 }, events: { x: null } };
      assert.equal(judge(id, change(id, ALICE, named)), 'allowed');
      assert.equal(judge(id, change(id, BOB, named), [levels({ users: { [BOB]: 50 } })]), Number(id) < 6 ? '10.3.2' : '9.3.2');
      assert.equal(judge(id, change(id, BOB, listed), [levels({ users: { [BOB]: 50 } })]), Number(id) < 6 ? '10.5.1' : '9.5.1');
    }
  });
  it('prototype names are users and types like others', () => {
    const content = JSON.parse('{"users":{"@bob:two":50},"events":{"__proto__":60,"constructor":0}}') as JsonObject;
    for (const id of VERSIONS) {
      const rule = Number(id) < 6 ? '8' : Number(id) < 12 ? '7' : '8';
      assert.equal(judge(id, pduOf(id, BOB, '__proto__', {}), [levels(content)]), rule);
      assert.equal(judge(id, pduOf(id, BOB, 'constructor', {}, '__proto__'), [levels(content)]), 'allowed');
    }
  });
});

describe('rule 9 by MSC3757, state that users own', () => {
  const judgeOwned = (sender: string, stateKey: string, power: JsonObject = { [ALICE]: 100, [BOB]: 50 }): string =>
    judge('org.matrix.msc3757.11', pduOf('org.matrix.msc3757.11', sender, 'm.x', {}, stateKey), [levels({ users: power })]);
  for (const [title, sender, stateKey, expected] of [
    ['the own id', BOB, BOB, 'allowed'],
    ['the own id with a suffix', BOB, `${BOB}_place`, 'allowed'],
    ['an empty suffix', BOB, `${BOB}_`, 'allowed'],
    ["another's by one of a greater level", ALICE, `${BOB}_place`, 'allowed'],
    ["another's by one of a smaller level", BOB, `${ALICE}_place`, '8'],
    ["another's who has no level", BOB, `${CAROL}_place`, 'allowed'],
    ['no user id', ALICE, '@_place', '8'],
  ] as const) {
    it(title, () => assert.equal(judgeOwned(sender, stateKey), expected));
  }
  it('the same level is not enough', () => assert.equal(judgeOwned(BOB, `${CAROL}_place`, { [ALICE]: 100, [BOB]: 50, [CAROL]: 50 }), '8'));
  it('without an underscore it is a user of another server', () =>
    assert.equal(judgeOwned(BOB, `${BOB}-place`, { [BOB]: 50, [`${BOB}-place`]: 50 }), '8'));
  it('without it a suffix is refused', () =>
    assert.equal(judge('11', pduOf('11', BOB, 'm.x', {}, `${BOB}_place`), [levels({ users: { [BOB]: 50 } })]), '8'));
});
