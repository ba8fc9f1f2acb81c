import { entryCache } from '#src/platform/cache/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import {
  isServerInvited,
  localMembers,
  membershipChangesOf,
  type MembershipChange,
  membershipCounts,
  membershipsOfKind,
  membershipsOfRoom,
  membershipsOfUser,
  roomsOfServer,
} from '#src/rooms/graph/read-store.ts';
import { type MembershipRow, setForgotten } from '#src/rooms/graph/store.ts';

/** Who is what in which room now. Users asked for are kept in memory and follow every commit. */
export interface Memberships {
  /** A user's rooms by number, with what the user is in each; forgotten rooms too. */
  ofUser(userNum: number): Promise<ReadonlyMap<number, MembershipRow>>;
  /** A user's membership of one room. */
  in(roomNum: number, userNum: number): Promise<MembershipRow | undefined>;
  /** All members of a room, past ones included. Costs the room's size. */
  ofRoom(roomNum: number): Promise<readonly MembershipRow[]>;
  /** Those members of a room who have one membership, such as `ban`. Costs the room's size, in rows that are looked at. */
  having(roomNum: number, membership: string): Promise<readonly MembershipRow[]>;
  /** How many members of a room have each membership. */
  counts(roomNum: number): Promise<ReadonlyMap<string, number>>;
  /** Whether a user of a server is invited to a room. Costs the number of the room's invites. */
  isInvited(roomNum: number, serverName: string): Promise<boolean>;
  /** The rooms that users of a server have joined. Costs a look at every joined membership: for administrators, not for requests of users. */
  roomsOf(serverName: string): Promise<readonly number[]>;
  /** Whether this server is in a room: a user of it has joined. Of a room where only others are it costs the number of their memberships. */
  isHere(roomNum: number): Promise<boolean>;
  /** A local user's changes with positions in (after, upTo], oldest first. */
  changes(userNum: number, after: number, upTo: number): Promise<readonly MembershipChange[]>;
  /** Hides a room that the user has left from the user's lists (specification: "Forgetting rooms"). */
  forget(roomNum: number, userNum: number): Promise<void>;
  /** Takes in memberships that have just become durable. */
  remember(rows: readonly MembershipRow[]): void;
  /** Forgets what memory holds: it may miss changes. */
  forgetAll(): void;
}

const MAX_USERS = 20_000;

/** A user's rooms: complete once `ready`, and taking in changes before that. */
interface UserRooms {
  readonly rooms: Map<number, MembershipRow>;
  readonly ready: Promise<void>;
}

export const createMemberships = (database: Database): Memberships => {
  const users = entryCache<number, UserRooms>(MAX_USERS);

  const load = (userNum: number): UserRooms => {
    const rooms = new Map<number, MembershipRow>();
    const read = async (): Promise<void> => {
      const rows = await database.read('memberships of user', async (reader) => membershipsOfUser(reader, userNum));
      // What a commit has put here meanwhile is newer than the rows.
      for (const row of rows) if (!rooms.has(row.roomNum)) rooms.set(row.roomNum, row);
    };
    const ready = read();
    users.set(userNum, { rooms, ready });
    ready.catch(() => users.delete(userNum));
    return { rooms, ready };
  };

  const ofUser = async (userNum: number): Promise<ReadonlyMap<number, MembershipRow>> => {
    const user = users.get(userNum) ?? load(userNum);
    await user.ready;
    return user.rooms;
  };

  const remember = (rows: readonly MembershipRow[]): void => {
    for (const row of rows) users.get(row.userNum)?.rooms.set(row.roomNum, row);
  };

  return {
    ofUser,
    in: async (roomNum, userNum) => (await ofUser(userNum)).get(roomNum),
    ofRoom: async (roomNum) => database.read('memberships of room', async (reader) => membershipsOfRoom(reader, roomNum)),
    having: async (roomNum, kind) => database.read('members of a kind', async (reader) => membershipsOfKind(reader, roomNum, kind)),
    counts: async (roomNum) => database.read('membership counts', async (reader) => membershipCounts(reader, roomNum)),
    isInvited: async (roomNum, serverName) =>
      database.read('invited server', async (reader) => isServerInvited(reader, roomNum, serverName)),
    roomsOf: async (serverName) =>
      (await database.readLong<{ room_num: number }>('rooms of server', roomsOfServer(serverName))).map((row) => row.room_num),
    isHere: async (roomNum) => (await database.read('is in room', async (reader) => localMembers(reader, roomNum, 1))).length > 0,
    changes: async (userNum, after, upTo) =>
      database.read('membership changes', async (reader) => membershipChangesOf(reader, userNum, after, upTo)),
    forget: async (roomNum, userNum) => {
      const row = (await ofUser(userNum)).get(roomNum);
      await database.write('forget room', async (tx) => {
        await setForgotten(tx, roomNum, userNum);
        if (row !== undefined) tx.onCommit(() => remember([{ ...row, forgotten: true }]));
      });
    },
    remember,
    forgetAll: () => users.clear(),
  };
};
