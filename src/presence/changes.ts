import type { Clock } from '#src/platform/clock.ts';

/** A stretch of the stream: behind `after`, up to and with `upTo`. */
export interface Stretch {
  readonly after: number;
  readonly upTo: number;
}

/** The rooms of somebody, as a set; `keys` may give some more. */
export interface Rooms {
  readonly size: number;
  has(roomNum: number): boolean;
  keys(): Iterable<number>;
}

/**
 * Whose presence has changed lately, by room, in memory. Positions are milliseconds since the Unix epoch (or the next number where one is taken), so
 * that they go on after a restart without having been written, and say how long somebody was away.
 */
export interface Changes {
  /** The position of the last change. */
  position(): number;
  /** Takes the next position for a change that those in these rooms are told, and with `isOwn` the user too. */
  add(userNum: number, roomNums: Iterable<number>, isOwn: boolean): number;
  /** Whose changes in a stretch concern a reader who is in these rooms; undefined when memory does not reach back so far. */
  concerning(readerNum: number, rooms: Rooms, stretch: Stretch): ReadonlySet<number> | undefined;
  /** From where on all changes are here. */
  reachesBackTo(): number;
}

interface Change {
  readonly position: number;
  readonly userNum: number;
}

/** The changes of a second, found by who may see them. */
interface Slice {
  readonly openedMs: number;
  last: number;
  size: number;
  readonly byRoom: Map<number, Change[]>;
  readonly byUser: Map<number, number>;
}

const SLICE_MS = 1000;
const MAX_SLICES = 600;
/** So many pairs of a change and a room. */
const MAX_ENTRIES = 500_000;

/** `since` is the position up to which changes are not known here. */
export const createChanges = (clock: Pick<Clock, 'now'>, since: number, maxEntries = MAX_ENTRIES): Changes => {
  const slices: Slice[] = [];
  let last = since;
  let floor = since;
  let entries = 0;

  const openSlice = (): Slice => {
    const newest = slices.at(-1);
    const nowMs = clock.now();
    if (newest !== undefined && Math.abs(nowMs - newest.openedMs) < SLICE_MS) return newest;
    const slice: Slice = { openedMs: nowMs, last, size: 0, byRoom: new Map(), byUser: new Map() };
    slices.push(slice);
    return slice;
  };

  const forgetOld = (): void => {
    while (slices.length > MAX_SLICES || (entries > maxEntries && slices.length > 1)) {
      const oldest = slices.shift();
      floor = oldest?.last ?? floor;
      entries -= oldest?.size ?? 0;
    }
  };

  return {
    position: () => last,
    reachesBackTo: () => floor,
    add: (userNum, roomNums, isOwn) => {
      const slice = openSlice();
      last = Math.max(last + 1, Math.floor(clock.now()));
      slice.last = last;
      const change: Change = { position: last, userNum };
      let size = 1;
      for (const roomNum of roomNums) {
        const inRoom = slice.byRoom.get(roomNum);
        if (inRoom === undefined) slice.byRoom.set(roomNum, [change]);
        else inRoom.push(change);
        size += 1;
      }
      if (isOwn) slice.byUser.set(userNum, last);
      slice.size += size;
      entries += size;
      forgetOld();
      return last;
    },
    concerning: (readerNum, rooms, { after, upTo }) => {
      if (after < floor) return undefined;
      const found = new Set<number>();
      for (let index = slices.length - 1; index >= 0; index--) {
        const { last: end, byRoom, byUser } = slices[index] as Slice;
        if (end <= after) break;
        const own = byUser.get(readerNum);
        if (own !== undefined && own > after && own <= upTo) found.add(readerNum);
        for (const roomNum of (rooms.size < byRoom.size ? rooms : byRoom).keys()) {
          const inRoom = byRoom.get(roomNum);
          if (inRoom === undefined || !rooms.has(roomNum)) continue;
          for (const { position, userNum } of inRoom) if (position > after && position <= upTo && userNum !== readerNum) found.add(userNum);
        }
      }
      return found;
    },
  };
};
