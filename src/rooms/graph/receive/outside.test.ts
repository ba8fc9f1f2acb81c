import assert from 'node:assert/strict';
import { DroppedEventError, type RoomEvent, type RoomGraph, type RoomInfo } from '#src/rooms/graph/index.ts';
import {
  ALICE,
  CARL,
  type Elsewhere,
  letIn,
  ME,
  member,
  openElsewhere,
  openGraph,
  OURS,
  state,
  stateIds,
} from '#src/rooms/graph/testing/world.ts';
import { type Open, withBothDatabases } from '#test/support/databases.ts';

const YOU = `@you:${OURS}`;

/** A room elsewhere into which both of our users are invited before one of them joins. */
const startWith = async (elsewhere: Elsewhere, version: string) => {
  const started = await elsewhere.room(version);
  const { room } = started;
  const leave = await elsewhere.add(room, [started.join], member(ME, ME, 'leave'));
  const invites: RoomEvent[] = [];
  let last = leave;
  for (const userId of [ME, YOU]) invites.push((last = await elsewhere.add(room, [last], member(ALICE, userId, 'invite'))));
  const before = await elsewhere.graph.stateEvents(room, last.stateRoot as string);
  const join = await elsewhere.add(room, [last], member(ME, ME, 'join'));
  const chain = await elsewhere.graph.authChain([...before, join]);
  return { started: { room, state: before, join }, chain, invites };
};

const membershipOf = async (graph: RoomGraph, room: RoomInfo, event: RoomEvent): Promise<string | undefined> =>
  (await graph.memberships.in(room.num, event.stateKeyNum as number))?.membership;

const check = async (open: Open, version: string): Promise<void> => {
  const elsewhere = await openElsewhere();
  const database = await open();
  const graph = await openGraph(database, OURS);
  const { started, chain, invites } = await startWith(elsewhere, version);
  const { roomId } = started.room;
  const written: string[] = [];
  const take = async (event: RoomEvent): Promise<RoomEvent> =>
    graph.receiveOutside({ roomId, version }, event.json, (_tx, room, { eventId }) => void written.push(`${room.roomId} ${eventId}`));
  const [first, second] = await Promise.all([take(invites[0] as RoomEvent), take(invites[1] as RoomEvent)]);
  const room = (await graph.room(roomId)) as RoomInfo;
  assert.deepEqual([await membershipOf(graph, room, first), await membershipOf(graph, room, second)], ['invite', 'invite']);
  assert.equal((await graph.head(room)).view.root, '');
  assert.equal(await graph.memberships.isHere(room.num), false);
  assert.equal((await take(invites[0] as RoomEvent)).position, first.position, 'the same again changes nothing');
  assert.deepEqual(new Set(written), new Set(invites.map(({ eventId }) => `${roomId} ${eventId}`)));
  const texts = (events: readonly RoomEvent[]): string[] => events.map(({ json }) => json);
  const given = { version, state: texts(started.state), authChain: texts(chain), join: started.join.json };
  assert.deepEqual((await graph.receiveRoom(given)).room, room);
  assert.equal(await graph.memberships.isHere(room.num), true);
  const { view } = await graph.head(room);
  assert.deepEqual(await stateIds(graph, room, view.root), await stateIds(elsewhere.graph, started.room, started.join.stateRoot as string));
  assert.deepEqual([await membershipOf(graph, room, first), await membershipOf(graph, room, second)], ['join', 'invite']);
  await database.close();
  const after = await openGraph(await open(), OURS);
  assert.equal((await after.events.byId(first.eventId))?.position, first.position);
  assert.equal((await after.memberships.in(room.num, second.stateKeyNum as number))?.membership, 'invite');
  await elsewhere.close();
};

for (const version of ['6', '10', '12'])
  withBothDatabases(
    `who is invited into a room of version ${version} from outside is in its state once the server is in`,
    async (_t, open) => check(open, version),
  );

withBothDatabases('a room is of the version that its create event says, whatever was said of it before', async (_t, open) => {
  const elsewhere = await openElsewhere();
  const graph = await openGraph(await open(), OURS);
  const started = await elsewhere.room('10');
  const { roomId } = started.room;
  const invite = await elsewhere.add(started.room, [started.join], member(ALICE, YOU, 'invite'));
  // Events of versions 9 and 10 look alike.
  await graph.receiveOutside({ roomId, version: '9' }, invite.json, () => undefined);
  const said = (await graph.room(roomId)) as RoomInfo;
  assert.equal(said.version, '9');
  const room = await letIn(graph, started);
  assert.deepEqual(room, { ...said, version: '10' });
  assert.deepEqual(await graph.room(roomId), room);
  const message = await graph.write(room, async (draft) => draft.append({ sender: ME, type: 'm.room.message', content: { body: 'hi' } }));
  assert.equal((await elsewhere.graph.receive(started.room, message.json))?.facts, 0);
  await elsewhere.close();
});

withBothDatabases('what a server did not sign, or not so, tells nobody anything', async (_t, open) => {
  const elsewhere = await openElsewhere();
  const graph = await openGraph(await open(), OURS);
  const { room, join } = await elsewhere.room('11');
  const name = { roomId: room.roomId, version: '11' };
  const { json } = await elsewhere.add(room, [join], state(ALICE, 'm.room.member', YOU, { membership: 'invite', reason: 'you' }));
  for (const [why, text] of [
    ['signature', json.replace(/"ed25519:a_2":"../u, '"ed25519:a_2":"AA')],
    ['sender', json.replace(ALICE, CARL)],
    ['content', json.replace('"reason":"you"', '"reason":"them"')],
    ['room', json.replace(room.roomId, '!other:two.example')],
  ] as const) {
    assert.notEqual(text, json, why);
    await assert.rejects(
      graph.receiveOutside(name, text, () => undefined),
      DroppedEventError,
      why,
    );
  }
  assert.equal(await graph.room(room.roomId), undefined);
  await elsewhere.close();
});
