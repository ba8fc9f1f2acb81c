// State resolution: random histories that fork and join, with the verdict on each event and the state at each join as real Synapse has them.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { roomVersion } from '#src/protocol/room-versions.ts';
import { runs } from './differences.ts';
import { ALICE, anyVersion } from './events.ts';
import { compareHistories } from './histories.ts';
import { anyStep } from './steps.ts';
import { startSynapse, type Synapse, WITHOUT_SYNAPSE } from './synapse.ts';

describe('state resolution, compared with real Synapse', { skip: WITHOUT_SYNAPSE }, () => {
  let synapse: Synapse;
  before(() => (synapse = startSynapse()));
  after(async () => synapse[Symbol.asyncDispose]());

  it('comes to the same states', async () => {
    const joined = { accepted: 0, rejected: 0, resolved: 0, conflicts: 0 };
    await fc.assert(
      fc.asyncProperty(anyVersion, fc.array(anyStep, { minLength: 4, maxLength: 24 }), async (version, steps) => {
        const history = await compareHistories(synapse, version);
        for (const step of steps) await history.take(step);
        await history.resolveTips();
        for (const key of Object.keys(joined) as (keyof typeof joined)[]) joined[key] += history.counts[key];
      }),
      runs(250, 10_000),
    );
    // A test whose events are all refused, or whose states never differ, would compare nothing.
    assert.ok(joined.accepted > joined.rejected && joined.conflicts > joined.resolved / 4, JSON.stringify(joined));
  });

  it('disagrees on purpose: rejected events in conflicting states (room version 2: "are handled as usual by the algorithm")', async () => {
    const version = roomVersion('10');
    const history = await compareHistories(synapse, version);
    const topic = await history.put({ type: 'm.room.topic', stateKey: '', sender: ALICE, content: { topic: 'x' }, rejected: true });
    const { ours, theirs } = await history.resolve([history.start, [...history.start, topic]]);
    assert.deepEqual([ours.includes(topic), theirs.includes(topic)], [true, false]);
  });
});
