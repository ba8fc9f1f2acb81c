import { entryCache } from '#src/platform/cache/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import { type TransactionKey, transactionOf, transactionsOf } from '#src/rooms/graph/store.ts';

/**
 * Which events clients' transaction ids have made, so that a repeated request answers with the first one's event (specification: "Transaction
 * identifiers"). A device's rows are read once and then kept up to date in memory: a send costs no query.
 */
export interface SentTransactions {
  find(key: TransactionKey, roomNum: number): Promise<number | undefined>;
  /** Takes in a transaction that has just become durable. */
  remember(key: TransactionKey, roomNum: number, eventNum: number): void;
  /** Forgets what memory holds: it may miss transactions. */
  forgetAll(): void;
  /** The transaction id with which a device sent a recent event. */
  txnIdOf(userNum: number, deviceId: string, eventNum: number): string | undefined;
}

const MAX_DEVICES = 20_000;
const MAX_SENDERS = 20_000;
/** A device with more in a day (a busy bot) is kept in memory in part, and asked for in the database when memory does not know. */
const MAX_PER_DEVICE = 2000;

const deviceName = (userNum: number, deviceId: string): string => `${String(userNum)}/${deviceId}`;
const txnName = (roomNum: number, txnId: string): string => `${String(roomNum)}/${txnId}`;

/** A device's transactions: all of them once `ready`, unless they were too many. */
interface Device {
  readonly known: Map<string, number>;
  readonly ready: Promise<void>;
  complete: boolean;
}

const add = (device: Device, name: string, eventNum: number): void => {
  device.known.set(name, eventNum);
  if (device.known.size <= MAX_PER_DEVICE) return;
  device.complete = false;
  const oldest = device.known.keys().next().value;
  if (oldest !== undefined) device.known.delete(oldest);
};

export const createSentTransactions = (database: Database): SentTransactions => {
  const devices = entryCache<string, Device>(MAX_DEVICES);
  const senders = entryCache<number, TransactionKey>(MAX_SENDERS);

  const load = (name: string, { userNum, deviceId }: TransactionKey): Device => {
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    const device: Device = { known: new Map(), ready, complete: true };
    devices.set(name, device);
    const read = async (): Promise<void> => {
      const rows = await database.read('sent transactions', async (reader) =>
        transactionsOf(reader, userNum, deviceId, MAX_PER_DEVICE + 1),
      );
      for (const row of rows) add(device, txnName(row.room_num, row.txn_id), row.event_num);
    };
    read().then(resolve, (error: unknown) => {
      devices.delete(name);
      reject(error);
    });
    return device;
  };

  return {
    find: async (key, roomNum) => {
      const name = deviceName(key.userNum, key.deviceId);
      const device = devices.get(name) ?? load(name, key);
      await device.ready;
      const known = device.known.get(txnName(roomNum, key.txnId));
      if (known !== undefined || device.complete) return known;
      return database.read('sent transaction', async (reader) => transactionOf(reader, key, roomNum));
    },
    remember: (key, roomNum, eventNum) => {
      senders.set(eventNum, key);
      const device = devices.get(deviceName(key.userNum, key.deviceId));
      // A device that is not in memory is read with this row when it is asked for.
      if (device !== undefined) add(device, txnName(roomNum, key.txnId), eventNum);
    },
    forgetAll: () => devices.clear(),
    txnIdOf: (userNum, deviceId, eventNum) => {
      const key = senders.get(eventNum);
      return key?.userNum === userNum && key.deviceId === deviceId ? key.txnId : undefined;
    },
  };
};
