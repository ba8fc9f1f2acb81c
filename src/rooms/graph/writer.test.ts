import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HotRoom, HotRooms } from '#src/rooms/graph/hot-rooms.ts';
import { EMPTY } from '#src/rooms/graph/state-tree/nodes.ts';
import { newView } from '#src/rooms/graph/view.ts';
import { createRoomWriter, type WriterTools } from '#src/rooms/graph/writer.ts';

void test('a room that made place for others while it came warm is not written by two queues', async () => {
  const room = { num: 1, roomId: '!room:one.example', version: '11' };
  const hotRoom = (): HotRoom => ({
    room,
    isNew: false,
    head: { extremities: [], view: newView(EMPTY) },
    isInDoubt: false,
    queue: [],
    busy: false,
  });
  const [evicted, held] = [hotRoom(), hotRoom()];
  const answers = [evicted, held];
  const hotRooms: Pick<HotRooms, 'warm' | 'holds'> = {
    warm: async () => Promise.resolve(answers.shift() as HotRoom),
    holds: (hot) => hot === held,
  };
  const states = { nodesOf: () => () => undefined };
  const writer = createRoomWriter({ hotRooms, states } as unknown as WriterTools);
  const wasBusy = await writer.write(room, async () => Promise.resolve([evicted.busy, held.busy]));
  assert.deepEqual(wasBusy, [false, true]);
});
