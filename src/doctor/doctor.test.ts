import assert from 'node:assert/strict';
import { systemClock } from '#src/platform/clock.ts';
import { openReadOnly } from '#src/platform/database/read-only.ts';
import { createStrings } from '#src/platform/database/strings.ts';
import { type Sql, sql } from '#src/platform/database/sql.ts';
import type { Database } from '#src/platform/database/types.ts';
import { systemRandom } from '#src/platform/random.ts';
import { signingKeyFromSeed } from '#src/protocol/signatures.ts';
import { createDoctor, type Finding } from '#src/doctor/index.ts';
import { EVENT_TABLES, ROOM_TABLES } from '#src/doctor/room-tables.ts';
import { createPush } from '#src/push/index.ts';
import { createRoomGraph, type RoomEvent, type RoomGraph, type RoomInfo } from '#src/rooms/graph/index.ts';
import { ALICE as ELSE, CARL, DANA, letIn, ME, openElsewhere, openGraph, OURS, state } from '#src/rooms/graph/testing/world.ts';
import { type Open, silent, withBothDatabases } from '#test/support/databases.ts';

const SERVER = 'one.example';
const ALICE = '@alice:one.example';
const BOB = '@bob:one.example';
const signingKey = signingKeyFromSeed('ed25519:a_test', Buffer.alloc(32, 1));

/** Lets unread counts be kept for what happens from now on. */
const countIn = async (database: Database, graph: RoomGraph, serverName: string): Promise<void> => {
  const nobody = { identify: () => Promise.reject(new Error('nobody is asked here')) };
  await createPush({
    database,
    strings: createStrings(database),
    graph,
    serverName,
    access: { user: nobody, guest: nobody, admin: nobody, optional: nobody },
    readMarks: { of: async () => new Map() },
    jobs: { every: () => undefined },
  });
};

/** A room with people, messages, a redaction and a ban; and its numbers. */
const fill = async (database: Database, version = '11'): Promise<{ num: number; roomId: string; last: number }> => {
  const strings = createStrings(database);
  const tools = { database, strings, clock: systemClock, random: systemRandom, serverName: SERVER, signingKey, soleWriter: true };
  const graph = await createRoomGraph(tools);
  await countIn(database, graph, SERVER);
  const create = { sender: ALICE, type: 'm.room.create', stateKey: '', content: version === '10' ? { creator: ALICE } : {} };
  const member = (sender: string, userId: string, membership: string) => ({
    sender,
    type: 'm.room.member',
    stateKey: userId,
    content: { membership },
  });
  const message = (body: string) => ({ sender: BOB, type: 'm.room.message', content: { body, msgtype: 'm.text' } });
  const { room } = await graph.createRoom(version, create, async (draft) => {
    await draft.append(member(ALICE, ALICE, 'join'));
    const users = version === '12' ? {} : { [ALICE]: 100 };
    await draft.append({ sender: ALICE, type: 'm.room.power_levels', stateKey: '', content: { users } });
    await draft.append({ sender: ALICE, type: 'm.room.join_rules', stateKey: '', content: { join_rule: 'public' } });
  });
  const last = await graph.write(room, async (draft) => {
    await draft.append(member(BOB, BOB, 'join'));
    const said = await draft.append(message('one'));
    const thread = { 'm.relates_to': { rel_type: 'm.thread', event_id: said.eventId } };
    await draft.append({ sender: ALICE, type: 'm.room.message', content: { body: 'two', msgtype: 'm.text', ...thread } });
    await draft.append({ sender: BOB, type: 'm.room.redaction', content: {}, redacts: said.eventId });
    await draft.append(member(ALICE, BOB, 'ban'));
    return draft.append({ sender: ALICE, type: 'm.room.message', content: { body: 'three', msgtype: 'm.text' } });
  });
  return { num: room.num, roomId: room.roomId, last: last.num };
};

/** Looks at everything, and puts right what can be; what is left. */
const mend = async (database: Database): Promise<{ left: Finding[]; repaired: Finding[] }> => {
  const [left, repaired]: [Finding[], Finding[]] = [[], []];
  const doctor = createDoctor({ database, own: { serverName: SERVER, keys: [signingKey] } });
  await doctor.all({
    report: (finding) => left.push(finding),
    repairIn: database,
    onRepaired: (finding) => repaired.push(finding),
    onProgress: () => undefined,
  });
  return { left, repaired };
};

const examine = async (open: Open): Promise<Finding[]> => {
  const database = await openReadOnly({ config: open.config, clock: systemClock, logger: silent });
  const findings: Finding[] = [];
  try {
    const doctor = createDoctor({ database, own: { serverName: SERVER, keys: [signingKey] } });
    await doctor.all({ report: (finding) => findings.push(finding), onProgress: () => undefined });
    return findings;
  } finally {
    await database.close();
  }
};

for (const version of ['10', '11', '12']) {
  withBothDatabases(`a healthy room of version ${version} gives no finding, also beside a running server`, async (_t, open) => {
    await fill(await open(), version);
    assert.deepEqual(await examine(open), []);
  });
}

withBothDatabases('a room that came from elsewhere and was judged again gives no finding', async (_t, open) => {
  const elsewhere = await openElsewhere();
  const database = await open();
  const graph = await openGraph(database, OURS);
  await countIn(database, graph, OURS);
  const started = await elsewhere.room('11');
  const { room: there, join } = started;
  const room = await letIn(graph, started);
  const add = async (...args: Parameters<typeof elsewhere.add> extends [RoomInfo, ...infer Rest] ? Rest : never) =>
    elsewhere.add(there, ...args);
  const levels = await add([join], state(ELSE, 'm.room.power_levels', '', { users: { [ELSE]: 100, [CARL]: 60 } }));
  const auth = await Promise.all(
    [
      ['m.room.create', ''],
      ['m.room.member', CARL],
    ].map(async ([type = '', key = '']) => {
      const num = await elsewhere.graph.states.get(there.num, join.stateRoot as string, type, key);
      return (await elsewhere.graph.events.byNum(num as number)) as RoomEvent;
    }),
  );
  const topic = await add([join], state(CARL, 'm.room.topic', '', { topic: 'new' }), { auth: [levels, ...auth] });
  const said = await add([topic], { sender: CARL, type: 'm.room.message', content: { body: 'x' } });
  const ban = await add([join], state(ELSE, 'm.room.member', DANA, { membership: 'ban' }));
  const late = await add([said], { sender: DANA, type: 'm.room.message', content: { body: 'late' } });
  await graph.receive(room, topic.json, { withoutAuthEvents: true });
  for (const event of [said, ban, late]) await graph.receive(room, event.json);
  await graph.receiveAuthEvents(room, [levels.json]);
  assert.deepEqual(await examine(open), []);
  await graph.receive(room, levels.json);
  await graph.write(room, async (draft) => draft.append({ sender: ME, type: 'm.room.message', content: { body: 'all together' } }));
  assert.deepEqual(await examine(open), []);
  await elsewhere.close();
});

withBothDatabases(
  'what users were told of rooms from outside gives no finding, before and after this server comes in',
  async (_t, open) => {
    const elsewhere = await openElsewhere();
    const database = await open();
    const graph = await openGraph(database, OURS);
    await countIn(database, graph, OURS);
    const started = await elsewhere.room('11');
    const [you, they] = [`@you:${OURS}`, `@they:${OURS}`];
    let last = started.join;
    const tell = async (sender: string, userId: string, membership: string): Promise<void> => {
      last = await elsewhere.add(started.room, [last], state(sender, 'm.room.member', userId, { membership }));
      await graph.receiveOutside({ roomId: started.room.roomId, version: '11' }, last.json, () => undefined);
    };
    await tell(ELSE, you, 'invite');
    await tell(ELSE, they, 'invite');
    await tell(ELSE, they, 'leave');
    assert.deepEqual(await examine(open), []);
    const room = await letIn(graph, started);
    await graph.write(room, async (draft) => draft.append({ sender: ME, type: 'm.room.message', content: { body: 'here' } }));
    assert.deepEqual(await examine(open), []);
    await elsewhere.close();
  },
);

const STRANGER = 'somebody in the room who is not';

/** What is done to the database, and the kinds of damage that are named for it. */
const DAMAGE: readonly (readonly [name: string, damage: (room: { num: number; last: number }) => Sql, checks: readonly string[]])[] = [
  [
    'changed content',
    ({ last }) => sql`UPDATE events SET json = REPLACE(json, 'three', 'threw') WHERE event_num = ${last}`,
    ['content-hash'],
  ],
  [
    'a changed sender',
    ({ last }) => sql`UPDATE events SET json = REPLACE(json, '@alice', '@carol') WHERE event_num = ${last}`,
    ['event-id'],
  ],
  ['text that is no JSON', ({ last }) => sql`UPDATE events SET json = 'rubbish' WHERE event_num = ${last}`, ['event-text']],
  ['text with spaces', ({ last }) => sql`UPDATE events SET json = REPLACE(json, '":', '": ') WHERE event_num = ${last}`, ['event-text']],
  [
    'no signature',
    ({ last }) => sql`UPDATE events SET json = REPLACE(json, 'ed25519:a_test', 'ed25518:a_test') WHERE event_num = ${last}`,
    ['signature'],
  ],
  ['a wrong column', ({ last }) => sql`UPDATE events SET depth = 1 WHERE event_num = ${last}`, ['event-columns']],
  ['an accepted event marked rejected', ({ last }) => sql`UPDATE events SET facts = 1 WHERE event_num = ${last}`, ['auth-decision']],
  [
    'wrong extremities',
    ({ num, last }) => sql`UPDATE room_heads SET forward_extremities = ${`[${last - 1}]`} WHERE room_num = ${num}`,
    ['extremities'],
  ],
  ['no head', ({ num }) => sql`DELETE FROM room_heads WHERE room_num = ${num}`, ['extremities', 'memberships']],
  [
    'a wrong membership',
    ({ num }) => sql`UPDATE memberships SET membership = 'join' WHERE room_num = ${num} AND membership = 'ban'`,
    ['memberships'],
  ],
  ['a lost membership', ({ num }) => sql`DELETE FROM memberships WHERE room_num = ${num} AND membership = 'ban'`, ['memberships']],
  [
    STRANGER,
    ({ num }) =>
      sql`INSERT INTO memberships (room_num, user_num, membership, event_num, is_local, forgotten) VALUES (${num}, 99999, 'join', 1, 1, 0)`,
    ['memberships'],
  ],
  ['a redaction that is forgotten', () => sql`UPDATE events SET redacted_by = NULL`, ['redactions']],
  ['a redaction that was none', ({ last }) => sql`UPDATE events SET redacted_by = ${last - 1} WHERE event_num = ${last}`, ['redactions']],
  ['another state as the current one', () => sql`UPDATE room_heads SET current_root = ''`, ['current-state', 'memberships']],
  ['no history of the state', () => sql`DELETE FROM room_state_history`, ['state-history']],
  [
    'a hole in the history of the state',
    () => sql`UPDATE room_state_history SET current_root = '' WHERE stream_position > 3`,
    ['state-history'],
  ],
  ['no changes of memberships', () => sql`DELETE FROM membership_changes`, ['membership-changes']],
  [
    'a wrong change of a membership',
    () => sql`UPDATE membership_changes SET membership = 'ban' WHERE membership = 'join'`,
    ['membership-changes'],
  ],
  [
    'a change of a membership that was none',
    ({ num, last }) =>
      sql`INSERT INTO membership_changes (user_num, stream_position, room_num, event_num, membership)
          SELECT user_num, stream_position + 1, ${num}, ${last}, 'leave' FROM membership_changes WHERE membership = 'ban'`,
    ['membership-changes'],
  ],
  ['a member for whom nothing is counted', () => sql`DELETE FROM push_members`, ['push-counts']],
  ['somebody for whom is counted in vain', () => sql`UPDATE push_members SET user_num = 99999`, ['push-counts']],
  ['a series that lost its place', () => sql`DELETE FROM push_series`, ['push-counts']],
  ['lost counts', () => sql`DELETE FROM push_counts WHERE thread_num = 0`, ['push-counts']],
  ['counts that are too high', ({ last }) => sql`UPDATE push_counts SET counts = '1:9:9' WHERE position < ${last}`, ['push-counts']],
  [
    'a count that is different for somebody without reason',
    ({ num, last }) =>
      sql`INSERT INTO push_corrections (room_num, who, position, thread_num, sender_num, notifications, highlights)
        SELECT room_num, user_num, (SELECT stream_position FROM events WHERE event_num = ${last}), 0, 1, 1, 1 FROM push_members WHERE room_num = ${num}`,
    ['push-counts'],
  ],
  ['lost corrections of counts', () => sql`DELETE FROM push_corrections`, ['push-counts']],
  ['lost auth edges', ({ last }) => sql`DELETE FROM event_auth WHERE event_num = ${last - 1}`, ['auth-edges']],
  [
    'a wrong index of auth chains',
    ({ last }) => sql`UPDATE auth_generations SET generation = 0 WHERE event_num = ${last - 1}`,
    ['auth-chains'],
  ],
  [
    'rows of no room',
    () => sql`INSERT INTO room_heads (room_num, forward_extremities, current_root) VALUES (99999, '[]', '')`,
    ['orphans'],
  ],
  ['a room to collect that is none', () => sql`INSERT INTO state_collections (room_num, due_ts) VALUES (99999, 1)`, ['orphans']],
  [
    'a change of a membership of no room',
    () =>
      sql`INSERT INTO membership_changes (user_num, stream_position, room_num, event_num, membership) VALUES (1, 99999, 99999, 1, 'join')`,
    ['orphans'],
  ],
  ['a place in auth chains of no event', () => sql`INSERT INTO auth_generations (event_num, generation) VALUES (99999, 1)`, ['orphans']],
  ['numbers that were not given', () => sql`UPDATE stream_positions SET position = 1 WHERE stream = 'events'`, ['numbering']],
];

for (const [name, damage, checks] of DAMAGE) {
  withBothDatabases(`doctor names ${name}, and nothing else`, async (_t, open) => {
    const database = await open();
    const room = await fill(database);
    await database.write('damage', async (tx) => tx.run(damage(room)));
    const findings = await examine(open);
    assert.deepEqual([...new Set(findings.map(({ check }) => check))], checks, JSON.stringify(findings));
    for (const { sentence } of findings) assert.match(sentence, /^[A-Z].*\.$/u);
  });
}

/** What follows from the events: for the comparison of a mended database with the one that it was. */
const derived = async (database: Database): Promise<unknown> => {
  const tables = [
    sql`SELECT * FROM events ORDER BY event_num`,
    sql`SELECT * FROM room_heads ORDER BY room_num`,
    sql`SELECT * FROM event_auth ORDER BY event_num, auth_num`,
    sql`SELECT * FROM auth_generations ORDER BY event_num`,
    sql`SELECT * FROM memberships ORDER BY room_num, user_num`,
    sql`SELECT * FROM room_state_history ORDER BY room_num, stream_position`,
    sql`SELECT * FROM membership_changes ORDER BY user_num, stream_position`,
    sql`SELECT * FROM state_collections ORDER BY room_num`,
    sql`SELECT room_num, user_num, joined, class_num, name FROM push_members ORDER BY room_num, user_num`,
    sql`SELECT * FROM push_counts ORDER BY room_num, sender_num, thread_num, position`,
    sql`SELECT * FROM push_corrections ORDER BY room_num, who, position`,
    sql`SELECT * FROM push_series ORDER BY room_num, sender_num, thread_num`,
    sql`SELECT stream, position FROM stream_positions WHERE stream IN ('events', 'event_numbers', 'room_numbers') ORDER BY stream`,
  ];
  return Promise.all(tables.map((query) => database.read('derived', (reader) => reader.all(query))));
};

/** Damage that only a backup helps against. */
const LOST = new Set([
  'changed content',
  'a changed sender',
  'text that is no JSON',
  'text with spaces',
  'no signature',
  'an accepted event marked rejected',
]);

for (const [name, damage] of DAMAGE) {
  if (LOST.has(name) || name === STRANGER) continue;
  withBothDatabases(`doctor mends ${name}, and all is as it was`, async (_t, open) => {
    const database = await open();
    const room = await fill(database);
    const before = await derived(database);
    await database.write('damage', async (tx) => tx.run(damage(room)));
    assert.notDeepEqual(await derived(database), before);
    const { left, repaired } = await mend(database);
    assert.deepEqual(left, []);
    assert.ok(repaired.length > 0);
    for (const { repair } of repaired) assert.match(repair?.sentence ?? '', /^[A-Z].*\.$/u);
    assert.deepEqual(await derived(database), before);
  });
}

for (const [name, damage, checks] of DAMAGE) {
  if (!LOST.has(name)) continue;
  withBothDatabases(`doctor leaves ${name} as it is`, async (_t, open) => {
    const database = await open();
    const room = await fill(database);
    await database.write('damage', async (tx) => tx.run(damage(room)));
    const damaged = await derived(database);
    const { left, repaired } = await mend(database);
    assert.deepEqual([[...new Set(left.map(({ check }) => check))], repaired], [checks, []]);
    assert.deepEqual(await derived(database), damaged);
  });
}

withBothDatabases('doctor lets somebody leave who is not in the room', async (_t, open) => {
  const database = await open();
  const room = await fill(database);
  const damage = DAMAGE.find(([name]) => name === STRANGER)?.[1];
  assert.ok(damage);
  await database.write('damage', async (tx) => tx.run(damage(room)));
  assert.deepEqual((await mend(database)).left, []);
  const row = await database.read('stranger', (reader) => reader.one(sql`SELECT membership FROM memberships WHERE user_num = 99999`));
  assert.deepEqual({ ...row }, { membership: 'leave' });
});

withBothDatabases('doctor mends much at once', async (_t, open) => {
  const database = await open();
  const room = await fill(database);
  const before = await derived(database);
  await database.write('damage', async (tx) => {
    for (const [name, damage] of DAMAGE) if (!LOST.has(name) && name !== STRANGER) await tx.run(damage(room));
  });
  const { left } = await mend(database);
  assert.deepEqual(left, []);
  assert.deepEqual(await derived(database), before);
});

/** A room with two ends whose states differ: whoever made the topic higher up has the word, and DANA is out by one of them. */
const fork = async (open: Open): Promise<{ database: Database; graph: RoomGraph; room: RoomInfo; close: () => Promise<void> }> => {
  const elsewhere = await openElsewhere();
  const database = await open();
  const graph = await openGraph(database, OURS);
  await countIn(database, graph, OURS);
  const started = await elsewhere.room('11');
  const room = await letIn(graph, started);
  const { room: there, join } = started;
  const left = await elsewhere.add(there, [join], state(ELSE, 'm.room.topic', '', { topic: 'left' }));
  const right = await elsewhere.add(there, [join], state(ELSE, 'm.room.member', DANA, { membership: 'ban' }));
  const further = await elsewhere.add(there, [right], state(CARL, 'x.kind', 'a', { text: 'right' }));
  for (const event of [left, right, further]) await graph.receive(room, event.json);
  assert.equal((await graph.head(room)).extremities.length, 2);
  return { database, graph, room, close: elsewhere.close };
};

const heads = (database: Database): Promise<object[]> =>
  database.read('heads', (reader) => reader.all(sql`SELECT * FROM room_heads`)).then((rows) => rows.map((row) => ({ ...row })));

withBothDatabases('doctor resolves the states of several ends anew', async (_t, open) => {
  const { database, room, close } = await fork(open);
  assert.deepEqual(await examine(open), []);
  const before = [await derived(database), await heads(database)];
  const damages: readonly (readonly [Sql, string])[] = [
    [
      sql`UPDATE room_heads SET current_root = (
            SELECT state_root FROM events WHERE room_num = ${room.num} AND stream_position IS NOT NULL ORDER BY stream_position DESC LIMIT 1)`,
      'current-state',
    ],
    [sql`DELETE FROM room_heads`, 'extremities'],
    [sql`UPDATE room_heads SET forward_extremities = '[]'`, 'extremities'],
  ];
  for (const [damage, check] of damages) {
    await database.write('damage', async (tx) => tx.run(damage));
    assert.equal((await examine(open))[0]?.check, check);
    assert.deepEqual((await mend(database)).left, []);
    assert.deepEqual([await derived(database), await heads(database)], before);
  }
  await close();
});

withBothDatabases('a room whose old state was collected gives no finding', async (_t, open) => {
  const { database, graph, room, close } = await fork(open);
  await graph.write(room, async (draft) => draft.append({ sender: ME, type: 'm.room.message', content: { body: 'all together' } }));
  await database.write('due', async (tx) => tx.run(sql`UPDATE state_collections SET due_ts = 1`));
  assert.ok((await graph.collectState(new AbortController().signal)) > 0);
  assert.deepEqual(await examine(open), []);
  await close();
});

withBothDatabases('every table with something of rooms or events is looked at for what was left behind', async (_t, open) => {
  const database = await open();
  const columnsOf = (column: string): Promise<{ name: string }[]> =>
    database.read('tables', (reader) =>
      reader.all(
        database.engine === 'sqlite'
          ? sql`SELECT m.name AS name FROM sqlite_schema m JOIN pragma_table_info(m.name) c ON c.name = ${column} WHERE m.type = 'table'`
          : sql`SELECT table_name AS name FROM information_schema.columns WHERE table_schema = current_schema() AND column_name = ${column}`,
      ),
    );
  const ofRooms = (await columnsOf('room_num')).map(({ name }) => name).filter((name) => name !== 'rooms');
  assert.deepEqual(Object.keys(ROOM_TABLES).toSorted(), ofRooms.toSorted());
  const ofEvents = (await columnsOf('event_num')).map(({ name }) => name).filter((name) => !ofRooms.includes(name));
  assert.deepEqual(
    ofEvents.filter((name) => EVENT_TABLES[name] === undefined),
    [],
  );
});
