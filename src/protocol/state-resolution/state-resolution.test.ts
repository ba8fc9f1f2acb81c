import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { JsonObject } from '#src/protocol/json.ts';
import { createKnownEvents } from '#src/protocol/state-resolution/events.ts';
import { isPowerEvent, withAuthChains } from '#src/protocol/state-resolution/power-ordering.ts';
import { authChain, authDifference, conflictedSubgraph } from '#src/protocol/state-resolution/index.ts';
import { ALICE, at, BOB, CAROL, createTestRoom, type State, type TestRoom } from '#src/protocol/state-resolution/test-room.ts';

const VERSIONS = ['2', '10', '12'] as const;
const TOPIC = 'm.room.topic';
const MEMBER = 'm.room.member';
const LEVELS = 'm.room.power_levels';

const levels = (id: string, bob: number, more: JsonObject = {}): JsonObject => ({
  users: id === '12' ? { [BOB]: bob } : { [ALICE]: 100, [BOB]: bob },
  ...more,
});

describe('the auth difference', () => {
  it('leaves out what all states have, as all servers do', async () => {
    const room = createTestRoom('10');
    const rules = room.add(room.start, 'rules2', BOB, 'm.room.join_rules', '', { join_rule: 'public' }, { at: 0 });
    const again = room.add(rules, 'again', BOB, MEMBER, BOB, { membership: 'join' }, { at: 0 });
    // Replayed, the rules would bring Bob's first join to the front, and his second would stand.
    assert.equal(at(await room.resolve(rules, again), MEMBER, BOB), '$bob');
  });
});

for (const id of VERSIONS) {
  describe(`state resolution of version ${id}`, () => {
    it('takes the later of two topics', async () => {
      const room = createTestRoom(id);
      const one = room.add(room.start, 'one', ALICE, TOPIC, '', { topic: 'one' });
      const two = room.add(room.start, 'two', BOB, TOPIC, '', { topic: 'two' });
      assert.equal(at(await room.resolve(one, two), TOPIC), '$two');
    });

    it('takes the greater id of two topics of the same time', async () => {
      const room = createTestRoom(id);
      const b = room.add(room.start, 'b', ALICE, TOPIC, '', {}, { at: 100 });
      const a = room.add(room.start, 'a', BOB, TOPIC, '', {}, { at: 100 });
      assert.equal(at(await room.resolve(b, a), TOPIC), '$b');
    });

    it('lets a ban win over what the banned user did meanwhile', async () => {
      const room = createTestRoom(id);
      const banned = room.add(room.start, 'ban', ALICE, MEMBER, BOB, { membership: 'ban' });
      const topic = room.add(room.start, 'topic', BOB, TOPIC, '', { topic: 'evasion' });
      const resolved = await room.resolve(banned, topic);
      assert.deepEqual([at(resolved, MEMBER, BOB), at(resolved, TOPIC)], ['$ban', undefined]);
    });

    it('keeps the topic from before when a banned user changed it', async () => {
      const room = createTestRoom(id);
      const old = room.add(room.start, 'old', ALICE, TOPIC, '', { topic: 'old' });
      const banned = room.add(old, 'ban', ALICE, MEMBER, BOB, { membership: 'ban' });
      const topic = room.add(old, 'new', BOB, TOPIC, '', { topic: 'evasion' });
      assert.equal(at(await room.resolve(banned, topic), TOPIC), '$old');
    });

    it('lets a closed door win over those who came in meanwhile', async () => {
      const room = createTestRoom(id);
      const closed = room.add(room.start, 'closed', ALICE, 'm.room.join_rules', '', { join_rule: 'invite' });
      const joined = room.add(room.start, 'carol', CAROL, MEMBER, CAROL, { membership: 'join' });
      const resolved = await room.resolve(closed, joined);
      assert.deepEqual([at(resolved, 'm.room.join_rules'), at(resolved, MEMBER, CAROL)], ['$closed', undefined]);
    });

    it('applies what the more powerful sender did first, even if it is later', async () => {
      const room = createTestRoom(id);
      const base = room.add(room.start, 'carol', CAROL, MEMBER, CAROL, { membership: 'join' });
      const kicked = room.add(base, 'kick', BOB, MEMBER, CAROL, { membership: 'leave' });
      const demoted = room.add(base, 'demoted', ALICE, LEVELS, '', levels(id, 0));
      const resolved = await room.resolve(kicked, demoted);
      assert.deepEqual([at(resolved, LEVELS), at(resolved, MEMBER, CAROL)], ['$demoted', '$carol']);
    });

    it('replays what authorised a conflicted event, the auth difference', async () => {
      const room = createTestRoom(id);
      const named = room.add(room.start, 'name', ALICE, 'm.room.name', '', {});
      const lifted = room.add(room.start, 'lifted', ALICE, LEVELS, '', levels(id, 60));
      const used = room.add(lifted, 'used', BOB, LEVELS, '', levels(id, 60, { kick: 60 }));
      assert.equal(at(await room.resolve(named, used), LEVELS), '$used');
    });

    it('does not let what it replays replace what is agreed', async () => {
      const room = createTestRoom(id);
      const opened = room.add(room.start, 'opened', ALICE, 'm.room.join_rules', '', { join_rule: 'public' });
      const joined = room.add(opened, 'carol', CAROL, MEMBER, CAROL, { membership: 'join' });
      const closed = room.add(joined, 'closed', ALICE, 'm.room.join_rules', '', { join_rule: 'invite' });
      const withoutCarol = new Map([...closed].filter(([, eventId]) => eventId !== '$carol'));
      assert.equal(at(await room.resolve(closed, withoutCarol), 'm.room.join_rules'), '$closed');
    });

    it('orders what stands on no levels before all others', async () => {
      const room = createTestRoom(id);
      const bare = new Map([...room.start].filter(([, eventId]) => eventId !== '$levels'));
      const early = room.add(bare, 'bare', ALICE, TOPIC, '', {}, { at: 1000 });
      const topic = room.add(room.start, 'topic', ALICE, TOPIC, '', {}, { at: 10 });
      const resolved = await room.resolve(early, topic);
      assert.deepEqual([at(resolved, TOPIC), at(resolved, LEVELS)], ['$topic', '$levels']);
    });

    it('orders by mainline: what stands on later levels comes later, whatever its time', async () => {
      const room = createTestRoom(id);
      const other = room.add(room.start, 'other', BOB, TOPIC, '', { topic: 'late, on the old levels' }, { at: 1000 });
      const raised = room.add(room.start, 'raised', ALICE, LEVELS, '', levels(id, 60));
      const topic = room.add(raised, 'topic', BOB, TOPIC, '', { topic: 'early, on the new levels' }, { at: 10 });
      assert.equal(at(await room.resolve(other, topic), TOPIC), '$topic');
    });

    it('keeps what only one side has', async () => {
      const room = createTestRoom(id);
      const joined = room.add(room.start, 'carol', CAROL, MEMBER, CAROL, { membership: 'join' });
      const named = room.add(room.start, 'name', ALICE, 'm.room.name', '', {});
      const resolved = await room.resolve(joined, named);
      assert.deepEqual([at(resolved, MEMBER, CAROL), at(resolved, 'm.room.name')], ['$carol', '$name']);
      assert.equal(resolved.size, room.start.size + 2);
    });

    for (const rejected of [false, true]) {
      it(`lets an auth event stand in that the state lacks${rejected ? ', but not a rejected one' : ''}`, async () => {
        const room = createTestRoom(id);
        const open = room.add(room.start, 'open', ALICE, LEVELS, '', levels(id, 50, { state_default: 0 }));
        const joined = room.add(open, 'carol', CAROL, MEMBER, CAROL, { membership: 'join' }, { rejected });
        const one = room.add(joined, 'one', CAROL, TOPIC, '', {});
        const two = room.add(joined, 'two', CAROL, TOPIC, '', {});
        const withoutCarol = (state: State): State => new Map([...state].filter(([, eventId]) => eventId !== '$carol'));
        assert.equal(at(await room.resolve(withoutCarol(one), withoutCarol(two)), TOPIC), rejected ? undefined : '$two');
      });
    }

    it('refuses to go on without an event that it needs', async () => {
      const room = createTestRoom(id);
      const lost = new Map([...room.start, [[...room.start.keys()].at(-1)!, '$lost']]);
      await assert.rejects(room.resolve(room.start, lost), /needs the event \$lost/);
    });
  });
}

describe('state resolution of version 2.1', () => {
  /** Both sides agree that Bob is banned, and disagree on the topic, where one is Bob's from before. */
  const history = (id: string): [TestRoom, State, State] => {
    const room = createTestRoom(id);
    const alices = room.add(room.start, 'alices', ALICE, TOPIC, '', {}, { at: 10 });
    const bobs = room.add(room.start, 'bobs', BOB, TOPIC, '', {}, { at: 20 });
    const banned = room.add(alices, 'ban', ALICE, MEMBER, BOB, { membership: 'ban' });
    return [room, banned, new Map([...banned, ...[...bobs].filter(([, eventId]) => eventId === '$bobs')])];
  };

  it('starts from nothing, where version 2 starts from what is agreed', async () => {
    const topics = await Promise.all(
      VERSIONS.map(async (id) => {
        const [room, one, two] = history(id);
        return at(await room.resolve(one, two), TOPIC);
      }),
    );
    assert.deepEqual(topics, ['$alices', '$alices', '$bobs']);
  });

  it('replays what lies between conflicted events, even if all states rest on it', async () => {
    const found = await Promise.all(
      VERSIONS.map(async (id) => {
        const room = createTestRoom(id);
        const lifted = room.add(room.start, 'lifted', ALICE, LEVELS, '', levels(id, 60));
        const named = room.add(lifted, 'name', ALICE, 'm.room.name', '', {});
        const used = room.add(named, 'used', BOB, LEVELS, '', levels(id, 60, { kick: 60 }));
        const reset = new Map([...named, ...[...room.start].filter(([, eventId]) => eventId === '$levels')]);
        return at(await room.resolve(used, reset), LEVELS);
      }),
    );
    assert.deepEqual(found, ['$levels', '$levels', '$used']);
  });

  it('takes all events on paths between conflicted ones', async () => {
    const room = createTestRoom('12');
    const left = room.add(room.start, 'left', BOB, MEMBER, BOB, { membership: 'leave' });
    const back = room.add(left, 'back', BOB, MEMBER, BOB, { membership: 'join' });
    const topic = room.add(back, 'topic', BOB, TOPIC, '', {});
    const subgraph = await conflictedSubgraph(['$bob', '$topic', '$rules'], room.loadEvents);
    assert.deepEqual([...subgraph].sort(), ['$back', '$bob', '$left', '$rules', '$topic']);
    assert.equal(at(topic, TOPIC), '$topic');
  });
});

describe('power events', () => {
  const room = createTestRoom('11');
  room.add(room.start, 'banned', BOB, MEMBER, CAROL, { membership: 'ban' });
  room.add(room.start, 'kicked', BOB, MEMBER, CAROL, { membership: 'leave' });
  room.add(room.start, 'gone', BOB, MEMBER, BOB, { membership: 'leave' });
  room.add(room.start, 'topic', BOB, TOPIC, '', {});

  it('are levels, join rules, and bans and kicks', () => {
    const power = [...room.events.values()].filter(isPowerEvent).map(({ eventId }) => eventId);
    assert.deepEqual(power, ['$levels', '$rules', '$banned', '$kicked']);
  });

  it('are no join rules under a state key', () => {
    const other = createTestRoom('10');
    other.add(other.start, 'others', ALICE, 'm.room.join_rules', 'x', { join_rule: 'invite' });
    assert.equal(isPowerEvent(other.events.get('$others')!), false);
  });

  it('bring along what authorises them within the set', async () => {
    const events = createKnownEvents(room.loadEvents);
    const conflicted = new Set(['$banned', '$bob', '$rules', '$topic', '$gone']);
    await events.load(conflicted);
    assert.deepEqual([...withAuthChains(conflicted, events)].sort(), ['$banned', '$bob', '$rules']);
    conflicted.delete('$rules');
    assert.deepEqual([...withAuthChains(conflicted, events)].sort(), ['$banned', '$bob']);
  });
});

describe('auth chains', () => {
  it('reach back to the start of the room', async () => {
    const { loadEvents } = createTestRoom('11');
    assert.deepEqual([...(await authChain(['$bob'], loadEvents))].sort(), ['$alice', '$create', '$levels', '$rules']);
    assert.deepEqual([...(await authChain(['$create'], loadEvents))], []);
  });

  it('differ by what not all state sets rest on', async () => {
    const { loadEvents } = createTestRoom('11');
    assert.deepEqual([...(await authDifference([['$rules'], ['$bob'], ['$bob']], loadEvents))], ['$rules']);
    assert.deepEqual([...(await authDifference([['$bob'], ['$bob']], loadEvents))], []);
  });
});

/** Something that somebody tries on one of the branches. */
interface Deed {
  readonly branch: number;
  readonly actor: string;
  readonly target: string;
  readonly kind: number;
  readonly level: number;
  readonly time: number;
}

const BRANCHES = 3;
const user = fc.constantFrom(ALICE, BOB, CAROL);
const deed: fc.Arbitrary<Deed> = fc.record({
  branch: fc.nat({ max: BRANCHES - 1 }),
  actor: user,
  target: user,
  kind: fc.nat({ max: 6 }),
  level: fc.constantFrom(0, 10, 50, 60),
  time: fc.nat({ max: 50 }),
});

const apply = (room: TestRoom, id: string, state: State, { actor, target, kind, level, time }: Deed, name: string): State => {
  const rules = ['public', 'invite'] as const;
  const deeds: [type: string, stateKey: string, content: JsonObject][] = [
    [TOPIC, '', { topic: name }],
    [MEMBER, actor, { membership: 'join' }],
    [MEMBER, actor, { membership: 'leave' }],
    [MEMBER, target, { membership: 'ban' }],
    [MEMBER, target, { membership: 'leave' }],
    [LEVELS, '', levels(id, level, { kick: level })],
    ['m.room.join_rules', '', { join_rule: rules[level % 4 === 0 ? 0 : 1] }],
  ];
  return room.add(state, name, actor, ...deeds[kind]!, { at: time });
};

/** A room with branches on which these deeds were tried. */
const fork = (id: string, deeds: readonly Deed[]): [TestRoom, State[]] => {
  const room = createTestRoom(id);
  const branches: State[] = Array.from({ length: BRANCHES }, () => room.start);
  for (const [index, each] of deeds.entries()) branches[each.branch] = apply(room, id, branches[each.branch]!, each, `e${index}`);
  return [room, branches];
};

const sorted = (state: State): [string, string][] => [...state].sort(([a], [b]) => (a < b ? -1 : 1));

describe('state resolution in general', () => {
  const deeds = fc.array(deed, { minLength: 2, maxLength: 25 });
  for (const id of ['1', ...VERSIONS]) {
    it(`v${id}: does not depend on the order of the states`, async () => {
      await fc.assert(
        fc.asyncProperty(deeds, async (all) => {
          const [room, [a, b, c]] = fork(id, all) as [TestRoom, [State, State, State]];
          const resolved = sorted(await room.resolve(a, b, c));
          assert.deepEqual(sorted(await room.resolve(c, a, b)), resolved);
          assert.deepEqual(sorted(await room.resolve(b, a, c, a)), resolved);
        }),
        { numRuns: 60 },
      );
    });

    it(`v${id}: leaves a state as it is that all have, and always the room itself`, async () => {
      await fc.assert(
        fc.asyncProperty(deeds, async (all) => {
          const [room, [a, b]] = fork(id, all) as [TestRoom, [State, State]];
          assert.deepEqual(sorted(await room.resolve(a, a)), sorted(a));
          const resolved = await room.resolve(a, b);
          assert.equal(at(resolved, 'm.room.create'), '$create');
          const known = new Set(room.events.keys());
          assert.ok([...resolved.values()].every((eventId) => known.has(eventId)));
        }),
        { numRuns: 60 },
      );
    });
  }
});
