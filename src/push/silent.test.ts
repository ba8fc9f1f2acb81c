import assert from 'node:assert/strict';
import { sql } from '#src/platform/database/sql.ts';
import type { RoomEvent } from '#src/rooms/graph/index.ts';
import { makeRoom, member, openWorld, state } from '#src/push/testing/world.ts';
import { withBothDatabases } from '#test/support/databases.ts';
import { message } from '#test/support/new-events.ts';
import { arrive, theirKey } from '#test/support/other-server.ts';

const ALICE = '@alice:one.example';
const BOB = '@bob:one.example';
const ERIN = '@erin:two.example';

withBothDatabases('who is in a room again, or no longer, without a new event, is counted for from then on', async (_t, open) => {
  const database = await open();
  let hasKey = true;
  const world = await openWorld(database, new Map(), { serverKeys: { find: async () => (hasKey ? theirKey : undefined) } });
  const { graph, push, strings, unremembered } = world;
  const { room } = await makeRoom(world, ALICE);
  const append = (event: Parameters<Parameters<Parameters<typeof graph.write>[1]>[0]['append']>[0]): Promise<RoomEvent> =>
    graph.write(room, async (draft) => draft.append(event));
  const end = async (): Promise<RoomEvent> => (await graph.head(room)).extremities[0] as RoomEvent;
  await append(member(BOB, BOB, 'join'));
  const userNum = (await strings.numOf(BOB)) as number;
  const unread = async (): Promise<number> => {
    const counts = await Promise.all([push.unreadCounts, unremembered].map((each) => each.of({ userNum }, [room.num], false)));
    const [remembered, stored] = counts.map((each) => each.get(room.num)?.notifications ?? 0);
    assert.equal(remembered, stored);
    return stored as number;
  };
  const isMember = async (): Promise<boolean> =>
    (await database.read('member', (reader) =>
      reader.one(sql`SELECT user_num FROM push_members WHERE room_num = ${room.num} AND user_num = ${userNum}`),
    )) !== undefined;
  await arrive(world, room, await end(), member(ERIN, ERIN, 'join'));
  await append(state(ALICE, 'm.room.power_levels', '', { users: { [ALICE]: 100, [ERIN]: 90 } }));
  const ban = await arrive(world, room, await end(), member(ERIN, BOB, 'ban'));
  assert.equal(await isMember(), false);
  hasKey = false;
  await graph.judgeAgain(ban.eventId);
  assert.equal(await isMember(), true);
  const before = await unread();
  await append(message(ALICE, 'with Bob'));
  assert.equal(await unread(), before + 1);
  hasKey = true;
  await graph.judgeAgain(ban.eventId);
  assert.equal(await isMember(), false);
  await append(message(ALICE, 'without Bob'));
  assert.equal(await isMember(), false);
});
