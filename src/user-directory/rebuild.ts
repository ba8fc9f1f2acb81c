import type { Clock } from '#src/platform/clock.ts';
import type { BackgroundUpdate, Slice } from '#src/platform/database/background-updates.ts';
import type { Transaction } from '#src/platform/database/types.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { createStates, type States } from '#src/rooms/graph/index.ts';
import { isPublicRoom, namesIn, PUBLICITY_TYPES } from '#src/user-directory/public-rooms.ts';
import { deleteEntries, deleteRoom, putEntry, putRoom, readNames, readRemoteListed, wantRefresh } from '#src/user-directory/store.ts';
import { allRooms, jsonOf, localUsers, numOfText, remoteMembers, type RoomRow, withoutRooms } from '#src/user-directory/views.ts';

/** The update of migration 54; Synapse's admin API knows it by this name as well. */
export const REGENERATE_DIRECTORY = 'regenerate_directory';

/** Handles rows with numbers above `after`; answers the numbers handled, as many as `limit` unless there are no more. */
type Phase = (tx: Transaction, after: number, limit: number) => Promise<readonly number[]>;

const contentOf = (json: string): JsonObject => (JSON.parse(json) as { content: JsonObject }).content;

/** Local users, by their profiles. */
const users: Phase = async (tx, after, limit) => {
  const rows = await localUsers(tx, after, limit);
  for (const row of rows)
    await putEntry(
      tx,
      { userNum: row.user_num, userId: row.user_id, isLocal: true },
      { displayName: row.displayname ?? undefined, avatarUrl: row.avatar_url ?? undefined },
    );
  return rows.map((row) => row.user_num);
};

/** States as they are within the transaction. */
const statesOf = (tx: Transaction): States => {
  const numOf = (text: string): Promise<number | undefined> => numOfText(tx, text);
  const strings = { peekNum: () => undefined, numOf, intern: () => Promise.resolve(new Map<string, number>()) };
  return createStates({ read: (_name, body) => body(tx) }, strings);
};

const isPublicAt = async (tx: Transaction, states: States, { room_num: roomNum, current_root: root }: RoomRow): Promise<boolean> => {
  const nums: number[] = [];
  for (const type of PUBLICITY_TYPES) {
    const num = await states.get(roomNum, root, type, '');
    if (num !== undefined) nums.push(num);
  }
  return isPublicRoom((await jsonOf(tx, nums)).map(contentOf));
};

/** Rooms that this server is in, and which of them are public. */
const rooms: Phase = async (tx, after, limit) => {
  const states = statesOf(tx);
  const rows = await allRooms(tx, after, limit);
  for (const row of rows) {
    if (row.is_here === 1) putRoom(tx, row.room_num, await isPublicAt(tx, states, row));
    else await deleteRoom(tx, row.room_num);
  }
  return rows.map((row) => row.room_num);
};

/** Users of other servers in those rooms. */
const remoteUsers =
  (clock: Clock): Phase =>
  async (tx, after, limit) => {
    const rows = await remoteMembers(tx, after, limit);
    const known = await readNames(
      tx,
      rows.map((row) => row.user_num),
    );
    for (const { user_num: userNum, user_id: userId, json } of rows) {
      const names = json === null ? known.get(userNum) : namesIn(contentOf(json));
      await putEntry(tx, { userNum, userId, isLocal: false }, names ?? { displayName: undefined, avatarUrl: undefined });
      if (names === undefined) await wantRefresh(tx, userNum, clock.now());
    }
    return rows.map((row) => row.user_num);
  };

/** Users of other servers who are in none of them any more. */
const departed: Phase = async (tx, after, limit) => {
  const nums = await readRemoteListed(tx, after, limit);
  const gone = await withoutRooms(tx, nums);
  if (gone.length > 0) await deleteEntries(tx, gone);
  return nums;
};

/** Makes the directory anew, in place: users of this server, rooms, users of other servers, and at last those who are to go. Whoever searches meanwhile finds what was there before. */
export const createRegenerate = (clock: Clock): BackgroundUpdate => {
  const phases = [users, rooms, remoteUsers(clock), departed];
  return async (tx, progress, batchSize): Promise<Slice> => {
    const phase = typeof progress['phase'] === 'number' ? progress['phase'] : 0;
    const after = typeof progress['after'] === 'number' ? progress['after'] : 0;
    const handled = (await phases[phase]?.(tx, after, batchSize)) ?? [];
    const last = handled.at(-1);
    const isOver = last === undefined || handled.length < batchSize;
    return {
      done: isOver && phase >= phases.length - 1,
      progress: isOver ? { phase: phase + 1, after: 0 } : { phase, after: last },
      processed: handled.length,
    };
  };
};
