import assert from 'node:assert/strict';
import { test } from 'node:test';
import { roomVersion } from '#src/protocol/room-versions.ts';
import { restrictedLevels, successorLevels, wholeLevels } from '#src/rooms/creation/upgrade/levels.ts';

test('levels become whole numbers, and what is no level is left out', () => {
  const content = { ban: '50', users: { '@a:x': ' 7 ', '@b:x': 'high', '@c:x': 3 }, events: ['x'], state_default: null, odd: { deep: {} } };
  assert.deepEqual(wholeLevels(content, roomVersion('6')), { ban: 50, users: { '@a:x': 7, '@c:x': 3 }, odd: {} });
  assert.deepEqual(wholeLevels({ ban: '50', kick: 1 }, roomVersion('10')), { kick: 1 });
  assert.deepEqual(wholeLevels({ ban: '99999999999999999999' }, roomVersion('6')), { ban: Number.MAX_SAFE_INTEGER });
});

test('a replaced room asks for more than everybody has, and is left alone where it does already', () => {
  assert.deepEqual(restrictedLevels({}), { invite: 50, events_default: 50 });
  assert.deepEqual(restrictedLevels({ users_default: 60, invite: 70 }), { users_default: 60, invite: 70, events_default: 61 });
  assert.equal(restrictedLevels({ invite: 50, events_default: 99 }), undefined);
  assert.deepEqual(
    restrictedLevels({ users_default: Number.MAX_SAFE_INTEGER, invite: Number.MAX_SAFE_INTEGER })?.['events_default'],
    Number.MAX_SAFE_INTEGER,
  );
});

test('who replaces a room is raised while its state is set, by no more than is needed', () => {
  const standings = { version: roomVersion('11'), upgrader: '@a:x', creators: ['@a:x'], formerCreators: [] };
  const levels = { users: { '@a:x': 60 }, users_default: 10, events: { 'm.room.name': 95 }, state_default: 80 };
  assert.deepEqual(successorLevels(levels, standings), { meanwhile: { ...levels, users: { '@a:x': 95 } }, final: levels });
  const high = { users: { '@a:x': 100 } };
  assert.deepEqual(successorLevels(high, standings), { meanwhile: high, final: high });
  assert.deepEqual(successorLevels({ users_default: 50 }, standings).meanwhile, { users_default: 50 });
});

test('creators leave the users of the levels from version 12 on, and come back among them before', () => {
  const levels = { users: { '@a:x': 60, '@b:x': 50, '@c:x': 1 } };
  const into12 = { version: roomVersion('12'), upgrader: '@a:x', creators: ['@a:x', '@b:x'], formerCreators: [] };
  assert.deepEqual(successorLevels(levels, into12).final, { users: { '@c:x': 1 } });
  assert.deepEqual(successorLevels({ ban: 1 }, into12).final, { ban: 1 });
  const outOf12 = { version: roomVersion('11'), upgrader: '@b:x', creators: ['@b:x'], formerCreators: ['@a:x'] };
  assert.deepEqual(successorLevels(levels, outOf12).final, { users: { '@a:x': 100, '@b:x': 50, '@c:x': 1 } });
});
