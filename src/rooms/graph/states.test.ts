import assert from 'node:assert/strict';
import type { Sql } from '#src/platform/database/sql.ts';
import type { Database } from '#src/platform/database/types.ts';
import { createStrings } from '#src/platform/database/strings.ts';
import { EMPTY } from '#src/rooms/graph/state-tree/nodes.ts';
import { put } from '#src/rooms/graph/state-tree/tree.ts';
import { createStates } from '#src/rooms/graph/states.ts';
import { putNodes } from '#src/rooms/graph/store.ts';
import { withBothDatabases } from '#test/support/databases.ts';

const ROOM = 7;
const KEYS = 3000;

withBothDatabases('a state larger than the cache is read whole, many nodes at once', async (_t, open) => {
  const database = await open();
  const strings = createStrings(database);
  const changes = Array.from({ length: KEYS }, (_, index) => ({
    key: { type: 1 + (index % 2), server: 0, stateKey: index + 1 },
    event: index + 1,
  }));
  const made = await put(() => [], EMPTY, changes);
  await database.write('nodes', async (tx) => putNodes(tx, ROOM, made.created));

  let [reads, nodes] = [0, 0];
  const counted: Pick<Database, 'read'> = {
    read: async (name, body) => {
      reads++;
      return database.read(name, async (reader) =>
        body({
          ...reader,
          all: async <Row extends object>(query: Sql) => {
            const rows = await reader.all<Row>(query);
            nodes += rows.length;
            return rows;
          },
        }),
      );
    },
  };
  // Room for the largest ten nodes at most.
  const small = createStates(counted, strings, 4000);
  for (let round = 1; round <= 2; round++) {
    const held = await small.entries(ROOM, made.root);
    assert.deepEqual(
      held.map(({ eventNum }) => eventNum).toSorted((a, b) => a - b),
      changes.map(({ event }) => event),
    );
    assert.ok(reads <= (round * made.created.length) / 20, `${String(reads)} reads of ${String(made.created.length)} nodes`);
    assert.ok(nodes >= round * (made.created.length - 10), 'more was kept than the cache may hold');
  }

  const ample = createStates(counted, strings);
  await ample.entries(ROOM, made.root);
  reads = 0;
  assert.equal((await ample.entries(ROOM, made.root)).length, KEYS);
  assert.equal(reads, 0);
  await assert.rejects(ample.entries(ROOM, 'ab'.repeat(16)), /is missing/u);
});
