/** Up to where a user has read a room by receipts, as positions of the stream of events; of `m.read` and `m.read.private` whichever is further. */
export interface ReadMark {
  /** By receipts without a thread; they hold for all threads. Undefined where there is none. */
  readonly unthreaded: number | undefined;
  /** By receipts for a thread: its root's event id, or `main`. */
  readonly threads: ReadonlyMap<string, number>;
}

/** What the slice of receipts tells. */
export interface ReadMarks {
  /** A user's marks in those of some rooms where there are any. Asked for every answer of `/sync`, so it answers from memory mostly. */
  of(userNum: number, roomNums: readonly number[]): Promise<ReadonlyMap<number, ReadMark>>;
}

/** The thread of what is in no thread. */
export const MAIN = 'main';

export const NO_MARK: ReadMark = { unthreaded: undefined, threads: new Map() };
