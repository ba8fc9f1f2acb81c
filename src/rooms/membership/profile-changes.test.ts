import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '#src/platform/clock.ts';
import { openDatabase } from '#src/platform/database/index.ts';
import { createStrings } from '#src/platform/database/strings.ts';
import { silentLogger } from '#src/platform/logging/index.ts';
import { systemRandom } from '#src/platform/random.ts';
import { signingKeyFromSeed } from '#src/protocol/signatures.ts';
import { createRoomGraph, type RoomGraph, type RoomInfo } from '#src/rooms/graph/index.ts';
import { createProfileChanges } from '#src/rooms/membership/profile-changes.ts';

const ALICE = '@alice:example.org';
const log = silentLogger;

const makeRoom = async (graph: RoomGraph, member: object): Promise<RoomInfo> => {
  const create = { sender: ALICE, type: 'm.room.create', stateKey: '', content: { room_version: '11' } };
  const { room } = await graph.createRoom('11', create, async (draft) => {
    const joined = { sender: ALICE, type: 'm.room.member', stateKey: ALICE };
    await draft.append({ ...joined, content: { membership: 'join', displayname: 'Alice' } });
    await draft.append({ ...joined, content: { membership: 'join', ...member } });
  });
  return room;
};

test('a changed profile is carried into joined rooms once, and into no others', async (t) => {
  const config = { name: 'sqlite3', args: { database: ':memory:' } } as const;
  const database = await openDatabase({ config, writer: 'master', clock: systemClock, logger: log });
  t.after(() => database.close());
  const strings = createStrings(database);
  const signingKey = signingKeyFromSeed('ed25519:a_test', Buffer.alloc(32, 1));
  const tools = { database, strings, clock: systemClock, random: systemRandom, serverName: 'example.org', signingKey, soleWriter: true };
  const graph = await createRoomGraph(tools);
  const old = await makeRoom(graph, { displayname: 'Alice', avatar_url: 'mxc://example.org/a', reason: 'hello' });
  const same = await makeRoom(graph, { displayname: 'Alice the Great', kind: 'guest' });
  const left = await makeRoom(graph, { membership: 'leave' });
  const userNum = (await strings.numOf(ALICE)) as number;
  const profile = { displayname: 'Alice the Great', avatarUrl: undefined };
  const changed = [{ userNum, profile, eventsPosition: database.positions.current('events').min }];
  const profiles = { changesSince: () => Promise.resolve(changed) };
  const { handle } = createProfileChanges({ graph, database, strings, profiles, log });
  const memberIn = async (room: RoomInfo) => (await graph.currentState(room, 'm.room.member', ALICE))?.pdu.content;

  const sameBefore = await graph.currentRoot(same);
  const leftBefore = await graph.currentRoot(left);
  await handle(0, 1);
  assert.deepEqual(await memberIn(old), { membership: 'join', displayname: 'Alice the Great' });
  const carried = await graph.currentRoot(old);
  await handle(0, 1);
  assert.equal(await graph.currentRoot(old), carried);
  assert.equal(await graph.currentRoot(same), sameBefore);
  assert.equal(await graph.currentRoot(left), leftBefore);
});

test('a name that its user chooses for one room after the change is not taken away, and one given on joining is', async (t) => {
  const config = { name: 'sqlite3', args: { database: ':memory:' } } as const;
  const database = await openDatabase({ config, writer: 'master', clock: systemClock, logger: log });
  t.after(() => database.close());
  const strings = createStrings(database);
  const signingKey = signingKeyFromSeed('ed25519:a_test', Buffer.alloc(32, 1));
  const tools = { database, strings, clock: systemClock, random: systemRandom, serverName: 'example.org', signingKey, soleWriter: true };
  const graph = await createRoomGraph(tools);
  const name = async (room: RoomInfo) => (await graph.currentState(room, 'm.room.member', ALICE))?.pdu.content.displayname;
  const say = async (room: RoomInfo, membership: string, displayname: string): Promise<void> => {
    const member = { sender: ALICE, type: 'm.room.member', stateKey: ALICE, content: { membership, displayname } };
    await graph.write(room, async (draft) => draft.append(member));
  };
  const [plain, chosen, rejoined] = [await makeRoom(graph, {}), await makeRoom(graph, {}), await makeRoom(graph, {})];
  await graph.write(rejoined, async (draft) =>
    draft.append({ sender: ALICE, type: 'm.room.join_rules', stateKey: '', content: { join_rule: 'public' } }),
  );
  await say(rejoined, 'leave', 'Alice');
  const userNum = (await strings.numOf(ALICE)) as number;
  let changed = [
    { userNum, profile: { displayname: 'One', avatarUrl: undefined }, eventsPosition: database.positions.current('events').min },
  ];
  const { handle } = createProfileChanges({ graph, database, strings, profiles: { changesSince: () => Promise.resolve(changed) }, log });
  await say(chosen, 'join', 'Only here');
  await say(rejoined, 'join', 'Alice');
  await handle(0, 1);
  assert.deepEqual([await name(plain), await name(chosen), await name(rejoined)], ['One', 'Only here', 'One']);
  // The next change was asked for before the first one had been carried.
  changed = changed.map((change) => ({ ...change, profile: { displayname: 'Two', avatarUrl: undefined } }));
  await handle(1, 2);
  assert.deepEqual([await name(plain), await name(chosen), await name(rejoined)], ['Two', 'Only here', 'Two']);
  changed = changed.map((change) => ({
    ...change,
    profile: { displayname: 'Three', avatarUrl: undefined },
    eventsPosition: database.positions.current('events').min,
  }));
  await handle(2, 3);
  assert.deepEqual([await name(plain), await name(chosen), await name(rejoined)], ['Three', 'Three', 'Three']);
});
