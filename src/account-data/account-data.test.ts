import assert from 'node:assert/strict';
import { withBothDatabases } from '#test/support/databases.ts';
import { createStrings } from '#src/platform/database/strings.ts';
import { createAccountData, deleteAccountDataOf } from '#src/account-data/index.ts';

const ALICE = 1;
const BOB = 2;
const ROOM = 7;

withBothDatabases('entries are kept, and change once for each who follows', async (_t, open) => {
  const database = await open();
  const strings = createStrings(database);
  const accountData = createAccountData({ database, strings });
  const woken: number[] = [];
  accountData.source.follow({ users: (userNums) => woken.push(...userNums) });
  await accountData.set({ userNum: ALICE, roomNum: undefined, type: 'x.a' }, { n: 1 });
  const since = accountData.source.now().position;
  await accountData.set({ userNum: ALICE, roomNum: undefined, type: 'x.a' }, { n: 2 });
  await accountData.set({ userNum: ALICE, roomNum: undefined, type: 'x.a' }, { n: 3 });
  await accountData.set({ userNum: ALICE, roomNum: ROOM, type: 'x.b' }, { n: 4 });
  await accountData.set({ userNum: BOB, roomNum: undefined, type: 'x.c' }, { n: 5 });
  assert.deepEqual(woken, [ALICE, ALICE, ALICE, ALICE, BOB]);
  assert.equal(await accountData.get({ userNum: ALICE, roomNum: undefined, type: 'x.a' }), '{"n":3}');
  assert.equal(await accountData.get({ userNum: BOB, roomNum: undefined, type: 'x.a' }), undefined);
  // The same from memory and, after a restart, from the database.
  for (const each of [accountData, createAccountData({ database, strings })]) {
    const span = { after: since, upTo: each.source.now().position };
    assert.deepEqual(await each.source.accountData({ userNum: ALICE }, span), [{ type: 'x.a', content: { n: 3 } }]);
    const byRoom = await each.source.roomAccountData({ userNum: ALICE }, [ROOM, 8], span);
    assert.deepEqual([...byRoom], [[ROOM, [{ type: 'x.b', content: { n: 4 } }]]]);
    assert.deepEqual([...(await each.source.roomAccountData({ userNum: ALICE }, [8], span))], []);
  }
  await database.write('delete', async (tx) => deleteAccountDataOf(tx, ALICE));
  assert.equal(await accountData.get({ userNum: ALICE, roomNum: ROOM, type: 'x.b' }), undefined);
});

withBothDatabases('the server keeps some types for itself', async (_t, open) => {
  const database = await open();
  const accountData = createAccountData({ database, strings: createStrings(database) });
  for (const type of ['m.fully_read', 'm.push_rules']) {
    await assert.rejects(accountData.set({ userNum: ALICE, roomNum: ROOM, type }, {}), { status: 405, errcode: 'M_BAD_JSON' });
  }
  await assert.rejects(accountData.set({ userNum: ALICE, roomNum: ROOM, type: 'x'.repeat(256) }, {}), { errcode: 'M_INVALID_PARAM' });
  const place = { userNum: ALICE, roomNum: ROOM, type: 'm.fully_read' };
  await accountData.update(place, () => ({ event_id: '$a' }));
  await accountData.update(place, () => undefined);
  assert.equal(await accountData.get(place), '{"event_id":"$a"}');
});

withBothDatabases('whom one ignores is known at once when it changes', async (_t, open) => {
  const database = await open();
  const strings = createStrings(database);
  const accountData = createAccountData({ database, strings });
  const alice = (await strings.intern(['@alice:x'])).get('@alice:x') ?? 0;
  const place = { userNum: alice, roomNum: undefined, type: 'm.ignored_user_list' };
  assert.equal((await accountData.ignoredUsers(alice)).size, 0);
  await assert.rejects(accountData.set(place, { ignored_users: { '@alice:x': {} } }), { errcode: 'M_INVALID_PARAM' });
  await accountData.set(place, { ignored_users: { '@bob:x': {}, 'no user': {} } });
  const ignored = [...(await accountData.ignoredUsers(alice))];
  assert.deepEqual(ignored, [await strings.numOf('@bob:x')]);
  for (const content of [{ ignored_users: [] }, { ignored_users: null }, {}]) {
    await accountData.set(place, content);
    assert.equal((await accountData.ignoredUsers(alice)).size, 0);
  }
});
