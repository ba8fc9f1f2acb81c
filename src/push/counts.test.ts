import assert from 'node:assert/strict';
import fc from 'fast-check';
import { sql } from '#src/platform/database/sql.ts';
import type { Reader } from '#src/platform/database/types.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import type { NewEvent, RoomDraft, RoomEvent, RoomInfo } from '#src/rooms/graph/index.ts';
import { startRecount } from '#src/push/recount.ts';
import type { RuleOwner } from '#src/push/rules.ts';
import { Oracle } from '#src/push/testing/oracle.ts';
import { makeRoom, member, openWorld, state, type World } from '#src/push/testing/world.ts';
import { withBothDatabases } from '#test/support/databases.ts';

const ALICE = '@alice:one.example';
const USERS = [ALICE, '@bob:one.example', '@c.d-e:one.example', '@dave:one.example', '@erin:one.example'] as const;
/** Of another server: counts as a member, and has no counts. */
const ZOE = '@zoe:two.example';
const EVERYBODY = [...USERS, ZOE];
const NAMES = ['Alice', 'bob', 'Старый друг', 'C++ *', '日本', 'Bob Two', 'nul\0 tea', undefined];
const BODIES = [
  'hello',
  'Hi ALICE, and bob',
  'bobby and boball',
  'c.d-e should look',
  '@room everybody',
  'learning c++ * now',
  'где старый друг',
  '日本語 日本',
  'tea time; bob two',
  'teapot',
  '',
];
const PATTERNS = ['tea', 'te*', '*pot', 'c++', 'b?b', '日本', '*', 'time for', 'СТАРЫЙ'];
const ROOMS = 2;

const notify = ['notify'];
const highlight = ['notify', { set_tweak: 'highlight' }];
const ACTIONS: readonly JsonObject[] = [{ actions: [] }, { actions: notify }, { actions: highlight }];

type Edit = readonly [kind: string, ruleId: string, body: JsonObject | undefined];

/** Rules that users make and drop; `room` is one of the two. */
const editOf = (which: number, roomId: string, actions: JsonObject, pattern: string): Edit => {
  const when = (...conditions: JsonObject[]): JsonObject => ({ ...actions, conditions });
  const match = (key: string, glob: string): JsonObject => ({ kind: 'event_match', key, pattern: glob });
  const edits: readonly Edit[] = [
    ['override', roomId, when(match('room_id', roomId))],
    ['override', roomId, undefined],
    ['room', roomId, actions],
    ['room', roomId, undefined],
    ['content', `keyword ${pattern}`.replaceAll('/', ''), { ...actions, pattern }],
    ['content', `keyword ${pattern}`, undefined],
    ['sender', USERS[1], actions],
    ['sender', USERS[1], undefined],
    ['override', 'topics', when(match('type', 'm.room.topic'))],
    ['override', 'body', when(match('content.body', pattern), match('sender', '*'))],
    ['override', 'members', when(match('type', 'm.room.member'))],
    ['underride', 'few', when({ kind: 'room_member_count', is: '<4' })],
    ['override', 'my name', when({ kind: 'contains_display_name' })],
    ['override', 'unknown', when({ kind: 'no such kind' })],
    ['underride', 'many', when({ kind: 'room_member_count', is: '>=5' }, match('type', 'm.room.message'))],
  ];
  return edits[which % edits.length] as Edit;
};

const PREDEFINED = [
  ['override', '.m.rule.master'],
  ['override', '.m.rule.suppress_notices'],
  ['override', '.m.rule.member_event'],
  ['override', '.m.rule.is_user_mention'],
  ['override', '.m.rule.contains_display_name'],
  ['override', '.m.rule.roomnotif'],
  ['content', '.m.rule.contains_user_name'],
  ['underride', '.m.rule.message'],
  ['underride', '.m.rule.room_one_to_one'],
] as const;

const index = fc.nat(40);
const user = fc.nat(EVERYBODY.length - 1);
const local = fc.nat(USERS.length - 1);
const room = fc.nat(ROOMS - 1);

const actionOf = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('send' as const),
      room,
      // The one who may say @room speaks more often.
      user: fc.oneof(user, fc.constant(0)),
      body: fc.nat(BODIES.length - 1),
      notice: fc.nat(9),
      mentions: fc.option(fc.record({ users: fc.array(local, { maxLength: 3 }), room: fc.boolean() }), { freq: 2 }),
      relation: fc.option(fc.tuple(fc.constantFrom('m.thread', 'm.annotation', 'm.replace'), index), { freq: 2 }),
      alsoRedact: fc.nat(7),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('burst' as const),
      room,
      users: fc.array(user, { minLength: 2, maxLength: 4 }),
      body: fc.nat(BODIES.length - 1),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('topic' as const), room, user }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('levels' as const), room, user: local }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('name' as const), room, user: local, name: fc.nat(NAMES.length - 1) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('move' as const), room, user, says: fc.boolean() }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('rule' as const),
      room,
      user: local,
      which: fc.nat(100),
      actions: fc.nat(2),
      pattern: fc.nat(PATTERNS.length - 1),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('predefined' as const),
      user: local,
      which: fc.nat(PREDEFINED.length - 1),
      enabled: fc.option(fc.boolean()),
      actions: fc.nat(2),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('redact' as const), room, index }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('ignore' as const), user: local, whom: fc.array(user, { maxLength: 2 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('read' as const), room, user: local, index, threaded: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const), room, user: local }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
);
type Action = typeof actionOf extends fc.Arbitrary<infer T> ? T : never;

/** Two rooms with their oracles, and what people do in them. */
class Story {
  world: World;
  readonly #reopen: (world: World) => Promise<World>;
  readonly owners = new Map<string, RuleOwner>();
  readonly ignored = new Map<string, ReadonlySet<string>>();
  oracles: Oracle[] = [];
  readonly rooms: number[] = [];
  readonly #infos: RoomInfo[] = [];

  constructor(world: World, reopen: (world: World) => Promise<World>) {
    this.world = world;
    this.#reopen = reopen;
  }

  async begin(): Promise<void> {
    const nums = await this.world.strings.intern([...USERS]);
    for (const userId of USERS) this.owners.set(userId, { userId, userNum: nums.get(userId) as number });
    for (let count = 0; count < ROOMS; count++) {
      const made = await makeRoom(this.world, ALICE);
      const oracle = new Oracle(made.room, {
        localUsers: nums,
        rulesOf: async (userId) => this.world.push.rules.rulesOf(this.owners.get(userId) as RuleOwner),
        ignoredBy: (userId) => this.ignored.get(userId) ?? new Set(),
      });
      this.#infos.push(made.room);
      this.rooms.push(made.room.num);
      this.oracles.push(oracle);
      await this.#tell(count, made.events);
      await this.#write(count, async (draft) => [
        await draft.append(member(USERS[1], USERS[1], 'join', 'bob')),
        await draft.append(member(USERS[2], USERS[2], 'join')),
      ]);
    }
  }

  async #tell(at: number, events: readonly RoomEvent[]): Promise<void> {
    const durable = await this.world.graph.events.list(events.map((event) => event.num));
    for (const event of durable.toSorted((a, b) => (a.position as number) - (b.position as number))) await this.oracles[at]?.see(event);
  }

  async #write(at: number, command: (draft: RoomDraft) => Promise<RoomEvent[]>): Promise<void> {
    await this.#tell(at, await this.world.graph.write(this.#infos[at] as RoomInfo, command));
  }

  #event(at: number, which: number): RoomEvent {
    const entries = this.oracles[at]?.entries ?? [];
    return (entries[Math.max(0, entries.length - 1 - which)] as (typeof entries)[number]).event;
  }

  #joined(at: number, which: number): string | undefined {
    const userId = EVERYBODY[which] as string;
    return this.oracles[at]?.isJoined(userId) === true ? userId : undefined;
  }

  async act(action: Action): Promise<void> {
    switch (action.do) {
      case 'send':
        return this.#send(action);
      case 'burst': {
        const senders = action.users.flatMap((which) => this.#joined(action.room, which) ?? []);
        const body = BODIES[action.body] as string;
        const info = this.#infos[action.room] as RoomInfo;
        const sent = await Promise.all(
          senders.map(async (sender) =>
            this.world.graph.write(info, async (draft) =>
              draft.append({ sender, type: 'm.room.message', content: { msgtype: 'm.text', body } }),
            ),
          ),
        );
        return this.#tell(action.room, sent);
      }
      case 'topic': {
        if (this.oracles[action.room]?.isJoined(ALICE) !== true) return;
        return this.#write(action.room, async (draft) => [await draft.append(state(ALICE, 'm.room.topic', '', { topic: 'tea' }))]);
      }
      case 'levels': {
        if (this.oracles[action.room]?.isJoined(ALICE) !== true) return;
        const users = { [ALICE]: 100, [USERS[action.user] as string]: action.user === 0 ? 100 : 50 };
        return this.#write(action.room, async (draft) => [await draft.append(state(ALICE, 'm.room.power_levels', '', { users }))]);
      }
      case 'name': {
        const userId = this.#joined(action.room, action.user);
        if (userId === undefined) return;
        return this.#write(action.room, async (draft) => [await draft.append(member(userId, userId, 'join', NAMES[action.name]))]);
      }
      case 'move':
        return this.#move(action);
      case 'rule':
        return this.#changeRule(action);
      case 'predefined': {
        const [kind, ruleId] = PREDEFINED[action.which] as (typeof PREDEFINED)[number];
        const owner = this.owners.get(USERS[action.user] as string) as RuleOwner;
        if (action.enabled === null) await this.world.push.rules.change(owner, kind, ruleId, 'actions', ACTIONS[action.actions]);
        else await this.world.push.rules.change(owner, kind, ruleId, 'enabled', { enabled: action.enabled });
        return;
      }
      case 'redact': {
        if (this.oracles[action.room]?.isJoined(ALICE) !== true) return;
        const target = this.#event(action.room, action.index);
        if (target.stateKeyNum !== undefined && target.pdu.type !== 'm.room.topic') return;
        return this.#write(action.room, async (draft) => [
          await draft.append({ sender: ALICE, type: 'm.room.redaction', content: {}, redacts: target.eventId }),
        ]);
      }
      case 'ignore': {
        const userId = USERS[action.user] as string;
        const whom = new Set(action.whom.map((which) => EVERYBODY[which] as string));
        whom.delete(userId);
        const nums = await this.world.strings.intern([...whom]);
        const { userNum } = this.owners.get(userId) as RuleOwner;
        await this.world.database.write('ignore', async (tx) => this.world.push.setIgnored(tx, userNum, [...nums.values()]));
        this.ignored.set(userId, whom);
        return;
      }
      case 'read':
        this.#read(action);
        return;
      case 'fail':
        return this.#fail(action);
      case 'restart':
        this.world = await this.#reopen(this.world);
    }
  }

  async #send(action: Extract<Action, { do: 'send' }>): Promise<void> {
    const sender = this.#joined(action.room, action.user);
    if (sender === undefined) return;
    const related = action.relation === null ? undefined : this.#event(action.room, action.relation[1]);
    const content: JsonObject = {
      msgtype: action.notice === 0 ? 'm.notice' : 'm.text',
      body: BODIES[action.body] as string,
      ...(action.mentions === null
        ? {}
        : {
            'm.mentions': {
              user_ids: action.mentions.users.map((which) => USERS[which] as string),
              ...(action.mentions.room ? { room: true } : {}),
            },
          }),
      ...(related === undefined || action.relation === null
        ? {}
        : { 'm.relates_to': { rel_type: action.relation[0], event_id: related.eventId } }),
    };
    await this.#write(action.room, async (draft) => {
      const sent = await draft.append({ sender, type: 'm.room.message', content });
      if (action.alsoRedact > 0) return [sent];
      return [sent, await draft.append({ sender, type: 'm.room.redaction', content: {}, redacts: sent.eventId })];
    });
  }

  async #move({ room: at, user: which, says }: Extract<Action, { do: 'move' }>): Promise<void> {
    const userId = EVERYBODY[which] as string;
    const oracle = this.oracles[at] as Oracle;
    // The one who may do everything stays.
    if (userId === ALICE) return;
    const body: NewEvent = { sender: userId, type: 'm.room.message', content: { msgtype: 'm.text', body: 'hello alice' } };
    if (oracle.isJoined(userId))
      return this.#write(at, async (draft) => [await draft.append(member(says ? ALICE : userId, userId, 'leave'))]);
    return this.#write(at, async (draft) => [
      await draft.append(member(userId, userId, 'join', NAMES[which])),
      ...(says ? [await draft.append({ ...body, sender: ALICE }), await draft.append(body)] : []),
    ]);
  }

  /** A user comes or goes and says something, in a transaction that fails: nothing of it has happened. */
  async #fail({ room: at, user: which }: Extract<Action, { do: 'fail' }>): Promise<void> {
    const userId = USERS[which] as string;
    const isJoined = (this.oracles[at] as Oracle).isJoined(userId);
    if (userId === ALICE) return;
    const failing = this.world.graph.write(this.#infos[at] as RoomInfo, async (draft) => {
      await draft.append(member(userId, userId, isJoined ? 'leave' : 'join', 'tea'));
      await draft.append({ sender: ALICE, type: 'm.room.message', content: { msgtype: 'm.text', body: 'hello' } });
      draft.alongside(() => Promise.reject(new Error('The disk is full')));
    });
    await assert.rejects(failing, /disk is full/);
  }

  async #changeRule(action: Extract<Action, { do: 'rule' }>): Promise<void> {
    const { roomId } = this.#infos[action.room] as RoomInfo;
    const [kind, ruleId, body] = editOf(action.which, roomId, ACTIONS[action.actions] as JsonObject, PATTERNS[action.pattern] as string);
    const owner = this.owners.get(USERS[action.user] as string) as RuleOwner;
    if (body !== undefined) await this.world.push.rules.put(owner, kind, ruleId, body, undefined);
    else await this.world.push.rules.remove(owner, kind, ruleId).catch(() => undefined);
  }

  #read(action: Extract<Action, { do: 'read' }>): void {
    const entries = this.oracles[action.room]?.entries ?? [];
    const entry = entries[Math.max(0, entries.length - 1 - action.index)] as (typeof entries)[number];
    const { userNum } = this.owners.get(USERS[action.user] as string) as RuleOwner;
    const key = `${userNum}/${this.rooms[action.room] as number}`;
    const mark = this.world.marks.get(key) ?? { unthreaded: undefined, threads: new Map<string, number>() };
    if (action.threaded) mark.threads.set(entry.thread, Math.max(entry.position, mark.threads.get(entry.thread) ?? 0));
    else mark.unthreaded = Math.max(entry.position, mark.unthreaded ?? 0);
    this.world.marks.set(key, mark);
  }

  /** Counts the rooms' events again; answers how many counts were wrong, and puts them right if it is told to. */
  async recount(mend: boolean): Promise<number> {
    const { database, graph } = this.world;
    let wrong = 0;
    for (const [at, info] of this.#infos.entries()) {
      const find = async (_: Reader, eventId: string): Promise<RoomEvent | undefined> => {
        const event = await graph.events.byId(eventId);
        return event?.roomNum === info.num ? event : undefined;
      };
      const counting = await database.read('begin', (reader) => startRecount(reader, info, { serverName: 'one.example', find }));
      const entries = (this.oracles[at] as Oracle).entries.map(({ event }) => event.num);
      const events = await graph.events.list(entries);
      for (let from = 0; counting !== undefined && from < events.length; from += 7) {
        const faults = await database.read('count again', (reader) => counting.compare(reader, events.slice(from, from + 7)));
        wrong += faults.wrong;
        if (mend) await database.write('mend', faults.mend);
      }
    }
    return wrong;
  }

  /** Loses all counts of those who have only the predefined rules, and counts again: they are what they were. */
  async loseAndRecount(): Promise<void> {
    assert.equal(await this.recount(false), 0);
    const rows = await this.world.database.read('rules', (reader) =>
      reader.all<{ user_num: number }>(sql`SELECT user_num FROM push_rules`),
    );
    const changed = new Set(rows.map((row) => row.user_num));
    const usual = [...this.owners.values()].filter(({ userNum }) => !changed.has(userNum));
    const read = async () => {
      const found: unknown[] = [];
      for (const owner of usual) found.push([owner.userId, await this.world.unremembered.of(owner, this.rooms, true)]);
      return found;
    };
    const before = await read();
    await this.world.database.write('lose', async (tx) => {
      for (const roomNum of this.rooms) {
        await tx.run(sql`DELETE FROM push_counts WHERE room_num = ${roomNum} AND sender_num = 0`);
        await tx.run(sql`DELETE FROM push_corrections WHERE room_num = ${roomNum}`);
      }
    });
    await this.recount(true);
    assert.equal(await this.recount(false), 0);
    assert.deepEqual(await read(), before);
  }

  /** Holds all counts against the oracles': those that are carried on, and, as it costs more, sometimes those that the database gives. */
  async check(fromDatabase: boolean): Promise<void> {
    for (const [userId, { userNum }] of this.owners) {
      for (const counts of [this.world.push.unreadCounts, ...(fromDatabase ? [this.world.unremembered] : [])]) {
        const byThread = await counts.of({ userNum }, this.rooms, true);
        const together = await counts.of({ userNum }, this.rooms, false);
        for (const [at, roomNum] of this.rooms.entries()) {
          const expected = (this.oracles[at] as Oracle).counts(userId, this.world.marks.get(`${userNum}/${roomNum}`));
          const found = byThread.get(roomNum);
          const fast = {
            notifications: found?.notifications ?? 0,
            highlights: found?.highlights ?? 0,
            threads: Object.fromEntries(found?.threads ?? []),
          };
          const where = `${userId} in room ${at}, ${counts === this.world.unremembered ? 'from the database' : 'carried on'}`;
          assert.deepEqual(fast, expected, where);
          const sum = Object.values(expected.threads).reduce((total, each) => total + each.notifications, expected.notifications);
          assert.equal(together.get(roomNum)?.notifications ?? 0, sum, where);
        }
      }
    }
  }
}

withBothDatabases('counts are what a slow look at every user and every event finds', async (_t, open) => {
  const database = await open();
  await fc.assert(
    fc.asyncProperty(fc.array(actionOf, { minLength: 5, maxLength: 60, size: 'max' }), async (actions) => {
      await database.write('begin anew', async (tx) => {
        await tx.run(sql`DELETE FROM push_rules`);
        await tx.run(sql`DELETE FROM push_ignored`);
      });
      const story = new Story(await openWorld(database), async (world) => openWorld(world.database, world.marks));
      await story.begin();
      for (const [at, action] of actions.entries()) {
        await story.act(action);
        await story.check(at % 4 === 3 || at === actions.length - 1);
      }
      await story.loseAndRecount();
    }),
    // Making a counterexample small takes long: what is found by then is shown.
    { numRuns: Number(process.env['MYELIN_TEST_RUNS'] ?? 8), interruptAfterTimeLimit: 40_000 },
  );
});
