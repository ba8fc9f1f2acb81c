import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withBothDatabases } from '#test/support/databases.ts';
import { member, message, openRoomsWorld, type RoomsWorld, state } from '#test/support/rooms-world.ts';
import type { RoomInfo } from '#src/rooms/graph/index.ts';
import { maySee } from '#src/rooms/history/visibility.ts';

const ALICE = '@alice:one.example';
const BOB = '@bob:one.example';
const CAROL = '@carol:one.example';

interface Event {
  readonly event_id: string;
  readonly type: string;
  readonly state_key?: string;
  readonly content: Readonly<Record<string, unknown>>;
}

interface Page {
  readonly start: string;
  readonly end?: string;
  readonly chunk: readonly Event[];
  readonly state?: readonly Event[];
}

const told = (events: readonly Event[]): unknown[] => events.map((event) => event.content['body'] ?? event.type);
const inRoom = (room: RoomInfo, path: string): string => `/rooms/${encodeURIComponent(room.roomId)}${path}`;
const visibility = (setting: string) => state(ALICE, 'm.room.history_visibility', '', { history_visibility: setting });

const withWorld = (name: string, body: (world: RoomsWorld) => Promise<void>): void => {
  withBothDatabases(name, async (_t, open) => {
    const world = await openRoomsWorld(await open());
    await body(world);
    world.close();
  });
};

void test('the rule of history visibility', () => {
  const memberships = ['join', 'invite', 'knock', 'leave', 'ban', undefined];
  const seers = (setting: Parameters<typeof maySee>[0], joinedLater: boolean): unknown[] =>
    memberships.filter((membership) => maySee(setting, membership, joinedLater));
  assert.deepEqual(seers('world_readable', false), memberships);
  assert.deepEqual(seers('shared', false), ['join']);
  assert.deepEqual(seers('shared', true), memberships);
  assert.deepEqual(seers('invited', true), ['join', 'invite']);
  assert.deepEqual(seers('joined', true), ['join']);
});

withWorld('who sees what, as the setting and the membership change', async (world) => {
  const room = await world.makeRoom(ALICE);
  const steps = [
    message(ALICE, 'shared before the invite'),
    visibility('invited'),
    message(ALICE, 'invited before the invite'),
    member(ALICE, BOB, 'invite'),
    message(ALICE, 'invited after the invite'),
    visibility('joined'),
    message(ALICE, 'joined before the join'),
    member(BOB, BOB, 'join'),
    message(ALICE, 'joined after the join'),
    visibility('shared'),
    member(BOB, BOB, 'leave'),
    message(ALICE, 'shared after the leave'),
    visibility('world_readable'),
    message(ALICE, 'for the world'),
  ];
  for (const step of steps) await world.append(room, step);
  const seen = async (userId: string): Promise<unknown[]> => {
    const page = await world.get<Page>(userId, inRoom(room, '/messages?dir=f&limit=100'));
    return told(page.chunk).filter((text) => !(text as string).startsWith('m.'));
  };
  assert.deepEqual(await seen(BOB), ['shared before the invite', 'invited after the invite', 'joined after the join', 'for the world']);
  assert.deepEqual(await seen(CAROL), ['for the world'], 'who was never there peeks');
  assert.equal((await seen(ALICE)).length, 7);
});

withWorld('pages go backwards and forwards without loss, and end', async (world) => {
  const room = await world.makeRoom(ALICE);
  for (let index = 0; index < 7; index++) await world.append(room, message(ALICE, `m${String(index)}`));
  for (const direction of ['b', 'f']) {
    const all: unknown[] = [];
    let from = '';
    for (let pages = 0; pages < 10; pages++) {
      const page = await world.get<Page>(ALICE, inRoom(room, `/messages?dir=${direction}&limit=3${from}`));
      all.push(...told(page.chunk));
      if (page.end === undefined) break;
      from = `&from=${page.end}`;
    }
    const expected = ['m.room.create', 'm.room.member', 'm.room.power_levels', 'm.room.join_rules'];
    expected.push(...Array.from({ length: 7 }, (_, index) => `m${String(index)}`));
    assert.deepEqual(all, direction === 'f' ? expected : expected.toReversed());
  }
  const two = await world.get<Page>(ALICE, inRoom(room, '/messages?dir=b&limit=2'));
  const to = two.end as string;
  const until = await world.get<Page>(ALICE, inRoom(room, `/messages?dir=b&limit=50&to=${to}`));
  assert.deepEqual(told(until.chunk), ['m6', 'm5']);
  assert.equal(until.end, undefined);
  const filter = encodeURIComponent(JSON.stringify({ types: ['m.room.member'], lazy_load_members: true }));
  const members = await world.get<Page>(ALICE, inRoom(room, `/messages?dir=b&limit=1&filter=${filter}`));
  assert.deepEqual(told(members.chunk), ['m.room.member']);
  assert.deepEqual(
    members.state?.map((event) => event.state_key),
    [ALICE],
  );
});

withWorld('an event is found with what is around it', async (world) => {
  const room = await world.makeRoom(ALICE, visibility('joined'));
  const sent = [];
  for (let index = 0; index < 6; index++) sent.push(await world.append(room, message(ALICE, `m${String(index)}`)));
  const eventId = encodeURIComponent(sent[3]?.eventId ?? '');
  const found = await world.get<{
    event: Event;
    events_before: Event[];
    events_after: Event[];
    state: Event[];
    start: string;
    end: string;
  }>(ALICE, inRoom(room, `/context/${eventId}?limit=3`));
  assert.deepEqual(told([found.event]), ['m3']);
  assert.deepEqual(told(found.events_before), ['m2']);
  assert.deepEqual(told(found.events_after), ['m4', 'm5']);
  assert.equal(found.state.length, 5);
  const older = await world.get<Page>(ALICE, inRoom(room, `/messages?dir=b&limit=1&from=${found.start}`));
  assert.deepEqual(told(older.chunk), ['m1']);
  await world.append(room, member(BOB, BOB, 'join'));
  await assert.rejects(world.get(BOB, inRoom(room, `/context/${eventId}`)), { status: 403, errcode: 'M_FORBIDDEN' });
  await assert.rejects(world.get(BOB, inRoom(room, `/event/${eventId}`)), { status: 404, errcode: 'M_NOT_FOUND' });
  await assert.rejects(world.get(ALICE, inRoom(room, '/context/$nothing')), { status: 404 });
  assert.equal((await world.get<Event>(ALICE, inRoom(room, `/event/${eventId}`))).event_id, sent[3]?.eventId);
});

withWorld('state is what it is now, or was when the reader left', async (world) => {
  const room = await world.makeRoom(ALICE, state(ALICE, 'm.room.name', '', { name: 'then' }));
  await world.append(room, member(BOB, BOB, 'join'));
  await world.append(room, member(BOB, BOB, 'leave'));
  await world.append(room, state(ALICE, 'm.room.name', '', { name: 'now' }));
  await world.append(room, member(CAROL, CAROL, 'join'));
  const name = async (userId: string): Promise<unknown> => world.get(userId, inRoom(room, '/state/m.room.name'));
  assert.deepEqual(await name(ALICE), { name: 'now' });
  assert.deepEqual(await name(BOB), { name: 'then' });
  const whole = await world.get<Event>(ALICE, inRoom(room, '/state/m.room.name/?format=event'));
  assert.equal(whole.type, 'm.room.name');
  assert.equal((await world.get<Event[]>(BOB, inRoom(room, '/state'))).length, 6);
  await assert.rejects(world.get(ALICE, inRoom(room, '/state/m.room.topic')), { status: 404, errcode: 'M_NOT_FOUND' });
  await assert.rejects(world.get('@dora:one.example', inRoom(room, '/state')), { status: 403, errcode: 'M_FORBIDDEN' });
  await assert.rejects(world.get(ALICE, '/rooms/!nothing/state'), { status: 403, errcode: 'M_FORBIDDEN' });
  const members = async (userId: string, query: string): Promise<unknown[]> =>
    (await world.get<Page>(userId, inRoom(room, `/members${query}`))).chunk.map((event) => event.state_key).toSorted();
  assert.deepEqual(await members(ALICE, ''), [ALICE, BOB, CAROL]);
  assert.deepEqual(await members(ALICE, '?membership=join'), [ALICE, CAROL]);
  assert.deepEqual(await members(ALICE, '?not_membership=join'), [BOB]);
  assert.deepEqual(await members(BOB, ''), [ALICE, BOB]);
  const { joined } = await world.get<{ joined: object }>(ALICE, inRoom(room, '/joined_members'));
  assert.deepEqual(Object.keys(joined).toSorted(), [ALICE, CAROL]);
  await assert.rejects(world.get(BOB, inRoom(room, '/joined_members')), { status: 403 });
});

withWorld('members at a place in the past', async (world) => {
  const room = await world.makeRoom(ALICE);
  const { next_batch: at } = await world.get<{ next_batch: string }>(ALICE, '/sync');
  await world.append(room, member(BOB, BOB, 'join'));
  const { chunk } = await world.get<Page>(ALICE, inRoom(room, `/members?at=${at}`));
  assert.deepEqual(
    chunk.map((event) => event.state_key),
    [ALICE],
  );
});
