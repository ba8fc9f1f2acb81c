import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UNVERIFIED } from '#src/rooms/graph/index.ts';
import { checkManyIncoming } from '#src/rooms/graph/receive/incoming.ts';
import { CARL, DANA, letIn, member, openElsewhere, openGraph, OURS, serverKeys, THEIRS, THIRD } from '#src/rooms/graph/testing/world.ts';
import { withBothDatabases } from '#test/support/databases.ts';

test('the keys of many events are asked for side by side, and one that cannot be had once', async () => {
  const elsewhere = await openElsewhere();
  const { room, state, join } = await elsewhere.room('11');
  const events = [...state, join, await elsewhere.add(room, [join], member(CARL, CARL, 'leave'))];
  const known = serverKeys(new Set([THIRD]));
  const asked: string[] = [];
  const { promise: allAsked, resolve } = Promise.withResolvers<void>();
  const keys: typeof known = {
    find: async (server, keyId, atMs) => {
      asked.push(server);
      if (new Set(asked).size === 3) resolve();
      // Who waits for one server before asking the next waits for ever.
      await allAsked;
      return known.find(server, keyId, atMs);
    },
  };
  const checked = await checkManyIncoming(
    room,
    events.map(({ json }) => json),
    keys,
  );
  assert.equal(checked.length, events.length);
  const wanting = checked.filter(({ facts }) => (facts & UNVERIFIED) !== 0).map(({ parsed }) => parsed.pdu.sender);
  assert.deepEqual(wanting, [CARL, DANA, CARL]);
  assert.ok(asked.includes(OURS) && asked.includes(THEIRS));
  // At the time of the latest event, and then at any time.
  assert.equal(asked.filter((server) => server === THIRD).length, 2);
  await elsewhere.close();
});

withBothDatabases('a room that is expected has the number that it gets, and none that another has', async (_t, open) => {
  const elsewhere = await openElsewhere();
  const graph = await openGraph(await open(), OURS);
  const started = await elsewhere.room('12');
  const name = { roomId: started.room.roomId, version: '12' };
  const expected = await graph.expectRoom(name);
  assert.equal(await graph.room(name.roomId), undefined, 'it is not here yet');
  const other = await graph.expectRoom({ ...name, roomId: '!other:two.example' });
  assert.notEqual(other.room.num, expected.room.num);
  other.done();
  const room = await letIn(graph, started);
  expected.done();
  assert.deepEqual(room, expected.room);
  const again = await graph.expectRoom({ ...name, version: '11' });
  assert.deepEqual(again.room, { ...room, version: '11' }, 'as it is said to be');
  again.done();
  await elsewhere.close();
});
