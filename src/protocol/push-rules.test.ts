import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ClientEvent } from '#src/protocol/client-event.ts';
import { globMatches, globMatchesWords } from '#src/protocol/glob.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { powerLevels } from '#src/protocol/power-levels.ts';
import type { Condition, PushContext } from '#src/protocol/push-conditions.ts';
import { matchesCondition, matchesCount, propertyPath } from '#src/protocol/push-conditions.ts';
import { defaultPushRules, matchingPushRule, outcomeOf } from '#src/protocol/push-rules.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';

const context: PushContext = {
  memberCount: 5,
  displayName: 'Alice A.',
  levels: powerLevels(undefined, { content: { users: { '@mod:x': 50 } } }, roomVersion('11')),
};

const event = (content: JsonObject, more: Partial<ClientEvent> = {}): ClientEvent => ({
  type: 'm.room.message',
  sender: '@bob:x',
  content,
  event_id: '$e',
  origin_server_ts: 1,
  ...more,
});

const matches = (condition: Condition, content: JsonObject, more: Partial<ClientEvent> = {}): boolean =>
  matchesCondition(condition, event(content, more), context);

describe('globs', () => {
  const whole: [pattern: string, text: string, expected: boolean][] = [
    ['lunc?*', 'Lunch plans', true],
    ['lunc?*', 'LUNCH', true],
    ['lunc?*', ' lunch', false],
    ['lunc?*', 'lunc', false],
    ['', '', true],
    ['', 'x', false],
    ['*', '', true],
    ['**', 'anything', true],
    ['a*b*c', 'aXbYbc', true],
    ['a*b*c', 'acb', false],
    ['?', '\u{1f600}', true],
    ['a.c', 'abc', false],
    ['[a]', '[A]', true],
    ['m.room.message', 'm.room.messages', false],
  ];
  for (const [pattern, text, expected] of whole) {
    it(`"${pattern}" and "${text}": ${expected}`, () => assert.equal(globMatches(pattern, text), expected));
  }

  const words: [pattern: string, text: string, expected: boolean][] = [
    ['ex*ple', 'An example event.', true],
    ['ex*ple', 'exple', true],
    ['ex*ple', 'An exciting triple-whammy', true],
    ['ex*ple', 'An examples event.', false],
    ['cake', 'piece of CAKE!', true],
    ['cake', 'cakes', false],
    ['cake', 'pancake cake_ cake', true],
    ['cake', 'pancake cake_', false],
    ['cake', 'écake', true],
    ['@room', 'hi @room: x', true],
    ['@room', 'x@room', false],
    ['?', 'abc', false],
    ['?', 'a', true],
    ['foo bar', 'a foo bar b', true],
    ['cake*', 'cakes', true],
  ];
  for (const [pattern, text, expected] of words) {
    it(`"${pattern}" as words in "${text}": ${expected}`, () => assert.equal(globMatchesWords(pattern, text), expected));
  }

  it('match as a regular expression would', () => {
    const letters = (...alphabet: string[]): fc.Arbitrary<string> => fc.string({ unit: fc.constantFrom(...alphabet), maxLength: 10 });
    fc.assert(
      fc.property(letters('a', 'b', '*', '?', ' '), letters('a', 'b', 'A', ' ', '_', '-'), (pattern, text) => {
        const source = pattern.replaceAll('*', '.*').replaceAll('?', '.');
        assert.equal(globMatches(pattern, text), new RegExp(`^(?:${source})$`, 'is').test(text));
        assert.equal(globMatchesWords(pattern, text), new RegExp(`(?<![A-Za-z0-9_])(?:${source})(?![A-Za-z0-9_])`, 'is').test(text));
      }),
      { numRuns: 2000 },
    );
  });

  it('take no exponential time', () => {
    assert.equal(globMatches(`${'a*'.repeat(30)}b`, `${'a'.repeat(5000)}c`), false);
    assert.equal(globMatchesWords(`${'a*'.repeat(20)}b`, `b ${'a'.repeat(5000)}`), false);
  });
});

describe('push conditions', () => {
  it('read paths with escapes', () => {
    assert.deepEqual(propertyPath('content.body'), ['content', 'body']);
    assert.deepEqual(propertyPath(String.raw`content.m\.relates_to.rel_type`), ['content', 'm.relates_to', 'rel_type']);
    assert.deepEqual(propertyPath(String.raw`a\\.b\x`), ['a\\', String.raw`b\x`]);
  });

  it('event_match', () => {
    assert.equal(matches({ kind: 'event_match', key: 'content.topic', pattern: 'lunc?*' }, { topic: 'Lunch' }), true);
    assert.equal(matches({ kind: 'event_match', key: 'content.topic', pattern: '*' }, {}), false);
    assert.equal(matches({ kind: 'event_match', key: 'content.topic', pattern: '*' }, { topic: null }), false);
    assert.equal(matches({ kind: 'event_match', key: 'content.body', pattern: 'cake' }, { body: 'a cake' }), true);
    assert.equal(matches({ kind: 'event_match', key: 'content.topic', pattern: 'cake' }, { topic: 'a cake' }), false);
    assert.equal(matches({ kind: 'event_match', key: 'content.toString.name', pattern: '*' }, {}), false);
    assert.equal(matches({ kind: 'event_match', key: 1, pattern: '*' }, {}), false);
  });

  it('event_property_is', () => {
    const is = (value: Condition[string]): Condition => ({ kind: 'event_property_is', key: String.raw`content.m\.federate`, value });
    assert.equal(matches(is(true), { 'm.federate': true }), true);
    assert.equal(matches(is(true), { 'm.federate': 'true' }), false);
    assert.equal(matches(is(true), { 'm.federate': 1 }), false);
    assert.equal(matches(is(null), { 'm.federate': null }), true);
    assert.equal(matches(is(null), {}), false);
    assert.equal(matches({ kind: 'event_property_is', key: 'content.x' }, {}), false);
  });

  it('event_property_contains', () => {
    const contains = (value: Condition[string]): Condition => ({ kind: 'event_property_contains', key: 'content.list', value });
    assert.equal(matches(contains('a'), { list: ['b', 'a'] }), true);
    assert.equal(matches(contains('a'), { list: ['ab'] }), false);
    assert.equal(matches(contains('a'), { list: 'a' }), false);
    assert.equal(matches(contains([]), { list: [[]] }), false);
  });

  it('contains_display_name', () => {
    const kind = 'contains_display_name';
    assert.equal(matches({ kind }, { body: 'hi alice a.: x' }), true);
    assert.equal(matches({ kind }, { body: 'malice a.' }), false);
    assert.equal(matches({ kind }, { body: 'Alice A?' }), false);
    assert.equal(matches({ kind }, {}), false);
    assert.equal(matchesCondition({ kind }, event({ body: 'x' }), { ...context, displayName: '' }), false);
  });

  it('room_member_count', () => {
    for (const is of ['5', '==5', '<6', '>4', '>=5', '<=5']) assert.equal(matches({ kind: 'room_member_count', is }, {}), true, is);
    for (const is of ['4', '<5', '>5', '>=6', '<=4', '', '=5', '5 ', 'x', '5.0']) assert.equal(matchesCount(is, 5), false, is);
    assert.equal(matchesCount(5, 5), false);
  });

  it('sender_notification_permission and unknown kinds', () => {
    const permission: Condition = { kind: 'sender_notification_permission', key: 'room' };
    assert.equal(matches(permission, {}, { sender: '@mod:x' }), true);
    assert.equal(matches(permission, {}), false);
    assert.equal(matches({ kind: 'org.example' }, {}), false);
  });
});

describe('push rules', () => {
  const rules = defaultPushRules('@alice:x');
  const idFor = (content: JsonObject, more: Partial<ClientEvent> = {}, given = context): string | undefined =>
    matchingPushRule(rules, event(content, more), '!r:x', given)?.rule.rule_id.slice('.m.rule.'.length);

  it('come in the order of the specification', () => {
    assert.equal(
      rules.override.map(({ rule_id: id }) => id.slice(8)).join(' '),
      'master suppress_notices invite_for_me member_event is_user_mention contains_display_name is_room_mention roomnotif tombstone reaction room.server_acl suppress_edits',
    );
    assert.equal(
      rules.underride.map(({ rule_id: id }) => id.slice(8)).join(' '),
      'call encrypted_room_one_to_one room_one_to_one message encrypted',
    );
    assert.deepEqual(
      rules.override.filter(({ enabled }) => !enabled).map(({ rule_id: id }) => id),
      ['.m.rule.master'],
    );
  });

  const state = { type: 'm.room.member', state_key: '@alice:x' };
  const cases: [what: string, content: JsonObject, more: Partial<ClientEvent>, expected: string | undefined][] = [
    ['a message', { body: 'hi' }, {}, 'message'],
    ['a notice', { body: 'hi', msgtype: 'm.notice' }, {}, 'suppress_notices'],
    ['an invite', { membership: 'invite' }, state, 'invite_for_me'],
    ["another's invite", { membership: 'invite' }, { ...state, state_key: '@bob:x' }, 'member_event'],
    ['a mention', { body: 'hi', 'm.mentions': { user_ids: ['@alice:x'] } }, {}, 'is_user_mention'],
    ['a name in the text', { body: 'hi Alice A.' }, {}, 'contains_display_name'],
    ['a name in the text beside m.mentions', { body: 'hi Alice A.', 'm.mentions': {} }, {}, 'message'],
    ['a localpart in the text', { body: 'alice?' }, {}, 'contains_user_name'],
    ['a room mention', { 'm.mentions': { room: true } }, { sender: '@mod:x' }, 'is_room_mention'],
    ['a room mention without the level', { 'm.mentions': { room: true } }, {}, 'message'],
    ['@room', { body: '@room hi' }, { sender: '@mod:x' }, 'roomnotif'],
    ['a tombstone', {}, { type: 'm.room.tombstone', state_key: '' }, 'tombstone'],
    ['a reaction', {}, { type: 'm.reaction' }, 'reaction'],
    ['a server ACL', {}, { type: 'm.room.server_acl', state_key: '' }, 'room.server_acl'],
    ['an edit', { body: 'x', 'm.relates_to': { rel_type: 'm.replace' } }, {}, 'suppress_edits'],
    ['a call', {}, { type: 'm.call.invite' }, 'call'],
    ['an encrypted event', {}, { type: 'm.room.encrypted' }, 'encrypted'],
    ['anything else', {}, { type: 'org.example' }, undefined],
  ];
  for (const [what, content, more, expected] of cases) {
    it(`finds ${expected ?? 'no rule'} for ${what}`, () => assert.equal(idFor(content, more), expected));
  }

  it('count two as one to one', () => {
    const two = { ...context, memberCount: 2 };
    assert.equal(idFor({ body: 'hi' }, {}, two), 'room_one_to_one');
    assert.equal(idFor({}, { type: 'm.room.encrypted' }, two), 'encrypted_room_one_to_one');
  });

  it('of rooms and senders go by their ids', () => {
    const own = (id: string) => [{ rule_id: id, default: false, enabled: true, actions: [] }];
    assert.equal(matchingPushRule({ ...rules, room: own('!r:x') }, event({ body: 'x' }), '!r:x', context)?.kind, 'room');
    assert.equal(matchingPushRule({ ...rules, sender: own('@bob:x') }, event({ body: 'x' }), '!r:x', context)?.kind, 'sender');
    assert.equal(matchingPushRule({ ...rules, room: own('!s:x') }, event({ body: 'x' }), '!r:x', context)?.kind, 'underride');
  });

  it('come to an outcome', () => {
    const mention = rules.override.find(({ rule_id: id }) => id === '.m.rule.is_user_mention')!;
    assert.deepEqual(outcomeOf(mention), { notify: true, highlight: true, tweaks: { sound: 'default', highlight: true } });
    assert.deepEqual(outcomeOf({ actions: ['dont_notify', { set_tweak: 'highlight', value: false }] }), {
      notify: false,
      highlight: false,
      tweaks: { highlight: false },
    });
  });
});
