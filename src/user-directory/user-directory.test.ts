import assert from 'node:assert/strict';
import type { Clock } from '#src/platform/clock.ts';
import { systemClock } from '#src/platform/clock.ts';
import type { Progress } from '#src/platform/database/background-updates.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Database } from '#src/platform/database/types.ts';
import { createStrings } from '#src/platform/database/strings.ts';
import { notFound, unknown } from '#src/protocol/errors.ts';
import { createRegenerate } from '#src/user-directory/rebuild.ts';
import { createRefreshRemote } from '#src/user-directory/remote-profiles.ts';
import { createRoomChanges } from '#src/user-directory/room-changes.ts';
import { putEntry, wantRefresh } from '#src/user-directory/store.ts';
import { silent, withBothDatabases } from '#test/support/databases.ts';
import { member, openRoomsWorld, SERVER, state } from '#test/support/rooms-world.ts';

const ALICE = `@alice:${SERVER}`;
const NOBODY = { displayName: undefined, avatarUrl: undefined };

const dump = async (database: Database) =>
  database.read('test', async (reader) => ({
    users: await reader.all(
      sql`SELECT user_id, display_name, avatar_url, is_local, words,
            CASE WHEN refresh_ts IS NULL THEN 0 ELSE 1 END AS wanted FROM user_directory ORDER BY user_id`,
    ),
    words: await reader.all(sql`
      SELECT w.word, d.user_id FROM user_directory_words w LEFT JOIN user_directory d ON d.user_num = w.user_num ORDER BY d.user_id, w.word`),
    rooms: await reader.all(sql`SELECT room_num, is_public FROM user_directory_rooms ORDER BY room_num`),
  }));

withBothDatabases('the directory can be made anew, and is then what following had made it', async (_t, open) => {
  const database = await open();
  const world = await openRoomsWorld(database);
  const { graph } = world;
  const strings = createStrings(database);
  const changes = createRoomChanges({ database, graph, clock: systemClock, serverName: SERVER });
  const joined = (user: string, displayname: string) => ({ ...member(user, user, 'join'), content: { membership: 'join', displayname } });
  const known = await world.makeRoom(ALICE, joined('@zoe:two.example', 'Zoë'), joined('@carl:two.example', 'Carl'));
  const closed = await world.makeRoom(ALICE, joined('@yves:two.example', 'Only Here'), joined('@carl:two.example', 'Karl'));
  await world.append(closed, state(ALICE, 'm.room.join_rules', '', { join_rule: 'invite' }));
  const left = await world.makeRoom(ALICE, joined('@gone:two.example', 'Gone'));
  const upTo = (): number => database.positions.current('events').min;
  await changes.handle(0, upTo());
  const before = upTo();
  await world.append(left, member(ALICE, ALICE, 'leave'));
  await world.append(known, member('@zoe:two.example', '@zoe:two.example', 'leave'));
  await changes.handle(before, upTo());
  await database.write('test', async (tx) => {
    const userNum = (await tx.one<{ num: number }>(sql`SELECT num FROM strings WHERE text = ${ALICE}`))?.num ?? 0;
    await tx.run(sql`
      INSERT INTO users (user_num, localpart, localpart_folded, created_ts, is_guest, is_admin, deactivated)
      VALUES (${userNum}, 'alice', 'alice', 1, 0, 0, 0)`);
    await tx.run(sql`INSERT INTO profiles (user_num, displayname, position) VALUES (${userNum}, 'Alice', 1)`);
    await putEntry(tx, { userNum, userId: ALICE, isLocal: true }, { displayName: 'Alice', avatarUrl: undefined });
  });
  const followed = await dump(database);
  assert.deepEqual(
    followed.users.map((row) => [(row as { user_id: string }).user_id, (row as { display_name: string }).display_name]),
    [
      [ALICE, 'Alice'],
      ['@carl:two.example', 'Carl'],
      ['@yves:two.example', null],
    ],
  );

  const numbers = await strings.intern(['@stale:two.example']);
  const stale = { userNum: numbers.get('@stale:two.example') ?? 0, userId: '@stale:two.example', isLocal: false };
  await database.write('test', async (tx) => {
    await tx.run(sql`DELETE FROM user_directory`);
    await tx.run(sql`DELETE FROM user_directory_words`);
    await tx.run(sql`UPDATE user_directory_rooms SET is_public = 1 - is_public`);
    await putEntry(tx, stale, { displayName: 'Stale', avatarUrl: undefined });
  });
  const regenerate = createRegenerate(systemClock);
  let progress: Progress = {};
  for (let isDone = false; !isDone;) {
    const slice = await database.write('test', (tx) => regenerate(tx, progress, 2));
    progress = slice.progress;
    isDone = slice.done;
  }
  const anew = await dump(database);
  // Carl's other name may be meant for the closed room, so his server is to be asked, which the new directory need not.
  const wanted = (rows: readonly object[]) => rows.map((row) => ({ ...row, wanted: undefined }));
  assert.deepEqual({ ...anew, users: wanted(anew.users) }, { ...followed, users: wanted(followed.users) });
  world.close();
});

withBothDatabases('a profile that may differ from a private name is asked of its server, with growing pauses', async (_t, open) => {
  const database = await open();
  const strings = createStrings(database);
  let nowMs = 1_000_000;
  const clock: Clock = { ...systemClock, now: () => nowMs };
  const asked: string[] = [];
  const answers = new Map<string, () => Promise<Record<string, unknown>>>();
  const ask = (userId: string): Promise<Record<string, unknown>> => {
    asked.push(userId);
    return answers.get(userId)?.() ?? Promise.reject(unknown('down'));
  };
  const refresh = createRefreshRemote({ database, clock, ask, log: silent });
  const round = async (): Promise<string[]> => {
    asked.length = 0;
    await refresh(new AbortController().signal);
    return asked.toSorted();
  };
  const ids = ['@a:two.example', '@b:two.example', '@c:two.example'];
  const numbers = await strings.intern(ids);
  await database.write('test', async (tx) => {
    for (const userId of ids) {
      const userNum = numbers.get(userId) ?? 0;
      await putEntry(tx, { userNum, userId, isLocal: false }, NOBODY);
      await wantRefresh(tx, userNum, nowMs + 60_000);
    }
  });
  assert.deepEqual(await round(), []);
  nowMs += 60_000;
  answers.set('@a:two.example', () => Promise.resolve({ displayname: 'Anna', avatar_url: 5 }));
  answers.set('@b:two.example', () => Promise.reject(notFound('nobody')));
  assert.deepEqual(await round(), ids);
  assert.deepEqual(
    (await dump(database)).users.map((row) => Object.values(row).slice(0, 2)),
    [
      ['@a:two.example', 'Anna'],
      ['@b:two.example', null],
      ['@c:two.example', null],
    ],
  );
  nowMs += 299_999;
  assert.deepEqual(await round(), []);
  nowMs += 1;
  assert.deepEqual(await round(), ['@c:two.example']);
  nowMs += 1_499_999;
  assert.deepEqual(await round(), []);
  nowMs += 1;
  answers.set('@c:two.example', () => Promise.resolve({}));
  assert.deepEqual(await round(), ['@c:two.example']);
  nowMs += 1_000_000_000;
  assert.deepEqual(await round(), []);
});
