import assert from 'node:assert/strict';
import type { RoomEvent, RoomInfo } from '#src/rooms/graph/index.ts';
import { withBothDatabases } from '#test/support/databases.ts';
import { arrive, theirKey } from '#test/support/other-server.ts';
import { member, message, openRoomsWorld, type RoomsWorld, state } from '#test/support/rooms-world.ts';

const ALICE = '@alice:one.example';
const BOB = '@bob:one.example';
const MODERATOR = '@moderator:one.example';
const ERIN = '@erin:two.example';
const ZED = '@zed:two.example';

interface Event {
  readonly event_id: string;
  readonly type: string;
  readonly state_key?: string;
  readonly content: Readonly<Record<string, unknown>>;
}

interface RoomJson {
  readonly timeline: { readonly events: readonly Event[]; readonly limited: boolean };
  readonly state: { readonly events: readonly Event[] };
  readonly summary?: Readonly<Record<string, unknown>>;
}

interface SyncJson {
  readonly next_batch: string;
  readonly rooms?: { readonly join?: Readonly<Record<string, RoomJson>>; readonly leave?: Readonly<Record<string, RoomJson>> };
}

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

/** Servers whose keys are not at hand. */
const hidden = new Set<string>();

const withForks = (name: string, body: (world: RoomsWorld) => Promise<void>): void => {
  withBothDatabases(name, async (_t, open) => {
    hidden.clear();
    const find = async (server: string) => (hidden.has(server) ? undefined : theirKey);
    const world = await openRoomsWorld(await open(), undefined, { serverKeys: { find } });
    await body(world);
    world.close();
  });
};

const keyOf = (event: Event): string => `${event.type} ${event.state_key ?? ''}`;

/** Erin bans Bob, in line with all that there is; the ban can be judged again without her key, and again with it. */
const makeBan = async (world: RoomsWorld) => {
  const room = await world.makeRoom(ALICE, member(BOB, BOB, 'join'));
  await arrive(world, room, await lastOf(world, room), member(ERIN, ERIN, 'join'));
  await world.append(room, state(ALICE, 'm.room.power_levels', '', { users: { [ALICE]: 100, [ERIN]: 90 } }));
  const { next_batch: before } = await syncAs(world, BOB);
  const ban = await arrive(world, room, await lastOf(world, room), member(ERIN, BOB, 'ban'));
  const judge = async (withKey: boolean): Promise<void> => {
    if (withKey) hidden.clear();
    else hidden.add('two.example');
    await world.graph.judgeAgain(ban.eventId);
  };
  return { room, before, judge };
};

const membershipIn = (json: RoomJson | undefined, userId: string): unknown =>
  [...(json?.state.events ?? []), ...(json?.timeline.events ?? [])].findLast((event) => event.state_key === userId)?.content['membership'];

for (const isWaiting of [true, false]) {
  const who = isWaiting ? 'who waits' : 'who asks later';
  const answers = async (world: RoomsWorld, userId: string, since: string, change: () => Promise<void>): Promise<SyncJson> => {
    const waiting = isWaiting ? syncAs(world, userId, since, 20_000) : undefined;
    await change();
    return waiting ?? syncAs(world, userId, since);
  };

  withForks(`${who} hears that a ban counts no longer, and counts again, without a new event`, async (world) => {
    const { room, judge } = await makeBan(world);
    const { next_batch: banned } = await syncAs(world, BOB);
    const back = await answers(world, BOB, banned, () => judge(false));
    assert.equal(membershipIn(back.rooms?.join?.[room.roomId], BOB), 'join', JSON.stringify(back));
    await world.append(room, message(ALICE, 'with Bob'));
    const { next_batch: inside, rooms } = await syncAs(world, BOB, back.next_batch);
    assert.equal(rooms?.join?.[room.roomId]?.timeline.events.at(-1)?.content['body'], 'with Bob');
    const out = await answers(world, BOB, inside, () => judge(true));
    assert.equal(membershipIn(out.rooms?.leave?.[room.roomId], BOB), 'ban', JSON.stringify(out));
    await world.append(room, message(ALICE, 'without Bob'));
    assert.equal((await syncAs(world, BOB, out.next_batch)).rooms, undefined);
  });

  withForks(`${who} hears what has become of others without a new event`, async (world) => {
    const { room, judge } = await makeBan(world);
    const { next_batch: since } = await syncAs(world, ALICE);
    const back = await answers(world, ALICE, since, () => judge(false));
    const shown = back.rooms?.join?.[room.roomId];
    assert.equal(membershipIn(shown, BOB), 'join', JSON.stringify(back));
    assert.deepEqual([shown?.timeline.events, shown?.timeline.limited], [[], false]);
    assert.equal(shown?.summary?.['m.joined_member_count'], 3);
    const out = await answers(world, ALICE, back.next_batch, () => judge(true));
    assert.equal(membershipIn(out.rooms?.join?.[room.roomId], BOB), 'ban', JSON.stringify(out));
    await world.append(room, message(ALICE, 'on'));
    const { timeline, state: told } = (await syncAs(world, ALICE, out.next_batch)).rooms?.join?.[room.roomId] ?? {};
    assert.deepEqual([timeline?.limited, timeline?.events.map((event) => event.content['body']), told?.events], [false, ['on'], []]);
  });
}

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
