import assert from 'node:assert/strict';
import { test } from 'node:test';
import { roomVersion } from '#src/protocol/room-versions.ts';
import { conditionsOf, isRestricted } from '#src/rooms/membership/restricted.ts';

test('a restricted join rule means something from the version on that knows it', () => {
  assert.equal(isRestricted('restricted', roomVersion('7')), false);
  assert.equal(isRestricted('restricted', roomVersion('8')), true);
  assert.equal(isRestricted('knock_restricted', roomVersion('9')), false);
  assert.equal(isRestricted('knock_restricted', roomVersion('10')), true);
  assert.equal(isRestricted('public', roomVersion('11')), false);
  assert.equal(isRestricted(undefined, roomVersion('11')), false);
});

test('conditions of a kind that is not known are noticed, broken ones are none', () => {
  const room = (room_id: string | number) => ({ type: 'm.room_membership', room_id });
  assert.deepEqual(conditionsOf({ allow: [room('!a'), room('!b'), room(5)] }), { rooms: ['!a', '!b'], hasUnknown: false });
  assert.deepEqual(conditionsOf({ allow: [room('!a'), { type: 'org.example.other' }] }), { rooms: ['!a'], hasUnknown: true });
  assert.deepEqual(conditionsOf({ allow: 'everybody' }), { rooms: [], hasUnknown: false });
});
