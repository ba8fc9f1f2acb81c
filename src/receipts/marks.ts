import { entryCache } from '#src/platform/cache/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import { readMarksOf } from '#src/receipts/store.ts';

/** Up to where a user has read a room, as positions of the stream of events; of `m.read` and `m.read.private` whichever is further. */
export interface RoomMark {
  /** By receipts for the whole room. */
  readonly unthreaded: number | undefined;
  /** By receipts for a thread: its root's event id, or `main`. */
  readonly threads: ReadonlyMap<string, number>;
}

/** Up to where users have read by receipts, from memory where it was asked before. */
export interface ReadMarks {
  /** A user's marks in some rooms; rooms without a receipt of the user may be left out. */
  of(userNum: number, roomNums: readonly number[]): Promise<ReadonlyMap<number, RoomMark>>;
  /** A receipt of the user has become durable. */
  forget(userNum: number, roomNum: number): void;
}

const MAX_KNOWN = 100_000;
const NO_MARK: RoomMark = { unthreaded: undefined, threads: new Map() };

export const createReadMarks = (database: Pick<Database, 'read'>): ReadMarks => {
  const known = entryCache<string, RoomMark>(MAX_KNOWN);
  const keyOf = (userNum: number, roomNum: number): string => `${String(userNum)}/${String(roomNum)}`;
  /** Moves on with every receipt: what was read before is not kept. */
  let changes = 0;

  const load = async (userNum: number, roomNums: readonly number[], found: Map<number, RoomMark>): Promise<void> => {
    const before = changes;
    const rows = Map.groupBy(
      await database.read('read marks', async (reader) => readMarksOf(reader, userNum, roomNums)),
      (row) => row.room_num,
    );
    for (const roomNum of roomNums) {
      const inRoom = rows.get(roomNum);
      const mark: RoomMark =
        inRoom === undefined
          ? NO_MARK
          : {
              unthreaded: inRoom.find((row) => row.thread_id === '')?.position,
              threads: new Map(inRoom.filter((row) => row.thread_id !== '').map((row) => [row.thread_id, row.position])),
            };
      found.set(roomNum, mark);
      if (changes === before) known.set(keyOf(userNum, roomNum), mark);
    }
  };

  return {
    of: async (userNum, roomNums) => {
      const found = new Map<number, RoomMark>();
      const missing: number[] = [];
      for (const roomNum of roomNums) {
        const mark = known.get(keyOf(userNum, roomNum));
        if (mark === undefined) missing.push(roomNum);
        else found.set(roomNum, mark);
      }
      if (missing.length > 0) await load(userNum, missing, found);
      return found;
    },
    forget: (userNum, roomNum) => {
      changes += 1;
      known.delete(keyOf(userNum, roomNum));
    },
  };
};
