import assert from 'node:assert/strict';
import { createStrings } from '#src/platform/database/strings.ts';
import { createDeviceLists, type DeviceLists } from '#src/device-lists/index.ts';
import type { RoomEvent, RoomInfo } from '#src/rooms/graph/index.ts';
import { silent, withBothDatabases } from '#test/support/databases.ts';
import { arrive, theirKey } from '#test/support/other-server.ts';
import { member, message, openRoomsWorld, type RoomsWorld, state } from '#test/support/rooms-world.ts';

const ALICE = '@alice:one.example';
const BOB = '@bob:one.example';
const MODERATOR = '@moderator:one.example';
const ERIN = '@erin:two.example';

interface SyncJson {
  readonly next_batch: string;
  readonly device_lists?: { readonly changed: readonly string[]; readonly left: readonly string[] };
}

interface World extends RoomsWorld {
  /** What Alice is told of device lists since she asked last; `undefined` for nothing. */
  readonly told: () => Promise<SyncJson['device_lists']>;
  /** What device lists say to Alice of a room that she stayed in, between two positions. */
  readonly between: (room: RoomInfo, after: number, upTo: number) => Promise<unknown>;
  /** Whether the key of two.example can be had. */
  hasKey: boolean;
}

const withWorld = (name: string, body: (world: World) => Promise<void>): void => {
  withBothDatabases(name, async (_t, open) => {
    const database = await open();
    let deviceLists: DeviceLists | undefined;
    const key = { hasKey: true };
    const rooms = await openRoomsWorld(
      database,
      (graph) => ({
        deviceLists: (deviceLists = createDeviceLists({
          database,
          strings: createStrings(database),
          graph,
          forgetKeys: () => undefined,
          log: silent,
        })),
      }),
      { serverKeys: { find: async () => (key.hasKey ? theirKey : undefined) } },
    );
    let since = '';
    const told = async (): Promise<SyncJson['device_lists']> => {
      const answer = await rooms.get<SyncJson>(ALICE, `/sync?timeout=0${since === '' ? '' : `&since=${since}`}`);
      since = answer.next_batch;
      return answer.device_lists;
    };
    const between = async (room: RoomInfo, after: number, upTo: number): Promise<unknown> => {
      const userNum = (await createStrings(database).numOf(ALICE)) ?? 0;
      const stayedIn = { roomNums: [room.num], after, upTo };
      return deviceLists?.changes({ userNum }, { after: 0, upTo: 0 }, { newlyJoined: [], newlyLeft: [], stayedIn });
    };
    await body(Object.assign(key, { ...rooms, told, between }));
    rooms.close();
    await deviceLists?.close();
  });
};

const lastOf = async ({ graph }: RoomsWorld, room: RoomInfo): Promise<RoomEvent> => (await graph.head(room)).extremities[0] as RoomEvent;

withWorld('devices of who is out and in again without an event are told of', async (world) => {
  const room = await world.makeRoom(ALICE, member(BOB, BOB, 'join'));
  await arrive(world, room, await lastOf(world, room), member(ERIN, ERIN, 'join'));
  await world.append(room, state(ALICE, 'm.room.power_levels', '', { users: { [ALICE]: 100, [ERIN]: 90 } }));
  await world.told();
  const ban = await arrive(world, room, await lastOf(world, room), member(ERIN, BOB, 'ban'));
  assert.deepEqual(await world.told(), { changed: [], left: [BOB] });
  world.hasKey = false;
  await world.graph.judgeAgain(ban.eventId);
  assert.deepEqual(await world.told(), { changed: [BOB], left: [] });
  world.hasKey = true;
  await world.graph.judgeAgain(ban.eventId);
  assert.deepEqual(await world.told(), { changed: [], left: [BOB] });
  await world.append(room, message(ALICE, 'on'));
  assert.equal(await world.told(), undefined);
});

withWorld('devices of who is in again by a fork are told of', async (world) => {
  const room = await world.makeRoom(ALICE, member(MODERATOR, MODERATOR, 'join'), member(BOB, BOB, 'join'));
  await arrive(world, room, await lastOf(world, room), member(ERIN, ERIN, 'join'));
  await world.append(room, state(ALICE, 'm.room.power_levels', '', { users: { [ALICE]: 100, [ERIN]: 90, [MODERATOR]: 50 } }));
  await world.append(room, state(BOB, 'm.room.member', BOB, { membership: 'join', displayname: 'Bob' }));
  const fork = await lastOf(world, room);
  await world.told();
  await world.append(room, member(MODERATOR, BOB, 'ban'));
  assert.deepEqual(await world.told(), { changed: [], left: [BOB] });
  await arrive(world, room, fork, state(ERIN, 'm.room.power_levels', '', { users: { [ALICE]: 100, [ERIN]: 90 } }));
  assert.deepEqual(await world.told(), { changed: [BOB], left: [] });
});

withWorld('who is out while somebody reads, and then in again, is told of', async (world) => {
  const room = await world.makeRoom(ALICE);
  const position = async (): Promise<number> => (await lastOf(world, room)).position ?? 0;
  const before = await position();
  await world.append(room, member(BOB, BOB, 'join'));
  const joined = await position();
  await world.append(room, member(BOB, BOB, 'leave'));
  // The reading goes up to where Bob is in, but finds him gone.
  assert.deepEqual(await world.between(room, before, joined), { changed: [], left: [] });
  await world.append(room, member(BOB, BOB, 'join'));
  assert.deepEqual(await world.between(room, joined, await position()), { changed: [BOB], left: [] });
  const inAgain = await position();
  await world.append(room, state(BOB, 'm.room.member', BOB, { membership: 'join', displayname: 'Bob' }));
  assert.deepEqual(await world.between(room, inAgain, await position()), { changed: [], left: [] }, 'a new name changes no devices');
});
