import { readChangedLists } from '#src/devices/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import type { RoomGraph } from '#src/rooms/graph/index.ts';
import { membersOf, sharersAmong } from '#src/device-lists/views.ts';

const STREAM = 'device_lists';

/** A stretch of the stream; without a beginning there is nothing that the reader could know already. */
export interface Span {
  readonly after: number | undefined;
  readonly upTo: number;
}

/** Rooms that the reader has come into, or has left. */
export interface Moves {
  readonly newlyJoined: readonly number[];
  readonly newlyLeft: readonly number[];
}

/** Whose devices a reader has to ask for again, and whose no more; user ids. */
export interface ListChanges {
  readonly changed: readonly string[];
  readonly left: readonly string[];
}

/** How those who wait are told. */
export interface Wake {
  users(userNums: Iterable<number>): void;
  room(roomNum: number): void;
}

/** Changes of devices and keys, told to those who share rooms with their owner. A stream for `/sync`. */
export interface DeviceLists {
  readonly part: 'deviceLists';
  readonly now: () => { readonly position: number; readonly epoch: undefined };
  /** Wakes whom changes concern, from now on. */
  readonly follow: (wake: Wake) => void;
  readonly changes: (reader: { readonly userNum: number }, span: Span, moves: Moves) => Promise<ListChanges>;
  /** Stops following. */
  readonly close: () => Promise<void>;
}

/** Device lists (client-server API, "Tracking the device list for a user"). */
export const createDeviceLists = ({
  database,
  strings,
  graph,
  log,
}: {
  database: Database;
  strings: Strings;
  graph: { readonly memberships: Pick<RoomGraph['memberships'], 'ofUser'> };
  log: Logger;
}): DeviceLists => {
  const position = (): number => database.positions.current(STREAM).min;
  let unsubscribe = (): void => undefined;
  let working = Promise.resolve();

  const wakeBetween = async (wake: Wake, after: number, upTo: number): Promise<void> => {
    const changed = await database.read('changed device lists', (reader) => readChangedLists(reader, after, upTo));
    wake.users(changed);
    for (const userNum of changed) {
      for (const row of (await graph.memberships.ofUser(userNum)).values()) if (row.membership === 'join') wake.room(row.roomNum);
    }
  };

  const idsOf = async (userNums: Iterable<number>): Promise<string[]> => [...(await strings.textOf([...userNums])).values()];

  return {
    part: 'deviceLists',
    now: () => ({ position: position(), epoch: undefined }),
    follow: (wake) => {
      let told = position();
      unsubscribe = database.positions.subscribe((streams) => {
        if (!streams.has(STREAM)) return;
        const [after, upTo] = [told, position()];
        told = upTo;
        working = working
          .then(() => wakeBetween(wake, after, upTo))
          .catch((error: unknown) => log.warn({ err: error }, 'Those who wait could not be told of changed devices'));
      });
    },
    changes: async ({ userNum }, { after, upTo }, { newlyJoined, newlyLeft }) => {
      const { changed, left } = await database.read('device list changes', async (reader) => {
        const moved = after === undefined ? [] : await readChangedLists(reader, after, upTo);
        const shared = new Set(moved.length === 0 ? [] : await sharersAmong(reader, userNum, moved));
        const met = newlyJoined.length === 0 ? [] : await membersOf(reader, newlyJoined);
        const once = newlyLeft.length === 0 ? [] : await membersOf(reader, newlyLeft);
        const still = new Set(once.length === 0 ? [] : await sharersAmong(reader, userNum, once));
        return {
          changed: new Set([...moved.filter((num) => num === userNum || shared.has(num)), ...met]),
          left: once.filter((num) => num !== userNum && !still.has(num)),
        };
      });
      return { changed: await idsOf(changed), left: await idsOf(left) };
    },
    close: async () => {
      unsubscribe();
      await working;
    },
  };
};
