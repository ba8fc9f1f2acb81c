import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Requester } from '#src/accounts/index.ts';
import { systemClock } from '#src/platform/clock.ts';
import { openDatabase } from '#src/platform/database/index.ts';
import { createStrings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import { testConfig } from '#src/platform/config/index.ts';
import { createRateLimiters } from '#src/platform/http/rate-limits.ts';
import { silentLogger } from '#src/platform/logging/index.ts';
import { systemRandom } from '#src/platform/random.ts';
import { signingKeyFromSeed } from '#src/protocol/signatures.ts';
import { createRoomGraph } from '#src/rooms/graph/index.ts';
import { createMessaging } from '#src/rooms/messaging/service.ts';

const ALICE = '@alice:example.org';

test('a message in a room in use reads nothing from the database', async (t) => {
  const config = { name: 'sqlite3', args: { database: ':memory:' } } as const;
  const opened = await openDatabase({ config, writer: 'master', clock: systemClock, logger: silentLogger });
  t.after(() => opened.close());
  const reads: string[] = [];
  const database: Database = {
    ...opened,
    read: (name, body) => {
      reads.push(name);
      return opened.read(name, body);
    },
  };
  const strings = createStrings(database);
  const signingKey = signingKeyFromSeed('ed25519:a_test', Buffer.alloc(32, 1));
  const tools = { database, strings, clock: systemClock, random: systemRandom, serverName: 'example.org', signingKey, soleWriter: true };
  const graph = await createRoomGraph(tools);
  const messaging = createMessaging({
    graph,
    database,
    strings,
    membership: {
      change: () => Promise.reject(new Error('not asked')),
      dismissGuests: () => Promise.reject(new Error('not asked')),
    },
    directory: { resolve: () => Promise.resolve(undefined) },
    config: { server_name: 'example.org' },
    limiters: createRateLimiters({ clock: systemClock, config: testConfig({ rc_message: { per_second: 1000, burst_count: 1000 } }) }),
  });
  const create = { sender: ALICE, type: 'm.room.create', stateKey: '', content: { room_version: '11' } };
  const { room } = await graph.createRoom('11', create, (draft) =>
    draft.append({ sender: ALICE, type: 'm.room.member', stateKey: ALICE, content: { membership: 'join' } }),
  );
  const userNum = (await strings.numOf(ALICE)) as number;
  const alice: Requester = { userId: ALICE, userNum, deviceId: 'D', sessionNum: 1, isGuest: false, isAdmin: false };
  const say = (txnId: string) => messaging.send(alice, room.roomId, 'm.room.message', txnId, { msgtype: 'm.text', body: 'hi' });

  const first = await say('1');
  reads.length = 0;
  const events = await Promise.all(['1', '2', '3', '3'].map(say));
  assert.deepEqual(reads, []);
  const ids = events.map((event) => event.eventId);
  assert.equal(ids[0], first.eventId);
  assert.equal(ids[2], ids[3]);
  assert.equal(new Set(ids).size, 3);
});
