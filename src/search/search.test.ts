import assert from 'node:assert/strict';
import type { Progress } from '#src/platform/database/background-updates.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Database } from '#src/platform/database/types.ts';
import { createIndexer } from '#src/search/indexer.ts';
import { rebuildSearchIndex } from '#src/search/rebuild.ts';
import { withBothDatabases } from '#test/support/databases.ts';
import { message, openRoomsWorld, SERVER, state } from '#test/support/rooms-world.ts';

const ALICE = `@alice:${SERVER}`;

const dump = async (database: Database): Promise<object[]> =>
  database.read('test', (reader) => reader.all(sql`SELECT * FROM search_words ORDER BY room_num, word, origin_server_ts, event_num`));
const wordsIn = async (database: Database): Promise<unknown[]> => [
  ...new Set((await dump(database)).map((row) => (row as { word: string }).word)),
];

withBothDatabases('the index can be made anew, and is then what following had made it', async (_t, open) => {
  const database = await open();
  const world = await openRoomsWorld(database);
  const indexer = createIndexer({ database, graph: world.graph });
  const room = await world.makeRoom(
    ALICE,
    state(ALICE, 'm.room.name', '', { name: 'Größe' }),
    state(ALICE, 'm.room.topic', '', { topic: 5 }),
  );
  const hello = await world.append(room, message(ALICE, 'hello hello world'));
  const gone = await world.append(room, message(ALICE, 'gone world'));
  const upTo = (): number => database.positions.current('events').min;
  await indexer.live(0, upTo());
  assert.deepEqual(await wordsIn(database), ['gone', 'grosse', 'hello', 'world']);
  const before = upTo();
  await world.append(room, { sender: ALICE, type: 'm.room.redaction', content: { redacts: gone.eventId } });
  await indexer.live(before, upTo());
  const followed = await dump(database);
  assert.deepEqual(await wordsIn(database), ['grosse', 'hello', 'world']);
  await indexer.live(0, upTo());
  assert.deepEqual(await dump(database), followed, 'it may be repeated');

  await database.write('test', async (tx) => {
    await tx.run(sql`DELETE FROM search_words WHERE word = 'hello'`);
    await tx.run(sql`UPDATE search_words SET word = word || 'x', weight = 1`);
  });
  let progress: Progress = {};
  for (let isDone = false; !isDone;) {
    const slice = await database.write('test', (tx) => rebuildSearchIndex(tx, progress, 2));
    progress = slice.progress;
    isDone = slice.done;
  }
  assert.deepEqual(await dump(database), followed);

  // An event that takes its place in the past.
  await database.write('test', async (tx) => {
    await tx.run(sql`DELETE FROM search_words`);
    const place = await tx.nextPositions('backfill');
    await tx.run(sql`UPDATE events SET stream_position = ${-place} WHERE event_num = ${hello.num}`);
  });
  await indexer.past(0, 1);
  assert.deepEqual(await wordsIn(database), ['hello', 'world']);
  world.close();
});
