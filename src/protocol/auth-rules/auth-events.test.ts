import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Pdu } from '#src/protocol/events.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import type { AuthEvent } from '#src/protocol/auth-rules/index.ts';
import { authTypesFor, checkAuthEvents, stateKeyText, stateNeededFor } from '#src/protocol/auth-rules/index.ts';
import {
  ALICE,
  BOB,
  DAVE,
  joinRules,
  levels,
  numberIn,
  pduOf,
  roomState,
  stateEvent,
  VERSIONS,
  versionOf,
} from '#src/protocol/auth-rules/test-room.ts';

describe('auth events', () => {
  const member = pduOf('11', BOB, 'm.room.member', { membership: 'invite', third_party_invite: { signed: { token: 'abc' } } }, DAVE);
  it('are selected by type and membership', () => {
    const common = [
      ['m.room.create', ''],
      ['m.room.power_levels', ''],
      ['m.room.member', BOB],
    ];
    const select = (content: JsonObject, target?: string, id = '11') =>
      authTypesFor(pduOf(id, BOB, target === undefined ? 'm.room.message' : 'm.room.member', content, target), versionOf(id));
    assert.deepEqual(select({}), common);
    assert.deepEqual(select({ membership: 'leave' }, DAVE), [...common, ['m.room.member', DAVE]]);
    assert.deepEqual(select({ membership: 'join' }, BOB), [...common, ['m.room.join_rules', '']]);
    const restricted = { membership: 'join', join_authorised_via_users_server: ALICE };
    assert.deepEqual(select(restricted, BOB), [...common, ['m.room.join_rules', ''], ['m.room.member', ALICE]]);
    assert.deepEqual(select(restricted, BOB, '7'), [...common, ['m.room.join_rules', '']]);
    const invite = [
      ['m.room.member', DAVE],
      ['m.room.join_rules', ''],
      ['m.room.third_party_invite', 'abc'],
    ];
    assert.deepEqual(authTypesFor(member, versionOf('11')), [...common, ...invite]);
    assert.deepEqual(authTypesFor(member, versionOf('12')), [...common.slice(1), ...invite]);
    assert.deepEqual(stateNeededFor(member, versionOf('12')), [...common, ...invite]);
    assert.deepEqual(authTypesFor(pduOf('11', ALICE, 'm.room.create', {}, ''), versionOf('11')), []);
  });

  it('have names that do not run together', () => {
    assert.notEqual(stateKeyText('ab', 'c'), stateKeyText('a', 'bc'));
    assert.notEqual(stateKeyText('1', '1:1'), stateKeyText('11', ':1'));
  });

  const citing = (id: string, extra: readonly Partial<AuthEvent>[], without?: string): string => {
    const roomId = id === '12' ? '!create' : '!room:one';
    const cited = roomState(id)
      .filter(({ pdu }) => pdu.type !== without && pdu.state_key !== ALICE && (id !== '12' || pdu.type !== 'm.room.create'))
      .map(({ eventId, pdu }): AuthEvent => ({ eventId, pdu: pdu as Pdu, roomId, rejected: false }));
    const all = [...cited, ...extra.map((each) => Object.assign({ ...cited.at(-1)! }, each))];
    const verdict = checkAuthEvents({ roomId, pdu: pduOf(id, BOB, 'm.room.message', {}) as Pdu }, all, versionOf(id));
    return verdict.allowed ? 'allowed' : verdict.rule;
  };
  for (const id of VERSIONS) {
    const rule = (number: string): string => numberIn(id, number);
    const levelsEvent = levels({}) as unknown as AuthEvent;
    it(`v${id}: good ones`, () => assert.equal(citing(id, []), 'allowed'));
    it(`v${id} rule ${rule('3.1')}: the same twice`, () => assert.equal(citing(id, [{}]), rule('3.1')));
    it(`v${id} rule ${rule('3.2')}: one that is not selected`, () => {
      assert.equal(citing(id, [joinRules('public') as unknown as AuthEvent]), rule('3.2'));
    });
    it(`v${id} rule ${rule('3.3')}: a rejected one`, () => assert.equal(citing(id, [{ ...levelsEvent, rejected: true }]), rule('3.3')));
    it(`v${id} rule ${rule('3.5')}: one of another room`, () => {
      assert.equal(citing(id, [{ ...levelsEvent, roomId: '!other:one' }]), rule('3.5'));
    });
    it(`v${id} rule ${rule('3.4')}: the create event is ${id === '12' ? 'not cited' : 'missing'}`, () => {
      assert.equal(citing(id, [], 'm.room.create'), id === '12' ? 'allowed' : rule('3.4'));
    });
  }
  it('v12 rule 3.2: the create event is cited', () => {
    const create = stateEvent(ALICE, 'm.room.create', '', {}) as unknown as AuthEvent;
    assert.equal(citing('12', [create]), '3.2');
  });
});
