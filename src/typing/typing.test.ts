import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { systemRandom } from '#src/platform/random.ts';
import type { Requester } from '#src/accounts/index.ts';
import type { RoomGraph } from '#src/rooms/graph/index.ts';
import { createTyping } from '#src/typing/index.ts';

const requester = (userNum: number): Requester => ({
  userId: `@u${String(userNum)}:x`,
  userNum,
  deviceId: 'D',
  sessionNum: 1,
  isGuest: false,
  isAdmin: false,
});

/** Room 1, in which the users of these numbers are. */
const graphOf = (members: Set<number>) =>
  ({
    room: async (roomId: string) => (roomId === '!r:x' ? { num: 1, roomId, version: '11' } : undefined),
    memberships: { in: async (_room: number, userNum: number) => (members.has(userNum) ? { membership: 'join' } : undefined) },
  }) as unknown as Pick<RoomGraph, 'room' | 'memberships'>;

test('who types is told until it ends, by word, by time or by leaving', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const members = new Set([1, 2]);
  const typing = createTyping({ graph: graphOf(members), random: systemRandom });
  const woken: number[] = [];
  typing.source.follow({ room: (num) => woken.push(num) });
  const told = async (after: number | undefined): Promise<unknown> =>
    (await typing.source.ephemeral(undefined, [1], { after })).get(1)?.[0]?.content.user_ids;
  const start = typing.source.now();
  assert.equal(await told(undefined), undefined);
  await typing.set(requester(1), '!r:x', '@u1:x', true, 30_000);
  await typing.set(requester(2), '!r:x', '@u2:x', true, 999_999);
  await typing.set(requester(2), '!r:x', '@u2:x', true, 999_999);
  assert.deepEqual(woken, [1, 1], 'saying it again is no news');
  assert.deepEqual(await told(start.position), ['@u1:x', '@u2:x']);
  const later = typing.source.now();
  assert.equal(later.epoch, start.epoch);
  mock.timers.tick(30_000);
  assert.deepEqual(await told(later.position), ['@u2:x']);
  mock.timers.tick(90_000);
  assert.deepEqual(await told(later.position), [], 'nobody types longer than two minutes');
  assert.equal(await told(undefined), undefined);
  await typing.set(requester(1), '!r:x', '@u1:x', true, 30_000);
  members.delete(1);
  assert.deepEqual(await told(later.position), []);
  typing.close();
});

test('only members type, and only for themselves', async () => {
  const typing = createTyping({ graph: graphOf(new Set([1])), random: systemRandom });
  await assert.rejects(typing.set(requester(2), '!r:x', '@u2:x', true, 1000), { status: 403, errcode: 'M_FORBIDDEN' });
  await assert.rejects(typing.set(requester(1), '!nothing:x', '@u1:x', true, 1000), { status: 403, errcode: 'M_FORBIDDEN' });
  await assert.rejects(typing.set(requester(1), '!r:x', '@u2:x', true, 1000), { status: 400, errcode: 'M_FORBIDDEN' });
});
