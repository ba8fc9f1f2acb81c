import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DirectoryRule, isAllowed } from '#src/rooms/directory/rules.ts';

const rule = (given: Partial<DirectoryRule>): DirectoryRule => ({ user_id: '*', room_id: '*', alias: '*', action: 'allow', ...given });

test('the first rule that fits decides', () => {
  const rules = [rule({ user_id: '@spam*:example.org', action: 'deny' }), rule({})];
  assert.equal(isAllowed(rules, '@spammer:example.org', '!r', ['#a:example.org']), false);
  assert.equal(isAllowed(rules, '@alice:example.org', '!r', ['#a:example.org']), true);
});

test('without a rule that fits the answer is no', () => {
  assert.equal(isAllowed([], '@alice:example.org', '!r', []), false);
  assert.equal(isAllowed([rule({ alias: '#team-?:*' })], '@alice:example.org', '!r', ['#team-10:example.org']), false);
});

test('a rule about aliases fits one of several, and a star fits a room without any', () => {
  assert.equal(isAllowed([rule({ alias: '#TEAM-?:*' })], '@alice:example.org', '!r', ['#x:example.org', '#team-1:example.org']), true);
  assert.equal(isAllowed([rule({ alias: '#team-*' })], '@alice:example.org', '!r', []), false);
  assert.equal(isAllowed([rule({})], '@alice:example.org', '!r', []), true);
});

test('letters with a meaning in regular expressions are plain letters', () => {
  assert.equal(isAllowed([rule({ alias: '#a.c:example.org' })], '@alice:example.org', '!r', ['#abc:example.org']), false);
});
