import type { Database } from '#src/platform/database/types.ts';
import type { Inboxes } from '#src/to-device/inboxes.ts';
import { deleteMessages, readMessages, TO_DEVICE_STREAM } from '#src/to-device/store.ts';

interface Device {
  readonly userNum: number;
  readonly deviceId: string | undefined;
}

/** Some of a device's messages as JSON texts, oldest first, and the position up to which those are all. */
export interface Taken {
  readonly events: readonly string[];
  readonly upTo: number;
}

/** Devices' messages as a stream of `/sync`. */
export interface ToDeviceSource {
  readonly part: 'toDevice';
  now(): { readonly position: number; readonly epoch: undefined };
  follow(wake: { users(userNums: Iterable<number>): void }): void;
  /** The next messages of a device. Those at or before `after` have arrived and are deleted first. */
  take(device: Device, span: { readonly after: number | undefined; readonly upTo: number }, limit: number): Promise<Taken>;
  /** The messages of a device in a stretch, oldest first; they stay. */
  look(
    device: { readonly userNum: number; readonly deviceId: string },
    span: { readonly after: number; readonly upTo: number },
    limit: number,
  ): Promise<Taken>;
  /** Lets users know of messages. */
  wake(userNums: Iterable<number>): void;
}

export const createToDeviceSource = ({ database, inboxes }: { database: Database; inboxes: Inboxes }): ToDeviceSource => {
  const listeners: ((userNums: Iterable<number>) => void)[] = [];

  const acknowledge = async (userNum: number, deviceId: string, upTo: number): Promise<void> => {
    await database.write('to-device arrived', async (tx) => {
      await deleteMessages(tx, userNum, deviceId, upTo);
      tx.onCommit(() => inboxes.noteDeleted(userNum, deviceId, upTo));
    });
  };

  const look: ToDeviceSource['look'] = async ({ userNum, deviceId }, { after, upTo }, limit) => {
    const { newest } = await inboxes.of(userNum, deviceId);
    if (newest === undefined || newest <= after) return { events: [], upTo };
    const rows = await database.read('to-device messages', (reader) =>
      readMessages(reader, { userNum, deviceId }, { after, upTo }, limit + 1),
    );
    const events = rows.slice(0, limit).map((row) => row.message);
    return { events, upTo: rows.length > limit ? (rows[limit - 1]?.position ?? after) : upTo };
  };

  return {
    part: 'toDevice',
    now: () => ({ position: database.positions.current(TO_DEVICE_STREAM).min, epoch: undefined }),
    follow: (wake) => void listeners.push((userNums) => wake.users(userNums)),
    take: async ({ userNum, deviceId }, { after, upTo }, limit) => {
      if (deviceId === undefined) return { events: [], upTo };
      const inbox = await inboxes.of(userNum, deviceId);
      if (after !== undefined && inbox.oldest !== undefined && inbox.oldest <= after) await acknowledge(userNum, deviceId, after);
      return look({ userNum, deviceId }, { after: after ?? 0, upTo }, limit);
    },
    look,
    wake: (userNums) => {
      for (const listener of listeners) listener(userNums);
    },
  };
};
