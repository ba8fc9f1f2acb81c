import assert from 'node:assert/strict';
import { authTypesFor } from '#src/protocol/auth-rules/index.ts';
import { buildPdu, referencesTo } from '#src/protocol/events.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import { signingKeyFromSeed } from '#src/protocol/signatures.ts';
import type { NewEvent, RoomEvent, RoomInfo } from '#src/rooms/graph/index.ts';
import { withBothDatabases } from '#test/support/databases.ts';
import { member, message, openRoomsWorld, type RoomsWorld, state } from '#test/support/rooms-world.ts';

const ALICE = '@alice:one.example';
const BOB = '@bob:one.example';
const MODERATOR = '@moderator:one.example';
const ERIN = '@erin:two.example';
const ZED = '@zed:two.example';
const theirKey = signingKeyFromSeed('ed25519:a_2', Buffer.alloc(32, 2));

interface Event {
  readonly event_id: string;
  readonly type: string;
  readonly state_key?: string;
  readonly content: Readonly<Record<string, unknown>>;
}

interface RoomJson {
  readonly timeline: { readonly events: readonly Event[]; readonly limited: boolean };
  readonly state: { readonly events: readonly Event[] };
}

interface SyncJson {
  readonly next_batch: string;
  readonly rooms?: { readonly join?: Readonly<Record<string, RoomJson>>; readonly leave?: Readonly<Record<string, RoomJson>> };
}

/** An event that another server made upon `prev` and that arrives now. */
const arrive = async ({ graph }: RoomsWorld, room: RoomInfo, prev: RoomEvent, wanted: NewEvent): Promise<RoomEvent> => {
  const version = roomVersion(room.version);
  const keys = authTypesFor({ ...wanted, ...(wanted.stateKey !== undefined && { state_key: wanted.stateKey }) }, version);
  const held = await Promise.all(keys.map(([type, key]) => graph.states.get(room.num, prev.stateRoot as string, type, key)));
  const { json } = buildPdu({
    roomVersion: version,
    roomId: room.roomId,
    ...wanted,
    originServerTs: 1000,
    depth: prev.depth + 1,
    prevEvents: referencesTo([prev], version),
    authEvents: referencesTo(await graph.events.list(held.filter((num) => num !== undefined)), version),
    serverName: 'two.example',
    signingKey: theirKey,
  });
  const received = await graph.receive(room, json);
  assert.ok(received);
  assert.equal(received.facts, 0, received.fault ?? '');
  return received;
};

const lastOf = async ({ graph }: RoomsWorld, room: RoomInfo): Promise<RoomEvent> => (await graph.head(room)).extremities[0] as RoomEvent;

const syncAs = async (world: RoomsWorld, userId: string, since?: string, timeoutMs = 0): Promise<SyncJson> =>
  world.get(userId, `/sync?timeout=${String(timeoutMs)}${since === undefined ? '' : `&since=${since}`}`);

/**
 * A room in which Bob is, until the moderator bans him; `fork` is its end before that. Erin may take the moderator's right away, and Zed Erin's.
 */
const makeRoom = async (world: RoomsWorld): Promise<{ room: RoomInfo; fork: RoomEvent; inside: string }> => {
  const room = await world.makeRoom(ALICE, member(MODERATOR, MODERATOR, 'join'), member(BOB, BOB, 'join'));
  for (const userId of [ERIN, ZED]) await arrive(world, room, await lastOf(world, room), member(userId, userId, 'join'));
  await world.append(room, state(ALICE, 'm.room.power_levels', '', { users: { [ALICE]: 100, [ZED]: 100, [ERIN]: 90, [MODERATOR]: 50 } }));
  // By what is in force in the end Bob stays in; he came by another event.
  await world.append(room, state(BOB, 'm.room.member', BOB, { membership: 'join', displayname: 'Bob' }));
  const fork = await lastOf(world, room);
  const { next_batch: inside } = await syncAs(world, BOB);
  await world.append(room, member(MODERATOR, BOB, 'ban'));
  return { room, fork, inside };
};

const levels = async (world: RoomsWorld, room: RoomInfo, fork: RoomEvent, sender: string, users: Readonly<Record<string, number>>) =>
  arrive(world, room, fork, state(sender, 'm.room.power_levels', '', { users }));

const undoBan = async (world: RoomsWorld, room: RoomInfo, fork: RoomEvent): Promise<RoomEvent> =>
  levels(world, room, fork, ERIN, { [ALICE]: 100, [ZED]: 100, [ERIN]: 90 });

const withForks = (name: string, body: (world: RoomsWorld) => Promise<void>): void => {
  withBothDatabases(name, async (_t, open) => {
    const world = await openRoomsWorld(await open(), undefined, { serverKeys: { find: async () => theirKey } });
    await body(world);
    world.close();
  });
};

const keyOf = (event: Event): string => `${event.type} ${event.state_key ?? ''}`;

for (const isWaiting of [true, false]) {
  const who = isWaiting ? 'who waits' : 'who asks later';
  withForks(`${who} hears that a fork has undone a ban`, async (world) => {
    const { room, fork, inside } = await makeRoom(world);
    const banned = await syncAs(world, BOB, inside);
    assert.deepEqual(Object.keys(banned.rooms?.leave ?? {}), [room.roomId]);
    await world.append(room, message(ALICE, 'without Bob'));
    const waiting = isWaiting ? syncAs(world, BOB, banned.next_batch, 20_000) : undefined;
    await undoBan(world, room, fork);
    const answer = await (waiting ?? syncAs(world, BOB, banned.next_batch));
    const back = answer.rooms?.join?.[room.roomId];
    assert.ok(back, JSON.stringify(answer));
    assert.equal(back.timeline.limited, true);
    const known = new Map([...back.state.events, ...back.timeline.events].map((event) => [keyOf(event), event.event_id]));
    const held = await world.get<Event[]>(BOB, `/rooms/${encodeURIComponent(room.roomId)}/state`);
    for (const event of held) assert.equal(known.get(keyOf(event)), event.event_id, keyOf(event));
    await world.append(room, message(ALICE, 'with Bob again'));
    const { timeline } = (await syncAs(world, BOB, answer.next_batch, 20_000)).rooms?.join?.[room.roomId] ?? {};
    assert.deepEqual([timeline?.limited, timeline?.events.map((event) => event.content['body'])], [false, ['with Bob again']]);
  });

  withForks(`${who} hears that a fork has put a ban in force again`, async (world) => {
    const { room, fork } = await makeRoom(world);
    await undoBan(world, room, fork);
    const { next_batch: again, rooms } = await syncAs(world, BOB);
    assert.ok(rooms?.join?.[room.roomId]);
    const waiting = isWaiting ? syncAs(world, BOB, again, 20_000) : undefined;
    const told = await levels(world, room, fork, ZED, { [ALICE]: 100, [ZED]: 100, [MODERATOR]: 50 });
    await world.append(room, message(ALICE, 'not for Bob'));
    await world.append(room, state(ALICE, 'm.room.topic', '', { topic: 'nor this' }));
    const answer = await (waiting ?? syncAs(world, BOB, again));
    assert.deepEqual(Object.keys(answer.rooms?.join ?? {}), []);
    const left = answer.rooms?.leave?.[room.roomId];
    assert.ok(left, JSON.stringify(answer));
    const events = [...left.state.events, ...left.timeline.events];
    assert.ok(
      events.every((event) => event.content['body'] === undefined && event.content['topic'] === undefined),
      JSON.stringify(left),
    );
    assert.equal(events.findLast((event) => event.type === 'm.room.power_levels')?.event_id, told.eventId);
    assert.equal(events.findLast((event) => event.state_key === BOB)?.content['membership'], 'ban');
    assert.equal((await syncAs(world, BOB, answer.next_batch)).rooms, undefined);
    assert.equal((await syncAs(world, BOB)).rooms, undefined);
  });
}
