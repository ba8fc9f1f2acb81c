// Two people talk through matrix-js-sdk as it comes from npm, and the homeserver is restarted in the middle.

import assert from 'node:assert/strict';
import { quiet } from './support/quiet-sdk.ts';
import {
  ClientEvent,
  createClient,
  Direction,
  EventType,
  MatrixError,
  MsgType,
  Preset,
  RoomEvent,
  RoomMemberEvent,
  type MatrixClient,
  type MatrixEvent,
  type Room,
} from 'matrix-js-sdk';
import { onEachEngine } from './support/engines.ts';
import type { Server } from './support/server.ts';

const INITIAL_SYNC_LIMIT = 5;
const DEADLINE_MS = 30_000;

/** Waits until `look` finds something, looking again whenever the client has synced. */
const eventually = async <Found>(client: MatrixClient, what: string, look: () => Found | undefined): Promise<Found> => {
  const { promise, resolve, reject } = Promise.withResolvers<Found>();
  const check = (): void => {
    const found = look();
    if (found !== undefined) resolve(found);
  };
  const events = [ClientEvent.Sync, RoomEvent.Timeline, RoomEvent.Redaction, RoomMemberEvent.Membership] as const;
  for (const event of events) client.on(event, check);
  const timer = setTimeout(() => reject(new Error(`Waited in vain for ${what}`)), DEADLINE_MS);
  check();
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    for (const event of events) client.off(event, check);
  }
};

const registered = async (server: Server, username: string): Promise<MatrixClient> => {
  const stranger = createClient({ baseUrl: server.origin, logger: quiet });
  const request = { username, password: `password of ${username}` };
  const challenge: unknown = await stranger.registerRequest(request).catch((error: unknown) => error);
  assert.ok(challenge instanceof MatrixError && challenge.httpStatus === 401, String(challenge));
  const session = await stranger.registerRequest({
    ...request,
    auth: { type: 'm.login.dummy', session: String(challenge.data['session']) },
  });
  assert.equal(session.user_id, `@${username}:${server.name}`);
  return clientOf(server, session.user_id, session.access_token ?? '', session.device_id ?? '');
};

const clientOf = (server: Server, userId: string, accessToken: string, deviceId: string): MatrixClient =>
  createClient({ baseUrl: server.origin, userId, accessToken, deviceId, logger: quiet, timelineSupport: true });

const started = async (client: MatrixClient): Promise<MatrixClient> => {
  await client.startClient({ initialSyncLimit: INITIAL_SYNC_LIMIT, pollTimeout: 5000 });
  await eventually(client, 'the first sync', () => (client.isInitialSyncComplete() ? true : undefined));
  return client;
};

const roomOf = (client: MatrixClient, roomId: string): Room => {
  const room = client.getRoom(roomId);
  assert.ok(room);
  return room;
};

const textOf = (event: MatrixEvent): unknown => event.getContent()['body'];
const textsIn = (room: Room): unknown[] =>
  room
    .getLiveTimeline()
    .getEvents()
    .filter((event) => event.getType() === 'm.room.message' && !event.isRedacted())
    .map(textOf);

const say = async (client: MatrixClient, roomId: string, body: string): Promise<string> =>
  (await client.sendEvent(roomId, EventType.RoomMessage, { msgtype: MsgType.Text, body })).event_id;

const hears = (client: MatrixClient, roomId: string, body: string): Promise<MatrixEvent> =>
  eventually(client, `'${body}'`, () =>
    client
      .getRoom(roomId)
      ?.getLiveTimeline()
      .getEvents()
      .find((event) => textOf(event) === body && !event.status),
  );

onEachEngine('two people talk, the server restarts, and they carry on', async (startOnEngine) => {
  await using server = await startOnEngine();
  const alice = await started(await registered(server, 'alice'));
  const bob = await started(await registered(server, 'bob'));
  const clients = [alice, bob];
  try {
    const { room_id: roomId } = await alice.createRoom({
      preset: Preset.PrivateChat,
      name: 'The two of us',
      invite: [bob.getSafeUserId()],
    });
    await eventually(bob, 'the invitation', () => (bob.getRoom(roomId)?.getMyMembership() === 'invite' ? true : undefined));
    await bob.joinRoom(roomId);
    await eventually(alice, "Bob's arrival", () => (membershipOf(alice, roomId, bob) === 'join' ? true : undefined));

    await say(alice, roomId, 'hello Bob');
    assert.equal((await hears(bob, roomId, 'hello Bob')).getSender(), alice.getUserId());
    await say(bob, roomId, 'hello Alice');
    await hears(alice, roomId, 'hello Alice');

    const mistake = await say(alice, roomId, 'oops');
    await hears(bob, roomId, 'oops');
    await alice.redactEvent(roomId, mistake);
    await eventually(bob, 'the redaction', () => (roomOf(bob, roomId).findEventById(mistake)?.isRedacted() ? true : undefined));

    for (let number = 0; number < 20; number++) await say(number % 2 ? alice : bob, roomId, `message ${String(number)}`);
    await hears(bob, roomId, 'message 19');

    await server.stop();
    await server.start();

    await say(alice, roomId, 'after the restart');
    await hears(bob, roomId, 'after the restart');
    await say(bob, roomId, 'so it was');
    await hears(alice, roomId, 'so it was');

    // The same token in a client that knows nothing yet: a short first sync, then back to the beginning.
    const fresh = await started(clientOf(server, bob.getSafeUserId(), bob.getAccessToken() ?? '', bob.getDeviceId() ?? ''));
    clients.push(fresh);
    const room = roomOf(fresh, roomId);
    assert.equal(room.name, 'The two of us');
    assert.ok(textsIn(room).length <= INITIAL_SYNC_LIMIT);
    while (room.getLiveTimeline().getPaginationToken(Direction.Backward)) await fresh.scrollback(room, 7);
    const said = Array.from({ length: 20 }, (_, number) => `message ${String(number)}`);
    assert.deepEqual(textsIn(room), ['hello Bob', 'hello Alice', ...said, 'after the restart', 'so it was']);
    assert.equal(room.getLiveTimeline().getEvents()[0]?.getType(), 'm.room.create');
    assert.ok(room.findEventById(mistake)?.isRedacted());
  } finally {
    for (const each of clients) each.stopClient();
  }
});

/** What one person's client says about the other's membership. */
const membershipOf = (seenBy: MatrixClient, roomId: string, person: MatrixClient): string | undefined =>
  seenBy.getRoom(roomId)?.getMember(person.getSafeUserId())?.membership;
