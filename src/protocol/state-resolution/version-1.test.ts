import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ALICE, at, BOB, CAROL, createTestRoom, type State } from '#src/protocol/state-resolution/test-room.ts';

const [TOPIC, MEMBER, LEVELS] = ['m.room.topic', 'm.room.member', 'm.room.power_levels'] as const;

describe('state resolution of version 1', () => {
  it('takes what only some states have, whoever may have it now', async () => {
    const room = createTestRoom('1');
    const banned = room.add(room.start, 'ban', ALICE, MEMBER, BOB, { membership: 'ban' });
    const topic = room.add(room.start, 'topic', BOB, TOPIC, '', {});
    const resolved = await room.resolve(banned, topic);
    assert.deepEqual([at(resolved, MEMBER, BOB), at(resolved, TOPIC)], ['$ban', '$topic']);
  });

  it('takes the deepest of two topics that is allowed', async () => {
    const room = createTestRoom('1');
    const old = room.add(room.start, 'old', ALICE, TOPIC, '', {}, { depth: 5 });
    const deep = room.add(room.start, 'deep', BOB, TOPIC, '', {}, { depth: 9 });
    assert.equal(at(await room.resolve(old, deep), TOPIC), '$deep');
    const banned = room.add(old, 'ban', ALICE, MEMBER, BOB, { membership: 'ban' }, { depth: 20 });
    assert.equal(at(await room.resolve(banned, deep), TOPIC), '$old');
  });

  it('takes the lower hash of equal depth, and the lowest depth where none is allowed', async () => {
    const room = createTestRoom('1');
    const a = room.add(room.start, 'a', BOB, TOPIC, '', {}, { depth: 9 });
    const b = room.add(room.start, 'b', BOB, TOPIC, '', {}, { depth: 9 });
    // sha1('$a') begins with 7, sha1('$b') with 2.
    assert.equal(at(await room.resolve(a, b), TOPIC), '$b');
    const deeper = room.add(room.start, 'deeper', BOB, TOPIC, '', {}, { depth: 10 });
    const banned = room.add(room.start, 'ban', ALICE, MEMBER, BOB, { membership: 'ban' }, { depth: 20 });
    const without = (state: State): State => new Map([...state, ...banned]);
    assert.equal(at(await room.resolve(new Map([...without(a), ...a, ...banned]), without(deeper)), TOPIC), '$a');
  });

  it('stops a row of power levels at the first that is not allowed on top of the one before', async () => {
    const room = createTestRoom('1');
    const users = { [ALICE]: 100, [BOB]: 50 };
    const demoted = room.add(room.start, 'demoted', ALICE, LEVELS, '', { users: { [ALICE]: 100 } }, { depth: 6 });
    const bobs = room.add(room.start, 'bobs', BOB, LEVELS, '', { users, kick: 40 }, { depth: 7 });
    const alices = room.add(room.start, 'alices', ALICE, LEVELS, '', { users, ban: 60 }, { depth: 8 });
    assert.equal(at(await room.resolve(bobs, alices), LEVELS), '$alices');
    assert.equal(at(await room.resolve(demoted, bobs, alices), LEVELS), '$demoted');
  });

  it('resolves members on top of the join rules', async () => {
    const room = createTestRoom('1');
    const joined = room.add(room.start, 'in', CAROL, MEMBER, CAROL, { membership: 'join' }, { depth: 9 });
    const left = room.add(joined, 'out', CAROL, MEMBER, CAROL, { membership: 'leave' }, { depth: 10 });
    const back = room.add(left, 'back', CAROL, MEMBER, CAROL, { membership: 'join' }, { depth: 11 });
    const closed = room.add(left, 'closed', ALICE, 'm.room.join_rules', '', { join_rule: 'invite' }, { depth: 12 });
    const resolved = await room.resolve(back, closed);
    assert.deepEqual([at(resolved, 'm.room.join_rules'), at(resolved, MEMBER, CAROL)], ['$closed', '$out']);
  });
});
