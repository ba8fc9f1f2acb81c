import { systemClock } from '#src/platform/clock.ts';
import { openDatabase } from '#src/platform/database/index.ts';
import { createStrings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import { systemRandom } from '#src/platform/random.ts';
import { authTypesFor } from '#src/protocol/auth-rules/index.ts';
import { buildPdu, referencesTo } from '#src/protocol/events.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import { type SigningKey, signingKeyFromSeed } from '#src/protocol/signatures.ts';
import {
  createRoomGraph,
  isRejected,
  type NewEvent,
  type RoomEvent,
  type RoomGraph,
  type RoomGraphTools,
  type RoomInfo,
  type ServerKeys,
} from '#src/rooms/graph/index.ts';
import { silent } from '#test/support/databases.ts';
import { member, state } from '#test/support/new-events.ts';

export { member, message, state } from '#test/support/new-events.ts';

/** The server under test, and two others. */
export const [OURS, THEIRS, THIRD] = ['one.example', 'two.example', 'three.example'] as const;
export const ALICE = '@alice:two.example';
export const BOB = '@bob:two.example';
export const CARL = '@carl:three.example';
export const DANA = '@dana:three.example';
export const ME = '@me:one.example';

export const KEYS: Readonly<Record<string, SigningKey>> = {
  [OURS]: signingKeyFromSeed('ed25519:a_1', Buffer.alloc(32, 1)),
  [THEIRS]: signingKeyFromSeed('ed25519:a_2', Buffer.alloc(32, 2)),
  [THIRD]: signingKeyFromSeed('ed25519:a_3', Buffer.alloc(32, 3)),
};

/** Knows all keys but those of the servers in `hidden`, which a test may change. */
export const serverKeys = (hidden: ReadonlySet<string> = new Set()): ServerKeys => ({
  find: (server, keyId) => {
    const key = hidden.has(server) ? undefined : KEYS[server];
    return Promise.resolve(key?.keyId === keyId ? key : undefined);
  },
});

export const openGraph = async (database: Database, serverName: string, more: Partial<RoomGraphTools> = {}): Promise<RoomGraph> =>
  createRoomGraph({
    database,
    strings: createStrings(database),
    clock: systemClock,
    random: systemRandom,
    serverName,
    signingKey: KEYS[serverName] as SigningKey,
    soleWriter: true,
    serverKeys: serverKeys(),
    ...more,
  });

/** Where the others talk: a graph in memory, which knows every event that is made there. */
export interface Elsewhere {
  readonly graph: RoomGraph;
  /** A room of all but our server's user, and our user's join of it. */
  room(version: string): Promise<{ room: RoomInfo; join: RoomEvent; state: readonly RoomEvent[] }>;
  /** Makes an event upon others (whose first one's state names its auth events, unless they are given) and receives it there. */
  add(
    room: RoomInfo,
    prev: readonly RoomEvent[],
    wanted: NewEvent,
    options?: { at?: number; auth?: readonly RoomEvent[] },
  ): Promise<RoomEvent>;
  close(): Promise<void>;
}

export const openElsewhere = async (): Promise<Elsewhere> => {
  const database = await openDatabase({
    config: { name: 'sqlite3', args: { database: ':memory:' } },
    writer: 'master',
    clock: systemClock,
    logger: silent,
  });
  const graph = await openGraph(database, THEIRS);

  const authEventsOf = async (room: RoomInfo, root: string, wanted: NewEvent): Promise<RoomEvent[]> => {
    const auth: RoomEvent[] = [];
    for (const [type, stateKey] of authTypesFor(
      { ...wanted, ...(wanted.stateKey === undefined ? {} : { state_key: wanted.stateKey }) },
      roomVersion(room.version),
    )) {
      const num = await graph.states.get(room.num, root, type, stateKey);
      const found = num === undefined ? undefined : await graph.events.byNum(num);
      if (found !== undefined && !isRejected(found)) auth.push(found);
    }
    return auth;
  };

  const add: Elsewhere['add'] = async (room, prev, wanted, { at = 1000, auth } = {}) => {
    const serverName = domainOf(wanted.sender) as string;
    const version = roomVersion(room.version);
    const built = buildPdu({
      roomVersion: version,
      eventId: version.eventIds === 'given' ? `$${systemRandom.string(18)}:${serverName}` : undefined,
      roomId: room.roomId,
      ...wanted,
      originServerTs: at,
      depth: 1 + Math.max(...prev.map((event) => event.depth)),
      prevEvents: referencesTo(prev, version),
      authEvents: referencesTo(auth ?? (await authEventsOf(room, prev[0]?.stateRoot as string, wanted)), version),
      serverName,
      signingKey: KEYS[serverName] as SigningKey,
    });
    const received = await graph.receive(room, built.json);
    return received ?? ((await graph.events.byId(built.eventId)) as RoomEvent);
  };

  return {
    graph,
    add,
    room: async (version) => {
      const facts = roomVersion(version);
      const create = state(ALICE, 'm.room.create', '', {
        room_version: version,
        ...(facts.creator === 'content' ? { creator: ALICE } : {}),
      });
      const { room } = await graph.createRoom(version, create, async (draft) => {
        await draft.append(member(ALICE, ALICE, 'join'));
        const users = { ...(facts.privilegedCreators ? {} : { [ALICE]: 100 }), [BOB]: 50, [CARL]: 50 };
        await draft.append(state(ALICE, 'm.room.power_levels', '', { users }));
        await draft.append(state(ALICE, 'm.room.join_rules', '', { join_rule: 'public' }));
        await draft.append(member(BOB, BOB, 'join'));
      });
      for (const userId of [CARL, DANA]) await add(room, (await graph.head(room)).extremities, member(userId, userId, 'join'));
      const { extremities, view } = await graph.head(room);
      const before = await graph.stateEvents(room, view.root);
      return { room, join: await add(room, extremities, member(ME, ME, 'join')), state: before };
    },
    close: async () => database.close(),
  };
};

/** The ids of the events of a state, in an order that depends on nothing else. */
export const stateIds = async (graph: RoomGraph, room: RoomInfo, root: string): Promise<string[]> =>
  (await graph.stateEvents(room, root)).map((event) => event.eventId).sort();

/** Lets our server into a room that is elsewhere. */
export const letIn = async (graph: RoomGraph, { room, join, state: before }: Awaited<ReturnType<Elsewhere['room']>>): Promise<RoomInfo> => {
  const texts = before.map((event) => event.json);
  return (await graph.receiveRoom({ version: room.version, state: texts, authChain: texts.toReversed(), join: join.json })).room;
};
