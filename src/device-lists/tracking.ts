import { deleteRemoteKeys, replaceRemoteKeys, type UserKeys } from '#src/devices/index.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import type { CommitParticipant, Drafted, RoomEvent, RoomGraph } from '#src/rooms/graph/index.ts';
import { deleteRemoteList, markMembersStale, markStale, putRemoteList, readRemoteLists } from '#src/device-lists/remote-store.ts';

/** How a list of another server's user stands: up to date, to be fetched, or of somebody who shares no room with anybody here, whose changes nobody tells. */
export type ListState = 'current' | 'stale' | 'stranger';

/** What is kept of the device lists of users of other servers (server-server API, Device Management). */
export interface Tracking {
  states(userNums: readonly number[]): Promise<ReadonlyMap<number, ListState>>;
  /** The last change that is known of a list, to be said to `fetched`. */
  lastChange(userNum: number): Promise<string | undefined>;
  /** Keeps a list as its server has told it, with the change `id` as its last; what has changed since `before` makes it stale at once. */
  fetched(userNum: number, keys: UserKeys, id: string, before: string | undefined): Promise<void>;
  /** Forgets lists whose changes nobody tells any more. */
  forget(userNums: readonly number[]): Promise<void>;
}

export interface TrackingTools {
  readonly database: Pick<Database, 'read' | 'write'>;
  readonly memberships: Pick<RoomGraph['memberships'], 'ofUser' | 'isHere'>;
  /** What is kept of the user's keys has changed. */
  readonly forgetKeys: (userNum: number) => void;
}

export const createTracking = ({ database, memberships, forgetKeys }: TrackingTools): Tracking => {
  const sharesRoom = async (userNum: number): Promise<boolean> => {
    for (const row of (await memberships.ofUser(userNum)).values())
      if (row.membership === 'join' && (await memberships.isHere(row.roomNum))) return true;
    return false;
  };

  return {
    states: async (userNums) => {
      const rows = new Map(
        (await database.read('remote device lists', (reader) => readRemoteLists(reader, userNums))).map((row) => [row.user_num, row]),
      );
      const states = new Map<number, ListState>();
      for (const userNum of userNums) {
        const state = rows.get(userNum)?.is_stale === 0 ? 'current' : 'stale';
        states.set(userNum, (await sharesRoom(userNum)) ? state : 'stranger');
      }
      return states;
    },
    lastChange: async (userNum) => (await database.read('remote device list', (reader) => readRemoteLists(reader, [userNum])))[0]?.last_id,
    fetched: async (userNum, keys, id, before) => {
      await database.write('fetched device list', async (tx) => {
        const last = (await readRemoteLists(tx, [userNum]))[0]?.last_id;
        await replaceRemoteKeys(tx, userNum, keys);
        const isOld = last !== before && last !== id;
        putRemoteList(tx, { user_num: userNum, last_id: isOld ? (last ?? '') : id, is_stale: isOld ? 1 : 0 });
        tx.onCommit(() => forgetKeys(userNum));
      });
    },
    forget: async (userNums) => {
      const known = await database.read('remote device lists', (reader) => readRemoteLists(reader, userNums));
      if (known.length === 0) return;
      await database.write('forget device lists', async (tx) => {
        for (const { user_num: userNum } of known) {
          await deleteRemoteList(tx, userNum);
          await deleteRemoteKeys(tx, userNum);
        }
        tx.onCommit(() => {
          for (const { user_num: userNum } of known) forgetKeys(userNum);
        });
      });
    },
  };
};

const MEMBER = 'm.room.member';

/**
 * While nobody here was in a room with somebody, their changes were not told: who comes into a room, and who is in a room that this server comes into, is asked for anew. One
 * statement for a batch in which somebody joins.
 */
export const createStaleMarks = ({
  graph,
  serverName,
}: {
  graph: Pick<RoomGraph, 'events'> & { readonly memberships: Pick<RoomGraph['memberships'], 'isHere'> };
  serverName: string;
}): CommitParticipant => {
  const joinersOf = async (drafted: readonly Drafted[]): Promise<RoomEvent[]> => {
    const own = new Map(drafted.map(({ event }) => [event.num, event]));
    const find = async (num: number | undefined): Promise<RoomEvent | undefined> =>
      num === undefined ? undefined : (own.get(num) ?? (await graph.events.byNum(num)));
    const joiners: RoomEvent[] = [];
    for (const { changes } of drafted) {
      for (const { before, after } of changes) {
        const now = await find(after);
        if (now?.pdu.type !== MEMBER || now.stateKeyNum === undefined || now.pdu.content.membership !== 'join') continue;
        if ((await find(before))?.pdu.content.membership !== 'join') joiners.push(now);
      }
    }
    return joiners;
  };

  return {
    prepare: async (room, drafted) => {
      // A room that is being made has nobody else in it.
      const isNew = drafted.some(({ event }) => event.pdu.type === 'm.room.create' && domainOf(event.pdu.sender) === serverName);
      const joiners = isNew ? [] : await joinersOf(drafted);
      if (joiners.length === 0) return () => undefined;
      const others = joiners.filter(({ pdu }) => domainOf(pdu.state_key ?? '') !== serverName);
      const comesIn = others.length < joiners.length && !(await graph.memberships.isHere(room.num));
      if (!comesIn && others.length === 0) return () => undefined;
      return async (tx: Transaction) => {
        const nums = others.map(({ stateKeyNum }) => stateKeyNum as number);
        if (nums.length > 0) await markStale(tx, nums);
        if (comesIn) await markMembersStale(tx, room.num);
      };
    },
  };
};
