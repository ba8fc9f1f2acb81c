import assert from 'node:assert/strict';
import { withBothDatabases } from '#test/support/databases.ts';
import { createStrings } from '#src/platform/database/strings.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { MembershipRow } from '#src/rooms/graph/index.ts';
import { MAX_REMOTE_DEVICES, putRemoteDevice } from '#src/devices/index.ts';
import { createReceiveUpdates } from '#src/device-lists/remote-lists.ts';

const BOB = '@bob:two.example';

withBothDatabases('a list is stale from a missed change on, until it is asked for', async (_t, open) => {
  const database = await open();
  const strings = createStrings(database);
  const userNum = (await strings.intern([BOB])).get(BOB) as number;
  const rooms = new Map<number, MembershipRow>();
  const receive = createReceiveUpdates({
    database,
    strings,
    memberships: { ofUser: async () => rooms },
    forgetKeys: () => undefined,
  });
  const stored = async (): Promise<unknown> =>
    database.read('test', (reader) => reader.one(sql`SELECT last_id, is_stale FROM remote_device_lists WHERE user_num = ${userNum}`));
  const change = (id: string, ...previous: readonly string[]) => ({ userId: BOB, change: { id, previous } });
  await receive([change('1')]);
  assert.equal(await stored(), undefined, 'of who is in no room nothing is kept');
  rooms.set(1, { membership: 'join' } as MembershipRow);
  await receive([change('1')]);
  assert.deepEqual({ ...((await stored()) as object) }, { last_id: '1', is_stale: 1 }, 'nothing is known of what was before');
  const asIfAskedFor = async (): Promise<void> => {
    await database.write('test', async (tx) => {
      await tx.run(sql`UPDATE remote_device_lists SET is_stale = 0 WHERE user_num = ${userNum}`);
    });
  };
  await asIfAskedFor();
  await receive([change('2', '1'), change('3', '2')]);
  assert.deepEqual({ ...((await stored()) as object) }, { last_id: '3', is_stale: 0 });
  await receive([change('5', '4'), change('6', '5')]);
  assert.deepEqual({ ...((await stored()) as object) }, { last_id: '6', is_stale: 1 });
  await asIfAskedFor();
  await receive([{ userId: BOB, change: undefined }]);
  assert.deepEqual({ ...((await stored()) as object) }, { last_id: '6', is_stale: 1 });
});

withBothDatabases('of more devices than anybody has none are added', async (_t, open) => {
  const database = await open();
  const strings = createStrings(database);
  const userNum = (await strings.intern([BOB])).get(BOB) as number;
  const receive = createReceiveUpdates({
    database,
    strings,
    memberships: { ofUser: async () => new Map([[1, { membership: 'join' } as MembershipRow]]) },
    forgetKeys: () => undefined,
  });
  await database.write('test', async (tx) => {
    for (let index = 2; index <= MAX_REMOTE_DEVICES; index += 1) await putRemoteDevice(tx, userNum, `D${String(index)}`, '{}');
    await tx.run(sql`INSERT INTO remote_device_lists (user_num, last_id, is_stale) VALUES (${userNum}, '0', 0)`);
  });
  const stored = async (): Promise<unknown> => {
    const row = await database.read('test', (reader) =>
      reader.one<{ is_stale: number; count: number }>(sql`
        SELECT is_stale, (SELECT COUNT(*) FROM remote_device_keys WHERE user_num = ${userNum}) AS count
        FROM remote_device_lists WHERE user_num = ${userNum}`),
    );
    return { ...row };
  };
  const update = (id: number, json: string | undefined) => ({
    userId: BOB,
    change: { id: String(id), previous: [String(id - 1)] },
    device: { deviceId: `N${String(id)}`, json, isGone: json === undefined },
  });
  const told = async (): Promise<unknown> =>
    (
      await database.read('test', (reader) =>
        reader.one<{ position: number }>(sql`SELECT position FROM device_lists WHERE user_num = ${userNum}`),
      )
    )?.position;
  await receive([update(1, '{}'), update(2, undefined)]);
  assert.deepEqual(await stored(), { is_stale: 0, count: MAX_REMOTE_DEVICES });
  const before = await told();
  await receive([{ userId: BOB, change: { id: '2b', previous: ['2'] }, device: { deviceId: 'NEW', json: undefined, isGone: false } }]);
  assert.equal(await told(), before, 'nobody is told of a device without keys');
  await receive([{ userId: BOB, change: { id: '2', previous: ['2b'] }, device: { deviceId: 'NEW', json: undefined, isGone: true } }]);
  assert.notEqual(await told(), before);
  await receive([update(3, '{}'), update(4, '{}')]);
  assert.deepEqual(await stored(), { is_stale: 1, count: MAX_REMOTE_DEVICES });
});
