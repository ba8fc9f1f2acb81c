import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHierarchy, type HierarchyTools } from '#src/spaces/hierarchy.ts';

const SPACE = '!space:here';
const ASK_MS = 10_000;
const WALKER = { userId: '@alice:here', userNum: 1 };
const WALK = { suggestedOnly: false, maxDepth: undefined, limit: 1, from: undefined, via: [] };

/** A space of this server whose five children are on servers that take ten seconds and tell nothing. */
const silentChildren = () => {
  let nowMs = 0;
  let tokens = 0;
  const asked: string[] = [];
  const children = [1, 2, 3, 4, 5].map((each) => ({
    type: 'm.space.child',
    state_key: `!child${String(each)}:there`,
    content: { via: ['there'] },
    sender: WALKER.userId,
    origin_server_ts: each,
  }));
  const tools = {
    graph: { room: async (roomId: string) => (roomId === SPACE ? { num: 1 } : undefined), memberships: { isHere: async () => true } },
    entries: { of: async () => ({ room_id: SPACE, room_type: 'm.space' }), childrenOf: async () => children },
    remote: {
      ask: async (roomId: string) => {
        asked.push(roomId);
        nowMs += ASK_MS;
      },
    },
    clock: { monotonic: () => nowMs },
    random: { string: () => String(++tokens) },
  };
  return { hierarchy: createHierarchy(tools as unknown as HierarchyTools), asked };
};

test('a later page asks silent servers no longer than its time allows, and the next goes on', async () => {
  const { hierarchy, asked } = silentChildren();
  let { rooms, next_batch: from } = await hierarchy.walk(WALKER, SPACE, WALK);
  assert.equal(rooms.length, 1);
  const counts: number[] = [];
  while (from !== undefined) {
    ({ rooms, next_batch: from } = await hierarchy.walk(WALKER, SPACE, { ...WALK, from }));
    assert.deepEqual(rooms, []);
    counts.push(asked.length);
  }
  assert.deepEqual(counts, [2, 4, 5]);
  assert.equal(new Set(asked).size, 5);
});
