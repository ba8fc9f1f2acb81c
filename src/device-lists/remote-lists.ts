import { countRemoteDevices, MAX_REMOTE_DEVICES, noteListChange, putRemoteDevice } from '#src/devices/index.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { RoomGraph } from '#src/rooms/graph/index.ts';
import { putRemoteList, readRemoteLists, type RemoteListRow } from '#src/device-lists/remote-store.ts';

/** What another server tells of a user's devices or keys. */
export interface ListUpdate {
  readonly userId: string;
  /** The change's id and those of the changes before it; undefined for what has no place in their order. */
  readonly change: { readonly id: string; readonly previous: readonly (string | undefined)[] } | undefined;
  /** The device that has changed, with its keys as JSON; undefined keys for one that is gone or has none yet. */
  readonly device?: { readonly deviceId: string; readonly json: string | undefined; readonly isGone: boolean } | undefined;
}

/**
 * Whether there is something to ask for. A device without keys, as it has just logged in, is in nobody's list; unless a change was missed before it, or one may have been, nobody is told.
 */
const isNews = (known: RemoteListRow | undefined, now: RemoteListRow, { change, device }: ListUpdate): boolean => {
  if (device === undefined || device.json !== undefined || device.isGone) return true;
  const isFirst = known === undefined && change?.previous.length === 0;
  return !isFirst && now.is_stale === 1;
};

/** Up to where a list is known after a change; it is stale when the change does not follow the last one that is known. */
const after = (userNum: number, known: RemoteListRow | undefined, { change }: ListUpdate): RemoteListRow => {
  if (change === undefined) return { user_num: userNum, last_id: known?.last_id ?? '', is_stale: 1 };
  const follows = known?.is_stale === 0 && change.previous.length > 0 && change.previous.every((id) => id === known.last_id);
  return { user_num: userNum, last_id: change.id, is_stale: follows ? 0 : 1 };
};

/**
 * Takes in what other servers tell of the devices of their users, in order: those who share rooms with them are told, and where a change was missed, or there are more devices than are kept, the list is
 * remembered as stale. Of users who are in no room that is known here nothing is kept.
 */
export const createReceiveUpdates = ({
  database,
  strings,
  memberships,
  forgetKeys,
}: {
  database: Pick<Database, 'write'>;
  strings: Pick<Strings, 'numsOf'>;
  memberships: Pick<RoomGraph['memberships'], 'ofUser'>;
  /** What is kept of the user's keys has changed. */
  forgetKeys: (userNum: number) => void;
}): ((updates: readonly ListUpdate[]) => Promise<void>) => {
  const isHere = async (userNum: number): Promise<boolean> =>
    [...(await memberships.ofUser(userNum)).values()].some(({ membership }) => membership === 'join');

  return async (updates) => {
    if (updates.length === 0) return;
    const nums = await strings.numsOf([...new Set(updates.map(({ userId }) => userId))]);
    const here = new Map<string, number>();
    for (const [userId, userNum] of nums) if (await isHere(userNum)) here.set(userId, userNum);
    if (here.size === 0) return;
    await database.write('device lists of server', async (tx: Transaction) => {
      const known = new Map((await readRemoteLists(tx, [...here.values()])).map((row) => [row.user_num, row]));
      const told = new Set<number>();
      for (const update of updates) {
        const userNum = here.get(update.userId);
        if (userNum === undefined) continue;
        const row = after(userNum, known.get(userNum), update);
        if (isNews(known.get(userNum), row, update)) told.add(userNum);
        const device = row.is_stale === 0 ? update.device : undefined;
        const isFull = device?.json !== undefined && (await countRemoteDevices(tx, userNum)) >= MAX_REMOTE_DEVICES;
        known.set(userNum, isFull ? { ...row, is_stale: 1 } : row);
        if (device !== undefined && (device.isGone || device.json !== undefined) && !isFull)
          await putRemoteDevice(tx, userNum, device.deviceId, device.json);
      }
      for (const row of known.values()) putRemoteList(tx, row);
      for (const userNum of told) await noteListChange(tx, userNum);
      tx.onCommit(() => {
        for (const userNum of known.keys()) forgetKeys(userNum);
      });
    });
  };
};
