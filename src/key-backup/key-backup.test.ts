import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createKeyBackup, type Contents, isBetter, type RoomsBackup, type SessionBackup } from '#src/key-backup/service.ts';
import { MatrixError } from '#src/protocol/errors.ts';
import { withBothDatabases } from '#test/support/databases.ts';

const USER = 1;
const key = (n: number, quality: Partial<SessionBackup> = {}): SessionBackup => ({
  first_message_index: 0,
  forwarded_count: 0,
  is_verified: false,
  session_data: { n },
  ...quality,
});

const qualities = fc.record({ first_message_index: fc.nat(3), forwarded_count: fc.nat(3), is_verified: fc.boolean() });

test('of two keys of one session one is better, or they are equally good', () => {
  fc.assert(
    fc.property(qualities, qualities, qualities, (a, b, c) => {
      assert.ok(!isBetter(a, a));
      assert.ok(!(isBetter(a, b) && isBetter(b, a)));
      if (isBetter(a, b) && isBetter(b, c)) assert.ok(isBetter(a, c));
    }),
  );
  // In the order of the specification: verified, from earlier on, forwarded less often.
  const ranked = [
    key(0, { is_verified: true, first_message_index: 9, forwarded_count: 9 }),
    key(0, { first_message_index: 1, forwarded_count: 9 }),
    key(0, { first_message_index: 2, forwarded_count: 0 }),
    key(0, { first_message_index: 2, forwarded_count: 1 }),
  ];
  for (const [index, better] of ranked.entries()) for (const worse of ranked.slice(index + 1)) assert.ok(isBetter(better, worse));
});

const step = fc.oneof(
  fc.record({
    do: fc.constant('upload' as const),
    room: fc.nat(2),
    keys: fc.dictionary(fc.constantFrom('a', 'b', '__proto__', 'd/é'), qualities),
  }),
  fc.record({ do: fc.constant('delete' as const), room: fc.option(fc.nat(2)), session: fc.option(fc.constantFrom('a', 'b', '__proto__')) }),
);

withBothDatabases('a backup holds the best of what was uploaded, and its etag moves with it', async (_t, open) => {
  const backup = createKeyBackup({ database: await open() });
  let users = USER;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      users += 1;
      const userNum = users;
      const version = await backup.createVersion(userNum, { algorithm: 'x', auth_data: {} });
      const model = new Map<string, SessionBackup>();
      let last: Contents = { etag: (await backup.version(userNum)).etag, count: 0 };
      for (const [n, each] of steps.entries()) {
        const before = JSON.stringify([...model]);
        let answer: Contents;
        if (each.do === 'upload') {
          const sessions = Object.fromEntries(Object.entries(each.keys).map(([id, quality]) => [id, key(n, quality)]));
          answer = await backup.upload(userNum, version, { rooms: { [`!${String(each.room)}`]: { sessions } } });
          for (const [id, uploaded] of Object.entries(sessions)) {
            const name = `!${String(each.room)} ${id}`;
            const present = model.get(name);
            if (present === undefined || isBetter(uploaded, present)) model.set(name, uploaded);
          }
        } else {
          const roomId = each.room === null ? undefined : `!${String(each.room)}`;
          const sessionId = roomId === undefined ? undefined : (each.session ?? undefined);
          answer = await backup.deleteKeys(userNum, version, {
            ...(roomId !== undefined && { roomId }),
            ...(sessionId !== undefined && { sessionId }),
          });
          for (const name of model.keys()) {
            if ((roomId === undefined || name.startsWith(`${roomId} `)) && (sessionId === undefined || name.endsWith(` ${sessionId}`)))
              model.delete(name);
          }
        }
        assert.equal(answer.count, model.size);
        assert.equal(answer.etag !== last.etag, JSON.stringify([...model]) !== before, 'the etag moves when the keys do');
        last = answer;
        const info = await backup.version(userNum, version);
        assert.deepEqual([info.etag, info.count], [answer.etag, answer.count]);
      }
      const { rooms } = await backup.keys(userNum, version, {});
      const stored = Object.entries(rooms).flatMap(([roomId, { sessions }]) =>
        Object.entries(sessions).map(([id, found]) => [`${roomId} ${id}`, found]),
      );
      assert.deepEqual(new Map(stored as [string, SessionBackup][]), model);
    }),
    { numRuns: 40 },
  );
});

withBothDatabases('thousands of keys go in and out at once', async (_t, open) => {
  const backup = createKeyBackup({ database: await open() });
  const version = await backup.createVersion(USER, { algorithm: 'x', auth_data: {} });
  const rooms: RoomsBackup['rooms'] = Object.fromEntries(
    Array.from({ length: 50 }, (_, room) => [
      `!${String(room)}`,
      { sessions: Object.fromEntries(Array.from({ length: 100 }, (__, n) => [`s${String(n)}`, key(n)])) },
    ]),
  );
  assert.deepEqual(await backup.upload(USER, version, { rooms }), { etag: '1', count: 5000 });
  assert.deepEqual(await backup.upload(USER, version, { rooms }), { etag: '1', count: 5000 }, 'nothing is better');
  assert.deepEqual(JSON.parse(JSON.stringify((await backup.keys(USER, version, {})).rooms)), JSON.parse(JSON.stringify(rooms)));
});

withBothDatabases('only the current version is written to, and numbers are not given twice', async (_t, open) => {
  const backup = createKeyBackup({ database: await open() });
  const info = { algorithm: 'x', auth_data: {} };
  const failsWith = (errcode: string, asking: Promise<unknown>, fields = {}): Promise<void> =>
    assert.rejects(asking, (error) => {
      assert.ok(error instanceof MatrixError);
      assert.deepEqual([error.errcode, error.fields], [errcode, fields]);
      return true;
    });
  const [first, second] = [await backup.createVersion(USER, info), await backup.createVersion(USER, info)];
  assert.deepEqual([first, second], ['1', '2']);
  const one = { rooms: { '!r': { sessions: { s: key(1) } } } };
  await failsWith('M_WRONG_ROOM_KEYS_VERSION', backup.upload(USER, first, one), { current_version: '2' });
  for (const version of ['3', '0', '01', 'x', '', '9999999999999999']) await failsWith('M_NOT_FOUND', backup.upload(USER, version, one));
  await failsWith('M_NOT_FOUND', backup.upload(USER + 1, second, one));
  await failsWith('M_INVALID_PARAM', backup.updateVersion(USER, second, { ...info, algorithm: 'y' }));
  await backup.updateVersion(USER, second, { ...info, auth_data: { new: true } });
  assert.deepEqual((await backup.version(USER)).auth_data, { new: true });
  await backup.upload(USER, second, one);
  await backup.deleteVersion(USER, second);
  await failsWith('M_NOT_FOUND', backup.keys(USER, second, {}));
  await failsWith('M_NOT_FOUND', backup.deleteVersion(USER, second));
  assert.equal((await backup.version(USER)).version, '1');
  assert.deepEqual(await backup.upload(USER, first, one), { etag: '1', count: 1 });
  assert.equal(await backup.createVersion(USER, info), '3');
  assert.equal((await backup.version(USER)).count, 0);
});
