import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { silent, withBothDatabases } from '#test/support/databases.ts';
import { member, message, openRoomsWorld, type RoomsWorld, state } from '#test/support/rooms-world.ts';
import { systemClock } from '#src/platform/clock.ts';
import { openDatabase } from '#src/platform/database/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { RoomInfo } from '#src/rooms/graph/index.ts';
import type { SyncSource, Wake } from '#src/sync/index.ts';

const ALICE = '@alice:one.example';
const BOB = '@bob:one.example';
const CAROL = '@carol:one.example';

interface Event {
  readonly event_id: string;
  readonly type: string;
  readonly sender: string;
  readonly state_key?: string;
  readonly content: Readonly<Record<string, unknown>>;
  readonly room_id?: string;
  readonly unsigned?: Readonly<Record<string, unknown>>;
}

interface RoomJson {
  readonly timeline: { readonly events: readonly Event[]; readonly limited: boolean; readonly prev_batch: string };
  readonly state?: { readonly events: readonly Event[] };
  readonly state_after?: { readonly events: readonly Event[] };
  readonly ephemeral?: { readonly events: readonly unknown[] };
  readonly account_data: { readonly events: readonly unknown[] };
  readonly unread_notifications?: unknown;
  readonly summary?: Readonly<Record<string, unknown>>;
}

interface SyncJson {
  readonly next_batch: string;
  readonly rooms?: {
    readonly join?: Readonly<Record<string, RoomJson>>;
    readonly leave?: Readonly<Record<string, RoomJson>>;
    readonly invite?: Readonly<Record<string, { readonly invite_state: { readonly events: readonly Event[] } }>>;
  };
}

const syncAs = async (world: RoomsWorld, userId: string, since?: string, params: Record<string, unknown> = {}): Promise<SyncJson> => {
  const query = new URLSearchParams();
  if (since !== undefined) query.set('since', since);
  for (const [key, value] of Object.entries(params)) query.set(key, typeof value === 'string' ? value : JSON.stringify(value));
  return world.get(userId, `/sync?${query.toString()}`);
};

const joined = (answer: SyncJson, room: RoomInfo): RoomJson => {
  const found = answer.rooms?.join?.[room.roomId];
  assert.ok(found, JSON.stringify(answer));
  return found;
};

const bodies = (room: RoomJson): unknown[] => room.timeline.events.map((event) => event.content['body'] ?? event.type);

const openMemory = async (t: TestContext): Promise<Database> => {
  const config = { name: 'sqlite3', args: { database: ':memory:' } } as const;
  const database = await openDatabase({ config, writer: 'master', clock: systemClock, logger: silent });
  t.after(() => database.close());
  return database;
};

const withWorld = (name: string, body: (world: RoomsWorld) => Promise<void>): void => {
  withBothDatabases(name, async (_t, open) => {
    const world = await openRoomsWorld(await open());
    await body(world);
    world.close();
  });
};

withWorld('who has nothing to hear is told nothing, and whom something concerns hears of it though nobody woke them', async (world) => {
  const room = await world.makeRoom(ALICE);
  const { next_batch: start } = await syncAs(world, BOB);
  const quiet = await syncAs(world, BOB, start);
  assert.equal(quiet.rooms, undefined);
  await world.append(room, message(ALICE, 'not for Bob'));
  const past = await syncAs(world, BOB, quiet.next_batch);
  assert.equal(past.rooms, undefined);
  assert.notEqual(past.next_batch, quiet.next_batch);
  // Bob is in no room with this: it is no room of his that moved, but he himself.
  await world.append(room, member(ALICE, BOB, 'ban'));
  const banned = await syncAs(world, BOB, past.next_batch);
  assert.deepEqual(Object.keys(banned.rooms?.leave ?? {}), [room.roomId]);
  const after = await syncAs(world, BOB, banned.next_batch);
  assert.equal(after.rooms, undefined);
  // An answer that was lost is given again.
  assert.deepEqual(Object.keys((await syncAs(world, BOB, past.next_batch)).rooms?.leave ?? {}), [room.roomId]);
});

withWorld('a first sync shows rooms, and the next what happened since', async (world) => {
  const room = await world.makeRoom(ALICE);
  const first = await syncAs(world, ALICE);
  const whole = joined(first, room);
  assert.equal(whole.timeline.limited, false);
  assert.deepEqual(bodies(whole), ['m.room.create', 'm.room.member', 'm.room.power_levels', 'm.room.join_rules']);
  assert.deepEqual(whole.state?.events, []);
  assert.deepEqual(whole.unread_notifications, { notification_count: 0, highlight_count: 0 });
  await world.append(room, message(ALICE, 'hello'));
  const next = joined(await syncAs(world, ALICE, first.next_batch), room);
  assert.deepEqual(bodies(next), ['hello']);
  assert.equal(next.timeline.limited, false);
  assert.deepEqual(next.state?.events, []);
  const [event] = next.timeline.events;
  assert.equal(event?.room_id, undefined);
  assert.equal(event?.unsigned?.['membership'], 'join');
  // The same token asks for the same.
  assert.deepEqual(bodies(joined(await syncAs(world, ALICE, first.next_batch), room)), ['hello']);
});

withWorld('nothing new is an empty answer, and events of other rooms do not show', async (world) => {
  await world.makeRoom(ALICE);
  const others = await world.makeRoom(BOB);
  const { next_batch: since } = await syncAs(world, ALICE);
  await world.append(others, message(BOB, 'secret'));
  assert.equal((await syncAs(world, ALICE, since)).rooms, undefined);
});

withWorld('a gap is limited, its state is what changed in it, and history goes on before it', async (world) => {
  const room = await world.makeRoom(ALICE);
  const { next_batch: since } = await syncAs(world, ALICE);
  await world.append(room, state(ALICE, 'm.room.name', '', { name: 'one' }));
  await world.append(room, state(ALICE, 'm.room.topic', '', { topic: 'two' }));
  for (let index = 0; index < 4; index++) await world.append(room, message(ALICE, `m${String(index)}`));
  await world.append(room, state(ALICE, 'm.room.name', '', { name: 'three' }));
  const filter = { room: { timeline: { limit: 2 } } };
  const gap = joined(await syncAs(world, ALICE, since, { filter }), room);
  assert.equal(gap.timeline.limited, true);
  assert.deepEqual(bodies(gap), ['m3', 'm.room.name']);
  const changed = gap.state?.events.map((event) => event.content['name'] ?? event.content['topic']);
  assert.deepEqual(changed?.toSorted(), ['one', 'two']);
  assert.deepEqual(gap.timeline.events[1]?.unsigned?.['prev_content'], { name: 'one' });
  const page = await world.get<{ chunk: Event[] }>(
    ALICE,
    `/rooms/${encodeURIComponent(room.roomId)}/messages?dir=b&limit=4&from=${gap.timeline.prev_batch}`,
  );
  assert.deepEqual(
    page.chunk.map((event) => event.content['body'] ?? event.type),
    ['m2', 'm1', 'm0', 'm.room.topic'],
  );
  const after = await syncAs(world, ALICE, since, { filter, use_state_after: true });
  const end = joined(after, room);
  assert.equal(end.state, undefined);
  assert.deepEqual(end.state_after?.events.map((event) => event.content['name'] ?? event.content['topic']).toSorted(), ['three', 'two']);
});

withWorld('an invite shows what room it is; a join shows the room; leaving shows the leaving', async (world) => {
  const room = await world.makeRoom(
    ALICE,
    state(ALICE, 'm.room.join_rules', '', { join_rule: 'invite' }),
    state(ALICE, 'm.room.name', '', { name: 'The room' }),
  );
  let { next_batch: since } = await syncAs(world, BOB);
  await world.append(room, message(ALICE, 'before'));
  await world.append(room, member(ALICE, BOB, 'invite'));
  const invited = await syncAs(world, BOB, since);
  const stripped = invited.rooms?.invite?.[room.roomId]?.invite_state.events ?? [];
  assert.deepEqual(stripped.map((event) => event.type).toSorted(), [
    'm.room.create',
    'm.room.join_rules',
    'm.room.member',
    'm.room.member',
    'm.room.name',
  ]);
  assert.equal(stripped.at(-1)?.content['membership'], 'invite');
  assert.equal(invited.rooms?.join, undefined);
  since = invited.next_batch;
  assert.equal((await syncAs(world, BOB, since)).rooms, undefined);

  await world.append(room, member(BOB, BOB, 'join'));
  const arrived = await syncAs(world, BOB, since);
  const room1 = joined(arrived, room);
  assert.equal(room1.timeline.limited, true);
  assert.ok(bodies(room1).includes('before'), 'a shared history is shown to who joins');
  const types = [...(room1.state?.events ?? []), ...room1.timeline.events].map((event) => event.type);
  assert.ok(types.includes('m.room.power_levels'));
  since = arrived.next_batch;

  await world.append(room, message(ALICE, 'said before the leaving'));
  await world.append(room, member(ALICE, BOB, 'leave'));
  await world.append(room, message(ALICE, 'said after'));
  const gone = await syncAs(world, BOB, since);
  assert.equal(gone.rooms?.join, undefined);
  assert.deepEqual(bodies(gone.rooms?.leave?.[room.roomId] as RoomJson), ['said before the leaving', 'm.room.member']);
  assert.equal((await syncAs(world, BOB, gone.next_batch)).rooms, undefined);
  const filter = { room: { include_leave: true } };
  const archived = await syncAs(world, BOB, undefined, { filter });
  assert.ok(!bodies(archived.rooms?.leave?.[room.roomId] as RoomJson).includes('said after'));
  assert.equal((await syncAs(world, BOB)).rooms, undefined);
});

withWorld('who refuses an invite sees the refusal and nothing of the room', async (world) => {
  const room = await world.makeRoom(ALICE);
  await world.append(room, member(ALICE, BOB, 'invite'));
  const { next_batch: since } = await syncAs(world, BOB);
  await world.append(room, message(ALICE, 'inside'));
  await world.append(room, member(BOB, BOB, 'leave'));
  const left = (await syncAs(world, BOB, since)).rooms?.leave?.[room.roomId] as RoomJson;
  assert.deepEqual(bodies(left), ['m.room.member']);
  assert.deepEqual(left.state?.events, []);
});

withWorld('members are loaded lazily, once, and again when the answer was lost', async (world) => {
  const room = await world.makeRoom(ALICE);
  await world.append(room, member(BOB, BOB, 'join'));
  await world.append(room, member(CAROL, CAROL, 'join'));
  await world.append(room, message(ALICE, 'one'));
  const filter = { room: { state: { lazy_load_members: true }, timeline: { limit: 1 } } };
  const membersOf = (json: RoomJson): (string | undefined)[] =>
    (json.state?.events ?? []).filter((event) => event.type === 'm.room.member').map((event) => event.state_key);
  const first = await syncAs(world, ALICE, undefined, { filter });
  const whole = joined(first, room);
  assert.deepEqual(membersOf(whole).toSorted(), [ALICE, BOB, CAROL], 'the heroes too');
  assert.deepEqual(whole.summary, { 'm.heroes': [BOB, CAROL], 'm.joined_member_count': 3, 'm.invited_member_count': 0 });
  await world.append(room, state(ALICE, 'm.room.name', '', { name: 'x' }));
  const named = await syncAs(world, ALICE, undefined, { filter });
  assert.deepEqual(membersOf(joined(named, room)), [ALICE], 'a room with a name needs no heroes');

  await world.append(room, message(BOB, 'two'));
  const second = await syncAs(world, ALICE, named.next_batch, { filter });
  const again = await syncAs(world, ALICE, named.next_batch, { filter });
  assert.deepEqual(membersOf(joined(again, room)), membersOf(joined(second, room)));
  await world.append(room, message(CAROL, 'three'));
  const third = await syncAs(world, ALICE, second.next_batch, { filter });
  assert.deepEqual(membersOf(joined(third, room)), [CAROL]);
  await world.append(room, message(CAROL, 'four'));
  assert.deepEqual(membersOf(joined(await syncAs(world, ALICE, third.next_batch, { filter }), room)), []);
});

withWorld('a client to which members are not shown hears how many there are, and after whom a room is called', async (world) => {
  const room = await world.makeRoom(ALICE);
  const filter = { room: { timeline: { types: ['m.room.message'] }, state: { lazy_load_members: true } } };
  const summaryOf = ({ summary }: RoomJson): unknown => [summary?.['m.heroes'], summary?.['m.joined_member_count']];
  const membersOf = (json: RoomJson): unknown[] =>
    (json.state?.events ?? []).filter((event) => event.type === 'm.room.member').map((event) => event.state_key);
  const first = await syncAs(world, ALICE, undefined, { filter });
  await world.append(room, member(BOB, BOB, 'join'));
  await world.append(room, message(ALICE, 'one'));
  const second = await syncAs(world, ALICE, first.next_batch, { filter });
  assert.deepEqual(summaryOf(joined(second, room)), [[BOB], 2]);
  assert.deepEqual(membersOf(joined(second, room)), [BOB], 'a client that loads lazily gets the heroes with the summary');
  await world.append(room, state(ALICE, 'm.room.name', '', { name: 'x' }));
  await world.append(room, member(CAROL, CAROL, 'join'));
  const third = await syncAs(world, ALICE, second.next_batch, { filter });
  assert.deepEqual(summaryOf(joined(third, room)), [undefined, 3]);
  await world.append(room, state(ALICE, 'm.room.name', '', {}));
  const fourth = await syncAs(world, ALICE, third.next_batch, { filter });
  assert.deepEqual(summaryOf(joined(fourth, room)), [[BOB, CAROL], 3], 'a room without a name is called after its members');
  assert.deepEqual(membersOf(joined(fourth, room)), [CAROL]);
  await world.append(room, message(BOB, 'two'));
  assert.equal(joined(await syncAs(world, ALICE, fourth.next_batch, { filter }), room).summary, undefined);
});

withWorld('a client that loads lazily and is told the state after hears of whom the timeline tells', async (world) => {
  const room = await world.makeRoom(ALICE, member(BOB, BOB, 'join'), state(ALICE, 'm.room.name', '', { name: 'x' }));
  const params = { filter: { room: { state: { lazy_load_members: true } } }, use_state_after: true };
  const { next_batch: since } = await syncAs(world, ALICE, undefined, params);
  const kick = await world.append(room, member(ALICE, BOB, 'leave'));
  const after = joined(await syncAs(world, ALICE, since, params), room).state_after?.events;
  assert.deepEqual(after?.find((event) => event.state_key === BOB)?.event_id, kick.eventId);
});

withWorld('filters say which rooms, types and fields are shown', async (world) => {
  const room = await world.makeRoom(ALICE);
  const other = await world.makeRoom(ALICE);
  const { next_batch: since } = await syncAs(world, ALICE);
  await world.append(room, message(ALICE, 'hello'));
  await world.append(room, { sender: ALICE, type: 'x.noise', content: { body: 'noise' } });
  await world.append(room, state(ALICE, 'm.room.name', '', { name: 'quiet' }));
  await world.append(other, message(ALICE, 'elsewhere'));
  const filter = { event_fields: ['type', 'content.body'], room: { rooms: [room.roomId], timeline: { types: ['m.room.message'] } } };
  const answer = await syncAs(world, ALICE, since, { filter });
  assert.deepEqual(Object.keys(answer.rooms?.join ?? {}), [room.roomId]);
  const json = joined(answer, room);
  assert.deepEqual(json.timeline.events, [{ type: 'm.room.message', content: { body: 'hello' } }]);
  assert.deepEqual(json.state?.events, [{ type: 'm.room.name' }], 'state that the timeline does not tell stands in the state');
  const federation = joined(await syncAs(world, ALICE, since, { filter: { event_format: 'federation' } }), room);
  assert.ok('hashes' in (federation.timeline.events[0] as object));
});

withWorld('a waiting sync ends with what it waited for', async (world) => {
  const room = await world.makeRoom(ALICE);
  await world.append(room, member(BOB, BOB, 'join'));
  const { next_batch: since } = await syncAs(world, BOB);
  let ended = false;
  const waiting = syncAs(world, BOB, since, { timeout: 20_000 }).finally(() => {
    ended = true;
  });
  await world.append(await world.makeRoom(ALICE), message(ALICE, 'not for Bob'));
  for (let turn = 0; turn < 50; turn++) await setImmediate();
  assert.equal(ended, false);
  await world.append(room, message(ALICE, 'wake up'));
  assert.deepEqual(bodies(joined(await waiting, room)), ['wake up']);
});

withWorld('a waiting sync hears of an invite, and gives up when its client goes', async (world) => {
  const room = await world.makeRoom(ALICE);
  const { next_batch: since } = await syncAs(world, BOB);
  const invited = syncAs(world, BOB, since, { timeout: 20_000 });
  await world.append(room, member(ALICE, BOB, 'invite'));
  const answer = await invited;
  assert.ok(answer.rooms?.invite?.[room.roomId]);
  const client = new AbortController();
  const given = world.get<SyncJson>(BOB, `/sync?since=${answer.next_batch}&timeout=20000`, client.signal);
  client.abort();
  assert.equal((await given).next_batch, answer.next_batch);
});

void test('a first sync reads as often for many rooms as for some, although nothing is in memory', async (t) => {
  const database = await openMemory(t);
  const making = await openRoomsWorld(database);
  const readsOfRooms = async (rooms: number): Promise<readonly string[]> => {
    const settings = [
      state(ALICE, 'm.room.history_visibility', '', { history_visibility: 'shared' }),
      state(ALICE, 'm.room.name', '', { name: 'x' }),
    ];
    for (let made = 0; made < rooms; made++) await making.makeRoom(ALICE, ...settings);
    const reads: string[] = [];
    const cold = await openRoomsWorld({
      ...database,
      read: async (name, body) => {
        reads.push(name);
        return database.read(name, body);
      },
    });
    reads.length = 0;
    const answer = await syncAs(cold, ALICE);
    assert.ok(Object.keys(answer.rooms?.join ?? {}).length >= rooms);
    cold.close();
    return reads;
  };
  const some = await readsOfRooms(10);
  assert.deepEqual(await readsOfRooms(20), some);
  making.close();
});

void test('a message to those who are warm costs no read of the database', async (t) => {
  const database = await openMemory(t);
  const reads: string[] = [];
  const counted: Database = {
    ...database,
    read: async (name, body) => {
      reads.push(name);
      return database.read(name, body);
    },
  };
  const world = await openRoomsWorld(counted);
  const room = await world.makeRoom(ALICE);
  await world.append(room, member(BOB, BOB, 'join'));
  const filter = { room: { state: { lazy_load_members: true } } };
  let { next_batch: since } = await syncAs(world, BOB, undefined, { filter });
  for (const expected of ['warming up', 'warm']) {
    await world.append(room, message(ALICE, expected));
    reads.length = 0;
    const answer = await syncAs(world, BOB, since, { filter });
    assert.deepEqual(bodies(joined(answer, room)), [expected]);
    since = answer.next_batch;
  }
  assert.deepEqual(reads, []);
  world.close();
});

withWorld('bad requests are refused by name', async (world) => {
  await assert.rejects(syncAs(world, ALICE, 'nonsense'), { errcode: 'M_UNKNOWN' });
  await assert.rejects(syncAs(world, ALICE, undefined, { filter: '99' }), { errcode: 'M_INVALID_PARAM' });
  await assert.rejects(syncAs(world, ALICE, undefined, { filter: '{' }), { errcode: 'M_NOT_JSON' });
  await assert.rejects(syncAs(world, ALICE, undefined, { from: 's1' }), { errcode: 'M_UNKNOWN' });
});

/** What a client makes of what it is told of one room. */
const createModel = () => {
  let isIn = false;
  let state = new Map<string, string>();
  let stateAfter = new Map<string, string>();
  let timeline: string[] = [];
  const put = (into: Map<string, string>, event: Event): void => {
    if (event.state_key !== undefined) into.set(`${event.type} ${event.state_key}`, event.event_id);
  };
  return {
    take: (before: SyncJson, after: SyncJson, room: RoomInfo): void => {
      const json = before.rooms?.join?.[room.roomId];
      if (before.rooms?.leave?.[room.roomId] !== undefined || before.rooms?.invite?.[room.roomId] !== undefined) isIn = false;
      if (json === undefined) return;
      if (!isIn) [state, stateAfter, timeline] = [new Map(), new Map(), []];
      isIn = true;
      if (json.timeline.limited) timeline = [];
      for (const event of [...(json.state?.events ?? []), ...json.timeline.events]) put(state, event);
      for (const event of joined(after, room).state_after?.events ?? []) put(stateAfter, event);
      timeline.push(...json.timeline.events.map((event) => event.event_id));
    },
    isIn: () => isIn,
    state: () => [...state].toSorted(),
    stateAfter: () => [...stateAfter].toSorted(),
    timeline: () => timeline,
  };
};

const OPERATIONS = ['message', 'name', 'invite', 'join', 'leave', 'kick', 'ban', 'unban', 'visibility', 'sync', 'sync', 'others'] as const;

const operate = async (world: RoomsWorld, room: RoomInfo, operation: (typeof OPERATIONS)[number], count: number): Promise<void> => {
  const settings = ['world_readable', 'shared', 'invited', 'joined'];
  const events = {
    message: message(count % 2 === 0 ? ALICE : BOB, String(count)),
    name: state(ALICE, 'm.room.name', '', { name: String(count) }),
    invite: member(ALICE, BOB, 'invite'),
    join: member(BOB, BOB, 'join'),
    leave: member(BOB, BOB, 'leave'),
    kick: member(ALICE, BOB, 'leave'),
    ban: member(ALICE, BOB, 'ban'),
    unban: member(ALICE, BOB, 'leave'),
    visibility: state(ALICE, 'm.room.history_visibility', '', { history_visibility: settings[count % 4] ?? '' }),
    others: member(CAROL, CAROL, count % 2 === 0 ? 'join' : 'leave'),
  };
  if (operation !== 'sync') await world.tryAppend(room, events[operation]);
};

void test('syncs in steps tell what one sync tells, whatever happens in between', async (t) => {
  const database = await openMemory(t);
  const world = await openRoomsWorld(database);
  const operations = fc.array(fc.constantFrom(...OPERATIONS), { minLength: 5, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(operations, fc.integer({ min: 1, max: 6 }), async (steps, limit) => {
      const room = await world.makeRoom(ALICE);
      const filter = { room: { timeline: { limit }, rooms: [room.roomId] } };
      const model = createModel();
      let since: string | undefined;
      for (const [count, step] of [...steps, 'sync' as const].entries()) {
        await operate(world, room, step, count);
        if (step !== 'sync') continue;
        const before = await syncAs(world, BOB, since, { filter });
        const after = await syncAs(world, BOB, since, { filter, use_state_after: true });
        model.take(before, after, room);
        since = before.next_batch;
      }
      const whole = { room: { timeline: { limit: 1000 }, rooms: [room.roomId] } };
      const fresh = createModel();
      const answer = await syncAs(world, BOB, undefined, { filter: whole });
      fresh.take(answer, await syncAs(world, BOB, undefined, { filter: whole, use_state_after: true }), room);
      assert.equal(model.isIn(), fresh.isIn());
      if (!fresh.isIn()) return;
      assert.deepEqual(model.state(), fresh.state());
      assert.deepEqual(model.stateAfter(), fresh.state());
      const { length } = model.timeline();
      assert.deepEqual(model.timeline(), length === 0 ? [] : fresh.timeline().slice(-length));
      const held = await world.graph.states.entries(room.num, await world.graph.currentRoot(room));
      assert.equal(fresh.state().length, held.length);
    }),
    { numRuns: 60, interruptAfterTimeLimit: 20_000 },
  );
  world.close();
});

void test('other streams speak when they move, and everything again when their epoch ends', async (t) => {
  const database = await openMemory(t);
  let epoch = 'one';
  let position = 3;
  let wake: Wake | undefined;
  const spans: unknown[] = [];
  const typing: SyncSource = {
    part: 'typing',
    now: () => ({ epoch, position }),
    follow: (given) => {
      wake = given;
    },
    ephemeral: async (_reader, roomNums, span) => {
      spans.push(span);
      return new Map(roomNums.map((num) => [num, [{ type: 'm.typing', content: { user_ids: [ALICE] } }]]));
    },
  };
  const world = await openRoomsWorld(database, () => ({ sources: [typing] }));
  const room = await world.makeRoom(ALICE);
  const first = await syncAs(world, ALICE);
  assert.equal(joined(first, room).ephemeral?.events.length, 1);
  assert.equal((await syncAs(world, ALICE, first.next_batch)).rooms, undefined);
  const waiting = syncAs(world, ALICE, first.next_batch, { timeout: 20_000 });
  for (let turn = 0; turn < 20; turn++) await setImmediate();
  position = 4;
  wake?.room(room.num);
  const second = await waiting;
  assert.equal(joined(second, room).ephemeral?.events.length, 1);
  epoch = 'two';
  position = 0;
  const third = await syncAs(world, ALICE, second.next_batch);
  assert.equal(joined(third, room).ephemeral?.events.length, 1);
  assert.deepEqual(spans, [
    { after: undefined, upTo: 3 },
    { after: 3, upTo: 4 },
    { after: undefined, upTo: 0 },
  ]);
  world.close();
});
