import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '#src/protocol/json.ts';
import { signingKeyFromSeed, signJson } from '#src/protocol/signatures.ts';
import type { AuthPdu } from '#src/protocol/auth-rules/index.ts';
import {
  ALICE,
  BOB,
  CAROL,
  CREATE_ID,
  DAVE,
  joinRules,
  judge,
  levels,
  memberPdu,
  membership,
  pduOf,
  stateEvent,
  vectors,
} from '#src/protocol/auth-rules/test-room.ts';

/** Tests one vector in each of the versions; the rule is numbered as in version 12. */
const inAll = (...vector: Parameters<typeof vectors>): void => {
  for (const { title, expected, judge } of vectors(...vector)) it(title, () => assert.equal(judge(), expected));
};

describe('rule 5, m.room.member', () => {
  inAll('no state key', '5.1', (id) => pduOf(id, BOB, 'm.room.member', { membership: 'join' }));
  inAll('no membership', '5.1', (id) => pduOf(id, BOB, 'm.room.member', {}, BOB));
  inAll(
    'an authoriser that is no user',
    '5.2.1',
    (id) => memberPdu(id, BOB, BOB, 'join', { join_authorised_via_users_server: 'bob' }),
    undefined,
    8,
  );
  inAll('an authoriser of what is no join', 'allowed', (id) => memberPdu(id, BOB, BOB, 'leave', { join_authorised_via_users_server: 5 }));
  inAll(
    'a join rule that is null, which is not that of rooms without one',
    '5.3.7',
    (id) => memberPdu(id, DAVE, DAVE, 'join'),
    () => [membership(DAVE, 'invite'), stateEvent(ALICE, 'm.room.join_rules', '', { join_rule: null })],
  );
  inAll(
    'join rules without a join rule',
    'allowed',
    (id) => memberPdu(id, DAVE, DAVE, 'join'),
    () => [membership(DAVE, 'invite'), stateEvent(ALICE, 'm.room.join_rules', '', {})],
  );
  inAll('an unknown membership', '5.8', (id) => memberPdu(id, BOB, BOB, 'dance'));
  inAll('a membership that is no text', '5.8', (id) => memberPdu(id, BOB, BOB, 1));

  describe('join', () => {
    const first = (id: string, target: string): AuthPdu => ({ ...memberPdu(id, target, target, 'join'), prev_events: [CREATE_ID] });
    const empty = () => [membership(ALICE, 'leave'), membership(BOB, 'leave')];
    inAll("the creator's first join", 'allowed', (id) => first(id, ALICE), empty);
    inAll("anybody else's first join", '5.3.4', (id) => first(id, CAROL), empty);
    inAll('the creator later', '5.3.4', (id) => memberPdu(id, ALICE, ALICE, 'join'), empty);
    it('v12: an additional creator has no first join', () => {
      const create = stateEvent(ALICE, 'm.room.create', '', { additional_creators: [BOB] });
      assert.equal(judge('12', first('12', BOB), [create, ...empty()]), '5.3.4');
    });
    it('v10: the creator is whom the content names, v11: who sent it', () => {
      const create = stateEvent(ALICE, 'm.room.create', '', { creator: CAROL });
      assert.equal(judge('10', first('10', CAROL), [create, ...empty()]), 'allowed');
      assert.equal(judge('11', first('11', CAROL), [create, ...empty()]), '4.3.4');
    });
    inAll(
      'for somebody else',
      '5.3.2',
      (id) => memberPdu(id, ALICE, DAVE, 'join'),
      () => [joinRules('public')],
    );
    inAll(
      'while banned',
      '5.3.3',
      (id) => memberPdu(id, DAVE, DAVE, 'join'),
      () => [joinRules('public'), membership(DAVE, 'ban')],
    );
    inAll(
      'a public room',
      'allowed',
      (id) => memberPdu(id, DAVE, DAVE, 'join'),
      () => [joinRules('public')],
    );
    inAll('without join rules', '5.3.4', (id) => memberPdu(id, DAVE, DAVE, 'join'));
    for (const [rule, first] of [
      ['invite', 1],
      ['knock', 7],
      ['restricted', 8],
      ['knock_restricted', 10],
    ] as const) {
      const state = (own: string) => () => [joinRules(rule), membership(DAVE, own)];
      inAll(`${rule}, invited`, 'allowed', (id) => memberPdu(id, DAVE, DAVE, 'join'), state('invite'), first);
      inAll(`${rule}, joined`, 'allowed', (id) => memberPdu(id, DAVE, DAVE, 'join'), state('join'), first);
      const refusal = rule.endsWith('restricted') ? '5.3.5.2' : '5.3.4';
      inAll(`${rule}, left`, refusal, (id) => memberPdu(id, DAVE, DAVE, 'join'), state('leave'), first);
    }
    inAll(
      'private',
      '5.3.7',
      (id) => memberPdu(id, DAVE, DAVE, 'join'),
      () => [joinRules('private'), membership(DAVE, 'invite')],
    );
    const byBob = (id: string): AuthPdu => memberPdu(id, DAVE, DAVE, 'join', { join_authorised_via_users_server: BOB });
    inAll('restricted, with leave', 'allowed', byBob, () => [joinRules('restricted')], 8);
    inAll('restricted, with leave of one who left', '5.3.5.2', byBob, () => [joinRules('restricted'), membership(BOB, 'leave')], 8);
    inAll('restricted, with leave of one who may not invite', '5.3.5.2', byBob, () => [joinRules('restricted'), levels({ invite: 1 })], 8);
  });

  describe('invite', () => {
    const invite = (id: string): AuthPdu => memberPdu(id, BOB, DAVE, 'invite');
    inAll('by a member', 'allowed', invite);
    inAll('by a stranger', '5.4.2', (id) => memberPdu(id, CAROL, DAVE, 'invite'));
    inAll('of a member', '5.4.3', (id) => memberPdu(id, BOB, ALICE, 'invite'));
    inAll('of somebody banned', '5.4.3', invite, () => [membership(DAVE, 'ban')]);
    inAll('without the level', '5.4.5', invite, () => [levels({ invite: 1 })]);
  });

  describe('third-party invite', () => {
    const key = signingKeyFromSeed('ed25519:0', Buffer.alloc(32, 1));
    const other = signingKeyFromSeed('ed25519:0', Buffer.alloc(32, 2));
    const signed = signJson<JsonObject>({ mxid: DAVE, token: 'abc' }, 'identity', key);
    const redeem = (id: string, content: JsonObject, target: string = DAVE): AuthPdu =>
      memberPdu(id, BOB, target, 'invite', { third_party_invite: content });
    const issued =
      (content: JsonObject, by: string = BOB) =>
      () => [stateEvent(by, 'm.room.third_party_invite', 'abc', content)];
    const withKey = issued({ public_key: key.publicKey });
    inAll(
      'redeemed, though the sender may not invite',
      'allowed',
      (id) => redeem(id, { signed }),
      () => [...withKey(), levels({ invite: 99 })],
    );
    const urlSafe = other.publicKey.replaceAll('+', '-').replaceAll('/', '_');
    const signedByOther = signJson<JsonObject>({ mxid: DAVE, token: 'abc' }, 'identity', other);
    inAll('by a listed key', 'allowed', (id) => redeem(id, { signed: signedByOther }), issued({ public_keys: [{ public_key: urlSafe }] }));
    inAll(
      'target banned',
      '5.4.1.1',
      (id) => redeem(id, { signed }),
      () => [...withKey(), membership(DAVE, 'ban')],
    );
    inAll('not signed', '5.4.1.2', (id) => redeem(id, {}), withKey);
    inAll('no token', '5.4.1.3', (id) => redeem(id, { signed: { mxid: DAVE } }), withKey);
    inAll('another user', '5.4.1.4', (id) => redeem(id, { signed }, CAROL), withKey);
    inAll('never issued', '5.4.1.5', (id) => redeem(id, { signed }));
    inAll('issued by another', '5.4.1.6', (id) => redeem(id, { signed }), issued({ public_key: key.publicKey }, ALICE));
    inAll('another key', '5.4.1.8', (id) => redeem(id, { signed }), issued({ public_key: other.publicKey }));
    const wrongKeys = (count: number): JsonObject[] => Array.from({ length: count }, () => ({ public_key: other.publicKey }));
    for (const [count, expected] of [
      [99, 'allowed'],
      [100, '5.4.1.8'],
    ] as const) {
      const keys = { public_keys: [...wrongKeys(count), { public_key: key.publicKey }] };
      inAll(`the right key after ${count} others`, expected, (id) => redeem(id, { signed }), issued(keys));
    }
    inAll('issuing, rule 7.1', 'allowed', (id) => pduOf(id, BOB, 'm.room.third_party_invite', {}, 'abc'));
    inAll(
      'issuing without the level',
      '7.1',
      (id) => pduOf(id, BOB, 'm.room.third_party_invite', {}, 'x'),
      () => [levels({ invite: 1 })],
    );
  });

  describe('leave', () => {
    for (const own of ['join', 'invite', 'knock']) {
      inAll(
        `after ${own}`,
        'allowed',
        (id) => memberPdu(id, DAVE, DAVE, 'leave'),
        () => [membership(DAVE, own)],
        own === 'knock' ? 7 : 1,
      );
    }
    inAll('without having been in', '5.5.1', (id) => memberPdu(id, DAVE, DAVE, 'leave'));
    inAll(
      'out of a ban',
      '5.5.1',
      (id) => memberPdu(id, DAVE, DAVE, 'leave'),
      () => [membership(DAVE, 'ban')],
    );
    const kick = (id: string): AuthPdu => memberPdu(id, BOB, DAVE, 'leave');
    const moderator = levels({ users: { [BOB]: 50 } });
    inAll('a kick from outside', '5.5.2', (id) => memberPdu(id, CAROL, BOB, 'leave'));
    inAll('a kick', 'allowed', kick, () => [membership(DAVE, 'join'), moderator]);
    inAll('a kick without the level', '5.5.5', kick, () => [membership(DAVE, 'join'), levels({ users: { [BOB]: 49 } })]);
    inAll('a kick of an equal', '5.5.5', kick, () => [membership(DAVE, 'join'), levels({ users: { [BOB]: 50, [DAVE]: 50 } })]);
    inAll('lifting a ban', 'allowed', kick, () => [membership(DAVE, 'ban'), moderator]);
    inAll('lifting a ban without the ban level', '5.5.3', kick, () => [membership(DAVE, 'ban'), levels({ ban: 51, users: { [BOB]: 50 } })]);
    inAll('lifting a ban without the kick level', '5.5.5', kick, () => [
      membership(DAVE, 'ban'),
      levels({ kick: 51, users: { [BOB]: 50 } }),
    ]);
  });

  describe('ban', () => {
    const ban = (id: string): AuthPdu => memberPdu(id, BOB, DAVE, 'ban');
    inAll('with the level', 'allowed', ban, () => [levels({ users: { [BOB]: 50 } })]);
    inAll('from outside', '5.6.1', (id) => memberPdu(id, CAROL, DAVE, 'ban'));
    inAll('without the level', '5.6.3', ban);
    inAll('of an equal', '5.6.3', ban, () => [levels({ users: { [BOB]: 50, [DAVE]: 50 } })]);
    it('v12: creators cannot ban one another', () => {
      const create = stateEvent(ALICE, 'm.room.create', '', { additional_creators: [BOB] });
      assert.equal(judge('12', memberPdu('12', ALICE, BOB, 'ban'), [create]), '5.6.3');
      assert.equal(judge('12', memberPdu('12', BOB, ALICE, 'leave'), [create]), '5.5.5');
    });
  });

  describe('knock', () => {
    const knock = (id: string): AuthPdu => memberPdu(id, DAVE, DAVE, 'knock');
    inAll('where it is allowed', 'allowed', knock, () => [joinRules('knock')], 7);
    inAll('with knock_restricted', 'allowed', knock, () => [joinRules('knock_restricted')], 10);
    inAll('elsewhere', '5.7.1', knock, () => [joinRules('public')], 7);
    inAll(
      'for another',
      '5.7.2',
      (id) => memberPdu(id, BOB, DAVE, 'knock'),
      () => [joinRules('knock')],
      7,
    );
    for (const own of ['ban', 'invite', 'join']) {
      inAll(`after ${own}`, '5.7.4', knock, () => [joinRules('knock'), membership(DAVE, own)], 7);
    }
    it('again', () => assert.equal(judge('11', knock('11'), [joinRules('knock'), membership(DAVE, 'knock')]), 'allowed'));
  });

  it('older versions lack knocking, restricted joins and their combination', () => {
    assert.equal(judge('6', memberPdu('6', DAVE, DAVE, 'knock'), [joinRules('knock')]), '4.6');
    const join = memberPdu('7', DAVE, DAVE, 'join', { join_authorised_via_users_server: BOB });
    assert.equal(judge('7', join, [joinRules('restricted')]), '4.2.6');
    assert.equal(judge('6', join, [joinRules('knock')]), '4.2.6');
    assert.equal(judge('5', join, [joinRules('knock')]), '5.2.6');
    assert.equal(judge('6', memberPdu('6', DAVE, DAVE, 'leave'), [membership(DAVE, 'knock')]), '4.4.1');
    assert.equal(judge('9', join, [joinRules('restricted')]), 'allowed');
    assert.equal(judge('9', join, [joinRules('knock_restricted')]), '4.3.7');
  });
});
