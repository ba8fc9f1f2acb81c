import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { creatorsOf, CREATOR_LEVEL, parseLevel, powerLevels } from '#src/protocol/power-levels.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';

const create = { sender: '@a:x', content: { creator: '@c:x', additional_creators: ['@b:x', 1] } };
const v9 = roomVersion('9');
const v10 = roomVersion('10');
const v11 = roomVersion('11');
const v12 = roomVersion('12');

describe('power levels', () => {
  it('have defaults', () => {
    const levels = powerLevels(create, undefined, v11);
    assert.deepEqual(
      [levels.userLevel('@a:x'), levels.userLevel('@b:x'), levels.requiredLevel('x', true), levels.requiredLevel('x', false)],
      [100, 0, 50, 0],
    );
    assert.deepEqual(
      (['ban', 'kick', 'redact', 'invite'] as const).map((name) => levels.level(name)),
      [50, 50, 50, 0],
    );
    assert.equal(levels.notificationLevel('room'), 50);
  });

  it('are read from the event', () => {
    const content = {
      users: { '@b:x': 7 },
      users_default: 3,
      events: { x: 9 },
      state_default: 4,
      events_default: 2,
      notifications: { room: 20 },
      ban: 1,
    };
    const levels = powerLevels(create, { content }, v11);
    assert.deepEqual([levels.userLevel('@a:x'), levels.userLevel('@b:x')], [3, 7]);
    assert.deepEqual([levels.requiredLevel('x', true), levels.requiredLevel('y', true), levels.requiredLevel('y', false)], [9, 4, 2]);
    assert.deepEqual([levels.level('ban'), levels.notificationLevel('room'), levels.requiredLevel('toString', true)], [1, 20, 4]);
  });

  it('put the creators of version 12 above all', () => {
    const levels = powerLevels(create, { content: { users: { '@a:x': 1 } } }, v12);
    assert.deepEqual([levels.userLevel('@a:x'), levels.userLevel('@b:x'), levels.userLevel('@c:x')], [CREATOR_LEVEL, CREATOR_LEVEL, 0]);
    assert.ok(CREATOR_LEVEL > Number.MAX_SAFE_INTEGER);
  });

  it('know the creators of each version', () => {
    assert.deepEqual(
      [v10, v11, v12].map((version) => creatorsOf(create, version)),
      [['@c:x'], ['@a:x'], ['@a:x', '@b:x']],
    );
  });

  it('may be texts before version 10', () => {
    for (const [text, level] of Object.entries({ '100': 100, ' -05 ': -5, '+7': 7 })) assert.equal(parseLevel(text, v9), level);
    for (const text of ['', '1.0', '1e2', '0x1', 'a', '--1', '9'.repeat(400)]) assert.equal(parseLevel(text, v9), undefined, text);
    assert.deepEqual(
      [parseLevel('1', v10), parseLevel(1, v10), parseLevel(1.5, v9), parseLevel(true, v9)],
      [undefined, 1, undefined, undefined],
    );
  });
});
