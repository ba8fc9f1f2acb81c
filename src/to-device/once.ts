import { entryCache } from '#src/platform/cache/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import { hasTransaction, readTransactions, type TransactionRow } from '#src/to-device/store.ts';

/** A request by whose it is and its transaction id. */
export type RequestKey = Omit<TransactionRow, 'created_ts'>;

/**
 * Does each request once (client-server API, "Transaction identifiers"): one that comes again while the first is being done waits for it, one that comes
 * later does nothing. A device's rows are read once and then kept in memory, so that a request costs no query.
 */
export interface Once {
  /** `run` has to write the row and to call `remember` when it is durable. */
  run(key: RequestKey, run: () => Promise<void>): Promise<void>;
  /** Takes in a request that has just become durable. */
  remember(row: TransactionRow): void;
  /** Forgets what was done before a time. */
  forgetBefore(ts: number): void;
  /** Forgets devices that were deleted. */
  forgetDevices(userNum: number, deviceIds: readonly string[]): void;
}

const MAX_DEVICES = 20_000;
/** A device with more in a day is kept in memory in part, and asked for in the database when memory does not know. */
const MAX_PER_DEVICE = 1000;

interface Device {
  /** When each was done, by its name. */
  readonly done: Map<string, number>;
  readonly ready: Promise<void>;
  isComplete: boolean;
}

const deviceName = (userNum: number, deviceId: string): string => `${String(userNum)} ${deviceId}`;
const requestName = ({ event_type: type, txn_id: txnId }: RequestKey): string => `${type}/${txnId}`;

const add = (device: Device, row: TransactionRow): void => {
  device.done.set(requestName(row), row.created_ts);
  if (device.done.size <= MAX_PER_DEVICE) return;
  device.isComplete = false;
  const first = device.done.keys().next().value;
  if (first !== undefined) device.done.delete(first);
};

export const createOnce = (database: Pick<Database, 'read'>): Once => {
  const devices = entryCache<string, Device>(MAX_DEVICES);
  const running = new Map<string, Promise<void>>();

  const load = (name: string, key: RequestKey): Device => {
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    const device: Device = { done: new Map(), ready, isComplete: true };
    devices.set(name, device);
    const read = async (): Promise<void> => {
      const rows = await database.read('to-device transactions', (reader) =>
        readTransactions(reader, key.user_num, key.device_id, MAX_PER_DEVICE + 1),
      );
      for (const row of rows.toReversed()) add(device, row);
    };
    read().then(resolve, (error: unknown) => {
      devices.delete(name);
      reject(error);
    });
    return device;
  };

  return {
    run: async (key, run) => {
      const owner = deviceName(key.user_num, key.device_id);
      const device = devices.get(owner) ?? load(owner, key);
      await device.ready;
      const name = requestName(key);
      if (device.done.has(name)) return;
      const full = `${owner} ${name}`;
      const already = running.get(full);
      if (already !== undefined) return already;
      const isDone = async (): Promise<boolean> =>
        !device.isComplete && database.read('to-device transaction', (reader) => hasTransaction(reader, key));
      const doing = (async () => {
        if (!(await isDone())) await run();
      })().finally(() => running.delete(full));
      running.set(full, doing);
      return doing;
    },
    remember: (row) => {
      // A device that is not in memory is read with this row when it is asked for.
      const device = devices.peek(deviceName(row.user_num, row.device_id));
      if (device !== undefined) add(device, row);
    },
    forgetBefore: (ts) => {
      for (const { done } of devices.values()) for (const [name, doneTs] of done) if (doneTs < ts) done.delete(name);
    },
    forgetDevices: (userNum, deviceIds) => {
      for (const deviceId of deviceIds) devices.delete(deviceName(userNum, deviceId));
    },
  };
};
