import { systemClock } from '#src/platform/clock.ts';
import { createStrings, type Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import { systemRandom } from '#src/platform/random.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { signingKeyFromSeed } from '#src/protocol/signatures.ts';
import {
  createRoomGraph,
  type NewEvent,
  type RoomDraft,
  type RoomEvent,
  type RoomGraph,
  type RoomGraphTools,
  type RoomInfo,
} from '#src/rooms/graph/index.ts';
import { createUnreadCounts, type UnreadCounts } from '#src/push/counts.ts';
import { createPush, type Push, type ReadMark, type ReadMarks } from '#src/push/index.ts';
import { createIgnored } from '#src/push/ignored.ts';
import { createRecentCounts } from '#src/push/recent.ts';

const SERVER = 'one.example';

/** A room's write path with the counting of notifications, on a database, and receipts that are kept in memory. */
export interface World {
  readonly database: Database;
  readonly graph: RoomGraph;
  readonly push: Push;
  readonly strings: Strings;
  readonly marks: Map<string, { unthreaded: number | undefined; threads: Map<string, number> }>;
  /** Counts read from the database alone. */
  readonly unremembered: UnreadCounts;
}

type Marks = World['marks'];

const marksIn = (marks: Marks): ReadMarks => ({
  of: (userNum, roomNums) => {
    const found = new Map<number, ReadMark>();
    for (const roomNum of roomNums) {
      const mark = marks.get(`${userNum}/${roomNum}`);
      if (mark !== undefined) found.set(roomNum, { unthreaded: mark.unthreaded, threads: new Map(mark.threads) });
    }
    return Promise.resolve(found);
  },
});

/** Opens the world, also again on the same database as after a restart. */
export const openWorld = async (database: Database, marks: Marks = new Map(), more: Partial<RoomGraphTools> = {}): Promise<World> => {
  const strings = createStrings(database);
  const graph = await createRoomGraph({
    database,
    strings,
    clock: systemClock,
    random: systemRandom,
    serverName: SERVER,
    signingKey: signingKeyFromSeed('ed25519:a_test', Buffer.alloc(32, 1)),
    soleWriter: true,
    ...more,
  });
  const readMarks = marksIn(marks);
  const nobody = { identify: () => Promise.reject(new Error('Nobody asks')) };
  const push = await createPush({
    database,
    strings,
    graph,
    access: { user: nobody, guest: nobody, admin: nobody, optional: nobody },
    readMarks,
    serverName: SERVER,
    jobs: { every: () => undefined },
  });
  const unremembered: UnreadCounts = {
    of: async (reader, roomNums, byThread) => {
      const recent = createRecentCounts(Number.MAX_SAFE_INTEGER);
      const ignored = await createIgnored(database);
      return createUnreadCounts({ database, graph, readMarks, ignored, recent }).of(reader, roomNums, byThread);
    },
  };
  return { database, graph, push, strings, marks, unremembered };
};

export const state = (sender: string, type: string, stateKey: string, content: JsonObject): NewEvent => ({
  sender,
  type,
  stateKey,
  content,
});

export const member = (sender: string, userId: string, membership: string, displayname?: string): NewEvent =>
  state(sender, 'm.room.member', userId, { membership, ...(displayname === undefined ? {} : { displayname }) });

/** Makes a public room in which `creator` is alone. */
export const makeRoom = async ({ graph }: Pick<World, 'graph'>, creator: string): Promise<{ room: RoomInfo; events: RoomEvent[] }> => {
  const { room, value } = await graph.createRoom(
    '11',
    state(creator, 'm.room.create', '', { room_version: '11' }),
    async (draft: RoomDraft) => [
      await draft.append(member(creator, creator, 'join')),
      await draft.append(state(creator, 'm.room.power_levels', '', { users: { [creator]: 100 } })),
      await draft.append(state(creator, 'm.room.join_rules', '', { join_rule: 'public' })),
    ],
  );
  return { room, events: value };
};
