import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareRooms, pageOf } from '#src/rooms/directory/page.ts';

const room = (id: string, joined: number) => ({ room_id: id, num_joined_members: joined });
const ids = (page: { chunk: readonly { room_id: string }[] }) => page.chunk.map((each) => each.room_id).join('');

const sorted = [room('c', 1), room('a', 3), room('e', 1), room('b', 3), room('d', 1)].sort(compareRooms);

test('the biggest rooms come first, equals by their ids', () => {
  assert.equal(ids({ chunk: sorted }), 'abcde');
});

test('the list is read forwards and back again', () => {
  const first = pageOf(sorted, undefined, 2);
  assert.equal(ids(first), 'ab');
  assert.equal(first.previous, undefined);
  const second = pageOf(sorted, first.next, 2);
  assert.equal(ids(second), 'cd');
  const third = pageOf(sorted, second.next, 2);
  assert.equal(ids(third), 'e');
  assert.equal(third.next, undefined);
  const back = pageOf(sorted, third.previous, 3);
  assert.equal(ids(back), 'bcd');
  const start = pageOf(sorted, back.previous, 3);
  assert.equal(ids(start), 'a');
  assert.equal(start.previous, undefined);
  assert.equal(ids(pageOf(sorted, start.next, 9)), 'bcde');
});

test('a place stays one when its room is gone', () => {
  const { next } = pageOf(sorted, undefined, 3);
  const without = sorted.filter((each) => each.room_id !== 'c');
  assert.equal(ids(pageOf(without, next, 3)), 'de');
  const end = pageOf(sorted.slice(0, 2), next, 3);
  assert.equal(ids(end), '');
  assert.equal(ids(pageOf(sorted.slice(0, 2), end.previous, 3)), 'ab');
});

test('what is no token is refused', () => {
  for (const token of ['x', '', Buffer.from('f1').toString('base64url'), Buffer.from('x1 !a').toString('base64url')])
    assert.throws(() => pageOf(sorted, token, 1), { errcode: 'M_INVALID_PARAM' });
});
