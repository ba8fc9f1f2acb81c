import { DEVICE_LISTS_STREAM as STREAM, readChangedLists, readLastChange, readSignedUsers, readSigners } from '#src/devices/index.ts';
import { entryCache } from '#src/platform/cache/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import { EVENTS_STREAM, type RoomGraph } from '#src/rooms/graph/index.ts';
import { createReceiveUpdates, type ListUpdate } from '#src/device-lists/remote-lists.ts';
import { membersOf, membersOfSeveralEvents, sharersAmong } from '#src/device-lists/views.ts';

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

interface Device {
  readonly userNum: number;
  readonly deviceId: string | undefined;
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
  /** Takes note up to where a device has been told of changes. */
  readonly stands: (device: Device, position: number) => void;
  /** Whether a device has been told of a user's latest change; undefined when it has not synced since the start. */
  readonly knows: (device: Device, userNum: number) => Promise<boolean | undefined>;
  /** Takes in what another server tells of the devices of its users; resolves once it is durable. */
  readonly receive: (updates: readonly ListUpdate[]) => Promise<void>;
  /** Stops following. */
  readonly close: () => Promise<void>;
}

/** Of so many devices it is known where they stand. */
const MAX_DEVICES = 100_000;

/** Device lists (client-server API, "Tracking the device list for a user"). */
export const createDeviceLists = ({
  database,
  strings,
  graph,
  forgetKeys,
  log,
}: {
  database: Database;
  strings: Strings;
  graph: Pick<RoomGraph, 'timeline' | 'states' | 'events'> & { readonly memberships: Pick<RoomGraph['memberships'], 'ofUser'> };
  /** What is kept of the keys of a user of another server has changed. */
  forgetKeys: (userNum: number) => void;
  log: Logger;
}): DeviceLists => {
  const position = (): number => database.positions.current(STREAM).min;
  const stands = entryCache<string, number>(MAX_DEVICES);
  const nameOf = ({ userNum, deviceId = '' }: Device): string => `${String(userNum)} ${deviceId}`;
  let unsubscribe = (): void => undefined;
  let working = Promise.resolve();

  const wakeBetween = async (wake: Wake, after: number, upTo: number): Promise<void> => {
    const changed = await database.read('changed device lists', (reader) => readChangedLists(reader, after, upTo));
    wake.users([...changed, ...(await database.read('signers', (reader) => readSigners(reader, after, upTo)))]);
    for (const userNum of changed) {
      for (const row of (await graph.memberships.ofUser(userNum)).values()) if (row.membership === 'join') wake.room(row.roomNum);
    }
  };

  /**
   * Who came into rooms and who went, as their states at the two ends of the stretch differ. `wavered` are at both ends the same, but were not in between:
   * what was read then may have found them where they are no more.
   */
  const movedIn = async ({ roomNums, after, upTo }: Moves['stayedIn']): Promise<Record<'came' | 'went' | 'wavered', number[]>> => {
    const moved = { came: [] as number[], went: [] as number[] };
    const suspects = new Map<number, number[]>();
    const [before, now] = await Promise.all([graph.timeline.rootsAt(roomNums, after), graph.timeline.rootsAt(roomNums, upTo)]);
    for (const [roomNum, root] of now) {
      // Where nobody came or went by an event, state that was resolved anew may still have brought them in or out.
      const differences = await graph.states.diff(roomNum, before.get(roomNum) ?? '', root);
      const events = await graph.events.byNums(differences.flatMap((each) => [each.before, each.after].filter((num) => num !== undefined)));
      for (const each of differences) {
        const [held, holds] = [each.before, each.after].map((num) => (num === undefined ? undefined : events.get(num)));
        const event = holds ?? held;
        if (event?.pdu.type !== 'm.room.member' || event.stateKeyNum === undefined) continue;
        const [wasIn, isIn] = [held, holds].map((one) => one?.pdu.content.membership === 'join');
        if (wasIn === isIn) suspects.set(roomNum, [...(suspects.get(roomNum) ?? []), event.stateKeyNum]);
        else (isIn === true ? moved.came : moved.went).push(event.stateKeyNum);
      }
    }
    const wavered = [...suspects].map(([roomNum, userNums]) =>
      database.read('members of several events', (reader) => membersOfSeveralEvents(reader, { roomNum, userNums, after, upTo })),
    );
    return { ...moved, wavered: (await Promise.all(wavered)).flat() };
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

  /** In an order that does not hang on what is cached, so that an answer that is made again is the same. */
  const idsOf = async (userNums: Iterable<number>): Promise<string[]> => [...(await strings.textOf([...userNums])).values()].toSorted();

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
    changes: async ({ userNum }, span, { newlyJoined, newlyLeft, stayedIn }) => {
      const { upTo } = span;
      // Who comes from beyond the end has seen what an older copy of the database does not know.
      const after = span.after === undefined || span.after > upTo ? 0 : span.after;
      // In rooms that the reader has left, or left and come back to, others may have gone as well. Nobody looks later for who goes from the former.
      const again = await roomsKnownTo(userNum, newlyJoined, stayedIn.after);
      const stayed = await movedIn({ ...stayedIn, roomNums: [...new Set([...stayedIn.roomNums, ...again])] });
      const parted = await movedIn({
        ...stayedIn,
        roomNums: newlyLeft,
        upTo: Math.max(stayedIn.upTo, database.positions.current(EVENTS_STREAM).min),
      });
      const { changed, left } = await database.read('device list changes', async (reader) => {
        const wavered = [...stayed.wavered, ...parted.wavered];
        const moved = [...stayed.came, ...parted.came, ...wavered, ...(after < upTo ? await readChangedLists(reader, after, upTo) : [])];
        const shared = new Set(moved.length === 0 ? [] : await sharersAmong(reader, userNum, moved));
        const met = newlyJoined.length === 0 ? [] : await membersOf(reader, newlyJoined);
        const signed = after < upTo ? await readSignedUsers(reader, userNum, after, upTo) : [];
        const once = [...stayed.went, ...parted.went, ...wavered, ...(newlyLeft.length === 0 ? [] : await membersOf(reader, newlyLeft))];
        const still = new Set(once.length === 0 ? [] : await sharersAmong(reader, userNum, once));
        const gone = new Set(once.filter((num) => num !== userNum && !still.has(num)));
        // Who is signed is told wherever the signed one is, but for those who are not to be followed any more.
        const known = [...moved.filter((num) => num === userNum || shared.has(num)), ...met, ...signed.filter((num) => !gone.has(num))];
        return { changed: new Set(known), left: gone };
      });
      return { changed: await idsOf(changed), left: await idsOf(left) };
    },
    stands: (device, at) => stands.set(nameOf(device), at),
    knows: async (device, userNum) => {
      const at = stands.get(nameOf(device));
      return at === undefined ? undefined : (await database.read('last device change', (reader) => readLastChange(reader, userNum))) <= at;
    },
    receive: createReceiveUpdates({ database, strings, memberships: graph.memberships, forgetKeys }),
    close: async () => {
      unsubscribe();
      await working;
    },
  };
};
