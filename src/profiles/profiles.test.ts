import assert from 'node:assert/strict';
import type { Requester, User } from '#src/accounts/index.ts';
import { testConfig } from '#src/platform/config/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import { MatrixError } from '#src/protocol/errors.ts';
import { createProfiles, profilePort } from '#src/profiles/index.ts';
import type { Profiles } from '#src/profiles/index.ts';
import type { RemoteProfiles } from '#src/profiles/service.ts';
import { withBothDatabases } from '#test/support/databases.ts';

const requester = (userNum: number, name: string, isAdmin = false): Requester => ({
  userId: `@${name}:test`,
  userNum,
  deviceId: undefined,
  sessionNum: undefined,
  isGuest: false,
  isAdmin,
});

const ALICE = requester(1, 'alice');
const BOB = requester(2, 'bob');
const ROOT = requester(3, 'root', true);

const remote: RemoteProfiles = {
  profile: (userId, field) =>
    Promise.resolve(field === undefined ? { displayname: `far ${userId}`, color: 'red' } : { displayname: `far ${userId}` }),
};

const create = async (database: Database, settings: object = {}): Promise<Profiles> => {
  const users = new Map([ALICE, BOB].map((user) => [user.userId, user as unknown as User]));
  await database.write('test', async (tx) => {
    await profilePort.create(tx, ALICE.userNum, 'alice');
    await profilePort.create(tx, BOB.userNum, 'bob');
  });
  return createProfiles({ database, config: testConfig(settings), findUser: async (userId) => users.get(userId), remote });
};

const errcode = (expected: string) => (error: unknown) => error instanceof MatrixError && error.errcode === expected;

withBothDatabases('profiles of other servers are asked of them', async (_t, open) => {
  const profiles = await create(await open());
  assert.deepEqual(await profiles.all('@zoe:far.test'), { displayname: 'far @zoe:far.test', color: 'red' });
  assert.deepEqual(await profiles.field('@zoe:far.test', 'displayname'), { displayname: 'far @zoe:far.test' });
  assert.deepEqual(await profiles.field('@zoe:far.test', 'avatar_url'), {});
  await assert.rejects(profiles.field('@zoe:far.test', 'color'), errcode('M_NOT_FOUND'));
});

withBothDatabases('a profile is set, read and cleared', async (_t, open) => {
  const database = await open();
  const profiles = await create(database);
  assert.deepEqual(await profiles.get('@alice:test'), { displayname: 'alice', avatarUrl: undefined });
  await profiles.set(ALICE, '@alice:test', 'displayname', 'Alice ✨');
  await profiles.set(ALICE, '@alice:test', 'avatar_url', 'mxc://test/a');
  assert.deepEqual(await profiles.get('@alice:test'), { displayname: 'Alice ✨', avatarUrl: 'mxc://test/a' });
  await profiles.set(ALICE, '@alice:test', 'displayname', '');
  assert.deepEqual(await profiles.get('@alice:test'), { displayname: undefined, avatarUrl: 'mxc://test/a' });
  assert.deepEqual([...(await profiles.profilesOf([1, 2, 9])).keys()].sort(), [1, 2]);
  await assert.rejects(profiles.get('@nobody:test'), errcode('M_NOT_FOUND'));
  await assert.rejects(profiles.get('nobody'), errcode('M_INVALID_PARAM'));
});

withBothDatabases('only administrators change the profiles of others', async (_t, open) => {
  const database = await open();
  const profiles = await create(database);
  await assert.rejects(profiles.set(ALICE, '@bob:test', 'displayname', 'x'), errcode('M_FORBIDDEN'));
  await profiles.set(ROOT, '@bob:test', 'displayname', 'Robert');
  assert.equal((await profiles.get('@bob:test')).displayname, 'Robert');
  await assert.rejects(profiles.set(ROOT, '@bob:elsewhere', 'displayname', 'x'), errcode('M_UNKNOWN'));
  await assert.rejects(profiles.set(ROOT, '@nobody:test', 'displayname', 'x'), errcode('M_NOT_FOUND'));
});

withBothDatabases('values have limits', async (_t, open) => {
  const database = await open();
  const profiles = await create(database);
  await profiles.set(ALICE, '@alice:test', 'displayname', 'x'.repeat(256));
  await assert.rejects(profiles.set(ALICE, '@alice:test', 'displayname', 'x'.repeat(257)), /Displayname is too long \(max 256\)/);
  await assert.rejects(profiles.set(ALICE, '@alice:test', 'avatar_url', 'x'.repeat(1001)), /Avatar URL is too long \(max 1000\)/);
  for (const wrong of [5, null, {}, 'a\0'])
    await assert.rejects(profiles.set(ALICE, '@alice:test', 'displayname', wrong), errcode('M_INVALID_PARAM'));
});

withBothDatabases('a profile holds what clients put into it, as a whole up to 64 KiB', async (_t, open) => {
  const database = await open();
  const profiles = await create(database);
  const put = (name: string, value: unknown): Promise<void> => profiles.set(ALICE, '@alice:test', name, value);
  await put('m.tz', 'Europe/Paris');
  await put('org.example.any', { list: [1, null, 'a\0'] });
  assert.deepEqual(await profiles.all('@alice:test'), {
    displayname: 'alice',
    'm.tz': 'Europe/Paris',
    'org.example.any': { list: [1, null, 'a\0'] },
  });
  assert.deepEqual(await profiles.field('@alice:test', 'm.tz'), { 'm.tz': 'Europe/Paris' });
  await assert.rejects(profiles.field('@bob:test', 'm.tz'), errcode('M_NOT_FOUND'));
  assert.deepEqual(await profiles.field('@bob:test', 'avatar_url'), {});

  await put('org.example.big', 'x'.repeat(40_000));
  await assert.rejects(put('org.example.more', 'x'.repeat(30_000)), errcode('M_PROFILE_TOO_LARGE'));
  await put('org.example.big', 'x'.repeat(30_000));
  await put('org.example.more', 'x'.repeat(30_000));

  for (const name of ['m.tz', 'org.example.any', 'org.example.big', 'org.example.more', 'displayname', 'never'])
    await profiles.remove(ALICE, '@alice:test', name);
  await assert.rejects(profiles.all('@alice:test'), errcode('M_NOT_FOUND'));
});

withBothDatabases('who closes the account takes the whole profile away', async (_t, open) => {
  const database = await open();
  const profiles = await create(database);
  await profiles.set(ALICE, '@alice:test', 'm.tz', 'Europe/Paris');
  await database.write('test', (tx) => profilePort.clear(tx, ALICE.userNum));
  await assert.rejects(profiles.all('@alice:test'), errcode('M_NOT_FOUND'));
  await assert.rejects(profiles.field('@alice:test', 'm.tz'), errcode('M_NOT_FOUND'));
});

withBothDatabases('where names are fixed, only the first may be chosen', async (_t, open) => {
  const database = await open();
  const profiles = await create(database, { enable_set_displayname: false, enable_set_avatar_url: false });
  await assert.rejects(profiles.set(ALICE, '@alice:test', 'displayname', 'x'), errcode('M_FORBIDDEN'));
  await profiles.set(ALICE, '@alice:test', 'avatar_url', 'mxc://test/a');
  await assert.rejects(profiles.set(ALICE, '@alice:test', 'avatar_url', 'mxc://test/b'), errcode('M_FORBIDDEN'));
});

withBothDatabases('followers see each changed profile once, as it is now', async (_t, open) => {
  const database = await open();
  const profiles = await create(database);
  const changes = (from: number, to: number): Promise<string[]> =>
    database.read('test', async (reader) =>
      (await profiles.changesSince(reader, from, to)).map(
        ({ userNum, position, profile }) => `${String(position)}: ${String(userNum)} ${String(profile.displayname)}`,
      ),
    );
  assert.deepEqual(await changes(0, 10), ['1: 1 alice', '2: 2 bob']);
  await profiles.set(ALICE, '@alice:test', 'displayname', 'A');
  await profiles.set(ALICE, '@alice:test', 'displayname', 'B');
  assert.deepEqual(await changes(2, 10), ['4: 1 B']);
  assert.deepEqual(await changes(2, 3), []);
  assert.deepEqual(await changes(4, 10), []);
});
