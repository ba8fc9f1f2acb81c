import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { creatorsOf, CREATOR_LEVEL, parseLevel, powerLevels } from '#src/protocol/power-levels.ts';
import type { JsonValue } from '#src/protocol/json.ts';
import { ROOM_VERSIONS, roomVersion } from '#src/protocol/room-versions.ts';

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
    for (const text of ['', '1.0', '1e2', '0x1', 'a', '--1', '9'.repeat(4301), '1_0', '\u0661', '\ufeff1'])
      assert.equal(parseLevel(text, v9), undefined, text);
    assert.deepEqual(
      [parseLevel('1', v10), parseLevel(1, v10), parseLevel(1.5, v9), parseLevel(true, v9)],
      [undefined, 1, undefined, undefined],
    );
    assert.equal(parseLevel('9007199254740993', v9), 9_007_199_254_740_993n);
    assert.ok(parseLevel('9'.repeat(400), v9)! < CREATOR_LEVEL);
    assert.equal(parseLevel('\x1c\u3000-0\x85', v9), 0);
  });

  it('may be floats before version 6, truncated', () => {
    const v5 = ROOM_VERSIONS.get('5')!;
    const raw = (text: string): JsonValue => (JSON as unknown as { rawJSON(text: string): JsonValue }).rawJSON(text);
    assert.deepEqual(
      [50.57, -50.57, -0.5, 1e300, raw('51.0'), raw('5.114698E4'), raw('9007199254740993')].map((value) => parseLevel(value, v5)),
      [50, -50, 0, BigInt(1e300), 51, 51146, 9_007_199_254_740_993n],
    );
    assert.deepEqual([parseLevel(raw('1e400'), v5), parseLevel(50.57, v9), parseLevel(raw('51.0'), v9)], [undefined, undefined, undefined]);
  });
});
