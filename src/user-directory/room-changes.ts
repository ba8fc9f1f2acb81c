import type { Clock } from '#src/platform/clock.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import type { RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import { shownPdu } from '#src/rooms/history/index.ts';
import { isPublicRoom, namesIn, PUBLICITY_TYPES } from '#src/user-directory/public-rooms.ts';
import {
  deleteEntries,
  deleteRoom,
  isListedBy,
  type Listed,
  type Names,
  putEntry,
  putRoom,
  readNames,
  readRoom,
  wantRefresh,
} from '#src/user-directory/store.ts';
import { roomsChanged, withoutRooms } from '#src/user-directory/views.ts';

/** Keeps what the directory has of rooms and of other servers' users current; a follower of the stream `events`. */
export interface RoomChanges {
  /** Takes in what changed in rooms at positions in (from, to]. Looks at what holds by now, so that it may be repeated. A stretch of messages alone costs no query. */
  handle(from: number, to: number): Promise<void>;
}

export interface RoomChangesTools {
  readonly database: Database;
  readonly graph: RoomGraph;
  readonly clock: Clock;
  readonly serverName: string;
}

/** A profile is asked for this long after it was seen to have changed, so that it is asked for once when it changes in many rooms. */
export const REFRESH_AFTER_MS = 60_000;
const PAGE = 200;

/** A user of another server as a member event shows it. */
interface Seen extends Listed {
  readonly names: Names;
}

/**
 * Lists users of other servers. What they are called in a room that is not public may be for that room alone: their servers are asked for
 * what they are called everywhere.
 */
const list = async (tx: Transaction, seen: readonly Seen[], isPublic: boolean, refreshTs: number): Promise<void> => {
  const known = await readNames(
    tx,
    seen.map(({ userNum }) => userNum),
  );
  for (const user of seen) {
    const listed = known.get(user.userNum);
    if (listed !== undefined && isListedBy(listed, user.names)) continue;
    if (isPublic || listed === undefined)
      await putEntry(tx, user, isPublic ? user.names : { displayName: undefined, avatarUrl: undefined });
    if (!isPublic) await wantRefresh(tx, user.userNum, refreshTs);
  }
};

const dropThoseWithoutRooms = async (tx: Transaction, userNums: readonly number[]): Promise<void> => {
  const gone = userNums.length === 0 ? [] : await withoutRooms(tx, userNums);
  if (gone.length > 0) await deleteEntries(tx, gone);
};

const pagesOf = <T>(items: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(items.length / PAGE) }, (_, index) => items.slice(index * PAGE, (index + 1) * PAGE));

export const createRoomChanges = ({ database, graph, clock, serverName }: RoomChangesTools): RoomChanges => {
  const isPublicNow = async (room: RoomInfo): Promise<boolean> => {
    const events = await Promise.all(PUBLICITY_TYPES.map((type) => graph.currentState(room, type, '')));
    return isPublicRoom(events.map((event) => event?.pdu.content));
  };

  const seenIn = (room: RoomInfo, event: RoomEvent): Seen => ({
    userNum: event.stateKeyNum ?? 0,
    userId: event.pdu.state_key ?? '',
    isLocal: false,
    names: namesIn(shownPdu(event, roomVersion(room.version)).content),
  });

  /** The numbers of those users of other servers who are in a room, or were when this server was last, with their member events. */
  const remoteMembers = async (room: RoomInfo) =>
    (await graph.memberships.ofRoom(room.num)).filter((row) => !row.isLocal && row.membership === 'join');

  const comeIn = async (room: RoomInfo, isPublic: boolean): Promise<void> => {
    const refreshTs = clock.now() + REFRESH_AFTER_MS;
    for (const page of pagesOf(await remoteMembers(room))) {
      const events = await graph.events.byNums(page.map((row) => row.eventNum));
      const seen = [...events.values()].map((event) => seenIn(room, event));
      await database.write('directory of room', (tx) => list(tx, seen, isPublic, refreshTs));
    }
    await database.write('room of directory', async (tx) => putRoom(tx, room.num, isPublic));
  };

  const goOut = async (room: RoomInfo): Promise<void> => {
    const pages = pagesOf(await remoteMembers(room));
    await database.write('room of directory', (tx) => deleteRoom(tx, room.num));
    for (const page of pages)
      await database.write('directory of room', (tx) =>
        dropThoseWithoutRooms(
          tx,
          page.map((row) => row.userNum),
        ),
      );
  };

  /** Users of other servers whose member events differ between two states: those who are in the room after it, and those who are not. */
  const movesBetween = async (room: RoomInfo, before: string, after: string): Promise<{ seen: Seen[]; gone: number[] }> => {
    const differences = await graph.states.diff(room.num, before, after);
    const nums = differences.flatMap((each) => [each.before, each.after]).filter((num) => num !== undefined);
    const events = await graph.events.byNums(nums);
    const moves = { seen: [] as Seen[], gone: [] as number[] };
    for (const difference of differences) {
      const holds = difference.after === undefined ? undefined : events.get(difference.after);
      const event = holds ?? (difference.before === undefined ? undefined : events.get(difference.before));
      if (event?.pdu.type !== 'm.room.member' || domainOf(event.pdu.state_key ?? '') === serverName) continue;
      if (holds?.pdu.content.membership === 'join') moves.seen.push(seenIn(room, holds));
      else if (event.stateKeyNum !== undefined) moves.gone.push(event.stateKeyNum);
    }
    return moves;
  };

  const followRoom = async (room: RoomInfo, before: string, after: string): Promise<void> => {
    const known = await database.read('room of directory', (reader) => readRoom(reader, room.num));
    if (!(await graph.memberships.isHere(room.num))) {
      if (known !== undefined) await goOut(room);
      return;
    }
    const isPublic = await isPublicNow(room);
    if (known === undefined) {
      await comeIn(room, isPublic);
      return;
    }
    const { seen, gone } = await movesBetween(room, before, after);
    if (known === isPublic && seen.length + gone.length === 0) return;
    const refreshTs = clock.now() + REFRESH_AFTER_MS;
    await database.write('directory of room', async (tx) => {
      if (known !== isPublic) putRoom(tx, room.num, isPublic);
      if (seen.length > 0) await list(tx, seen, isPublic, refreshTs);
      await dropThoseWithoutRooms(tx, gone);
    });
  };

  return {
    handle: async (from, to) => {
      const events = await graph.timeline.between(from, to, to - from);
      // A place without an event may be a change of state that has none.
      if (events.length === to - from && events.every((event) => event.stateKeyNum === undefined)) return;
      const roomNums = await database.read('rooms changed', (reader) => roomsChanged(reader, from, to));
      const [before, after] = await Promise.all([graph.timeline.rootsAt(roomNums, from), graph.timeline.rootsAt(roomNums, to)]);
      for (const room of (await graph.rooms(roomNums)).values())
        await followRoom(room, before.get(room.num) ?? '', after.get(room.num) ?? '');
    },
  };
};
