import { DEVICE_LISTS_STREAM as STREAM, readChangedLists, readSignedUsers, readSigners } from '#src/devices/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import type { RoomGraph } from '#src/rooms/graph/index.ts';
import { membersOf, sharersAmong } from '#src/device-lists/views.ts';

/** A stretch of the stream, from its beginning where the reader does not say what is known already. */
export interface Span {
  readonly after: number | undefined;
  readonly upTo: number;
}

/** Rooms that the reader has come into or has left, and those that others may have. */
export interface Moves {
  readonly newlyJoined: readonly number[];
  readonly newlyLeft: readonly number[];
  /** Rooms in which the reader stayed, and the stretch of the events' stream in which others may have come and gone there. */
  readonly stayedIn: { readonly roomNums: readonly number[]; readonly after: number; readonly upTo: number };
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
  graph: Pick<RoomGraph, 'timeline' | 'states' | 'events'> & { readonly memberships: Pick<RoomGraph['memberships'], 'ofUser'> };
  log: Logger;
}): DeviceLists => {
  const position = (): number => database.positions.current(STREAM).min;
  let unsubscribe = (): void => undefined;
  let working = Promise.resolve();

  const wakeBetween = async (wake: Wake, after: number, upTo: number): Promise<void> => {
    const changed = await database.read('changed device lists', (reader) => readChangedLists(reader, after, upTo));
    wake.users([...changed, ...(await database.read('signers', (reader) => readSigners(reader, after, upTo)))]);
    for (const userNum of changed) {
      for (const row of (await graph.memberships.ofUser(userNum)).values()) if (row.membership === 'join') wake.room(row.roomNum);
    }
  };

  /** Whose membership differs at the two ends of the stretch, apart by whether they were in the room before it; members whose event alone differs are among them. */
  const movedIn = async ({ roomNums, after, upTo }: Moves['stayedIn']): Promise<{ wereIn: number[]; wereOut: number[] }> => {
    const moved = { wereIn: [] as number[], wereOut: [] as number[] };
    const [before, now] = await Promise.all([graph.timeline.rootsAt(roomNums, after), graph.timeline.rootsAt(roomNums, upTo)]);
    for (const [roomNum, root] of now) {
      // Where nobody came or went by an event, state that was resolved anew may still have brought them in or out.
      const differences = await graph.states.diff(roomNum, before.get(roomNum) ?? '', root);
      const events = await graph.events.byNums(differences.flatMap((each) => [each.before, each.after].filter((num) => num !== undefined)));
      for (const each of differences) {
        const [held, holds] = [each.before, each.after].map((num) => (num === undefined ? undefined : events.get(num)));
        const event = holds ?? held;
        if (event?.pdu.type !== 'm.room.member' || event.stateKeyNum === undefined) continue;
        (held?.pdu.content.membership === 'join' ? moved.wereIn : moved.wereOut).push(event.stateKeyNum);
      }
    }
    return moved;
  };

  const membershipAt = async (roomNum: number, position: number, userId: string): Promise<unknown> => {
    const eventNum = await graph.states.get(roomNum, await graph.timeline.rootAt(roomNum, position), 'm.room.member', userId);
    return eventNum === undefined ? undefined : (await graph.events.byNum(eventNum))?.pdu.content.membership;
  };

  /** Those of the rooms that a user was in at a position. */
  const roomsKnownTo = async (userNum: number, roomNums: readonly number[], position: number): Promise<number[]> => {
    const userId = (await strings.textOf([userNum])).get(userNum) ?? '';
    const known: number[] = [];
    for (const roomNum of roomNums) if ((await membershipAt(roomNum, position, userId)) === 'join') known.push(roomNum);
    return known;
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
    changes: async ({ userNum }, { after = 0, upTo }, { newlyJoined, newlyLeft, stayedIn }) => {
      // In rooms that the reader has left, or left and come back to, others may have gone as well.
      const again = await roomsKnownTo(userNum, newlyJoined, stayedIn.after);
      const { wereIn, wereOut } = await movedIn({ ...stayedIn, roomNums: [...new Set([...stayedIn.roomNums, ...newlyLeft, ...again])] });
      const { changed, left } = await database.read('device list changes', async (reader) => {
        const moved = [...wereOut, ...(after < upTo ? await readChangedLists(reader, after, upTo) : [])];
        const shared = new Set(moved.length === 0 ? [] : await sharersAmong(reader, userNum, moved));
        const met = newlyJoined.length === 0 ? [] : await membersOf(reader, newlyJoined);
        const signed = after < upTo ? await readSignedUsers(reader, userNum, after, upTo) : [];
        const once = [...wereIn, ...(newlyLeft.length === 0 ? [] : await membersOf(reader, newlyLeft))];
        const still = new Set(once.length === 0 ? [] : await sharersAmong(reader, userNum, once));
        return {
          changed: new Set([...moved.filter((num) => num === userNum || shared.has(num)), ...met, ...signed]),
          left: [...new Set(once)].filter((num) => num !== userNum && !still.has(num)),
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
