import type { Requester } from '#src/accounts/index.ts';
import type { KnownDevices, OnDevicesRemoved } from '#src/devices/index.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import type { RateLimiter } from '#src/platform/http/rate-limits.ts';
import type { Jobs } from '#src/platform/jobs/index.ts';
import type { Random } from '#src/platform/random.ts';
import { unknownToken } from '#src/protocol/errors.ts';
import { deliverable, type IncomingMessages } from '#src/to-device/incoming.ts';
import { createInboxes } from '#src/to-device/inboxes.ts';
import { createOnce } from '#src/to-device/once.ts';
import { createOutbox, type Outbox } from '#src/to-device/outbox.ts';
import { byDevice, type ContentTexts, type Messages, type Recipients, sortRecipients } from '#src/to-device/recipients.ts';
import { createToDeviceSource, type ToDeviceSource } from '#src/to-device/source.ts';
import {
  deleteOfDevices,
  deleteOutgoingBefore,
  deleteReceivedBefore,
  deleteTransactionsBefore,
  type InboxRow,
  insertMessage,
  putReceivedMessage,
  putTransaction,
  readWaiting,
  receivedAmong,
  TO_DEVICE_STREAM,
} from '#src/to-device/store.ts';

export interface ToDevice {
  /**
   * Stores messages for devices, once for each transaction id, and resolves when they are durable. Users and devices that do not exist get none. Throws
   * `M_TOO_LARGE` for a content over 65,536 bytes, `M_UNKNOWN_TOKEN` when the sending device has been deleted meanwhile.
   */
  send(requester: Requester, type: string, txnId: string, messages: Messages): Promise<void>;
  /** How many messages wait for a device, and since when the oldest. */
  waiting(userNum: number, deviceId: string): Promise<{ readonly count: number; readonly oldestTs: number | undefined }>;
  /**
   * Stores messages of another server's users, each once, and resolves when they are durable. What is for users and devices that do not exist, or too large, is left out.
   */
  receive(origin: string, messages: readonly IncomingMessages[]): Promise<void>;
  /** Deletes what is kept for devices with them. */
  readonly onDevicesRemoved: OnDevicesRemoved;
  readonly source: ToDeviceSource;
  /** What other servers have to be sent. */
  readonly outbox: Outbox;
}

export interface ToDeviceTools {
  readonly database: Database;
  readonly strings: Strings;
  readonly clock: Clock;
  readonly random: Random;
  readonly jobs: Jobs;
  readonly serverName: string;
  readonly knownDevices: Pick<KnownDevices, 'of'>;
  /** `rc_key_requests`, by sending device. */
  readonly keyRequests: Pick<RateLimiter, 'tryTake'>;
}

/** A transaction id protects against repeats for a day, as that of an event does. */
const TRANSACTION_AGE_MS = 24 * 60 * 60 * 1000;
/** A server that cannot be reached for so long gets no more of what it was sent. */
const OUTGOING_AGE_MS = 7 * TRANSACTION_AGE_MS;
const SWEEP_INTERVAL_MS = 60 * 60 * 1000;

/** Messages from device to device (client-server API, "Send-to-Device messaging"). */
export const createToDevice = (tools: ToDeviceTools): ToDevice => {
  const { database, strings, clock, random, jobs, serverName, knownDevices, keyRequests } = tools;
  const inboxes = createInboxes(database);
  const once = createOnce(database);
  const outbox = createOutbox({ database, clock, random });
  const source = createToDeviceSource({ database, inboxes });

  const numbersOf = async (own: Recipients['own']): Promise<ReadonlyMap<number, ContentTexts>> => {
    const found = new Map<number, ContentTexts>();
    for (const [userId, texts] of own) {
      const userNum = strings.peekNum(userId) ?? (await strings.numOf(userId));
      if (userNum !== undefined) found.set(userNum, texts);
    }
    return found;
  };

  /** Adds the messages for this server's devices; answers whose they are. */
  const insertOwn = (
    tx: Transaction,
    own: ReadonlyMap<number, ContentTexts>,
    devices: ReadonlyMap<number, ReadonlySet<string>>,
    { position, around }: { position: number; around: readonly [before: string, after: string] },
  ): InboxRow[] => {
    const nowMs = clock.now();
    const rows: InboxRow[] = [];
    for (const [userNum, texts] of own) {
      for (const [deviceId, text] of byDevice(texts, devices.get(userNum) ?? new Set())) {
        const row = { user_num: userNum, device_id: deviceId, position, message: `${around[0]}${text}${around[1]}`, created_ts: nowMs };
        insertMessage(tx, row);
        rows.push(row);
      }
    }
    return rows;
  };

  const store = async (
    { userId, userNum, deviceId }: Requester,
    type: string,
    { own, remote }: { own: ReadonlyMap<number, ContentTexts>; remote: Recipients['remote'] },
    key: { user_num: number; device_id: string; event_type: string; txn_id: string },
  ): Promise<void> => {
    const around = ['{"content":', `,"sender":${JSON.stringify(userId)},"type":${JSON.stringify(type)}}`] as const;
    const outgoing = outbox.pack(remote, userId, type);
    const transaction = { ...key, created_ts: clock.now() };
    const woken = new Set<number>();
    await database.write('to-device messages', async (tx) => {
      const devices = await knownDevices.of(tx, [...new Set([userNum, ...own.keys()])]);
      // What it sent now would keep the next device of that name from sending.
      if (deviceId !== undefined && devices.get(userNum)?.has(deviceId) !== true)
        throw unknownToken('Unrecognised access token', { soft_logout: false });
      const position = await tx.nextPositions(TO_DEVICE_STREAM, 1 + outgoing.length);
      const rows = insertOwn(tx, own, devices, { position, around });
      outbox.insert(tx, outgoing, position + 1);
      putTransaction(tx, transaction);
      tx.onCommit(() => {
        once.remember(transaction);
        for (const row of rows) {
          inboxes.noteMessage(row.user_num, row.device_id, position);
          woken.add(row.user_num);
        }
      });
    });
    source.wake(woken);
  };

  const receive: ToDevice['receive'] = async (origin, messages) => {
    if (messages.length === 0) return;
    const byId = new Map(messages.map((each) => [each.messageId, each]));
    const all = await Promise.all([...byId.values()].map(async (each) => deliverable(each, tools)));
    const woken = new Set<number>();
    await database.write('to-device messages of server', async (tx) => {
      const before = await receivedAmong(
        tx,
        origin,
        all.map(({ messageId }) => messageId),
      );
      const fresh = all.filter(({ messageId }) => !before.has(messageId));
      if (fresh.length === 0) return;
      const devices = await knownDevices.of(tx, [...new Set(fresh.flatMap(({ own }) => [...own.keys()]))]);
      const first = await tx.nextPositions(TO_DEVICE_STREAM, fresh.length);
      const rows = fresh.flatMap(({ own, around }, index) => insertOwn(tx, own, devices, { position: first + index, around }));
      for (const { messageId } of fresh) putReceivedMessage(tx, { origin, message_id: messageId, received_ts: clock.now() });
      tx.onCommit(() => {
        for (const row of rows) {
          inboxes.noteMessage(row.user_num, row.device_id, row.position);
          woken.add(row.user_num);
        }
      });
    });
    source.wake(woken);
  };

  const sweep = async (): Promise<void> => {
    const beforeTs = clock.now() - TRANSACTION_AGE_MS;
    await database.write('sweep to-device', async (tx) => {
      await deleteTransactionsBefore(tx, beforeTs);
      await deleteOutgoingBefore(tx, clock.now() - OUTGOING_AGE_MS);
      await deleteReceivedBefore(tx, clock.now() - OUTGOING_AGE_MS);
    });
    once.forgetBefore(beforeTs);
  };
  jobs.every('sweep to-device', SWEEP_INTERVAL_MS, sweep);

  return {
    send: async (requester, type, txnId, messages) => {
      const { userNum, deviceId, sessionNum } = requester;
      const device = deviceId ?? `session ${String(sessionNum)}`;
      const key = { user_num: userNum, device_id: device, event_type: type, txn_id: txnId };
      await once.run(key, async () => {
        const { own, remote } = sortRecipients(messages, type, { requester, serverName, keyRequests });
        await store(requester, type, { own: await numbersOf(own), remote }, key);
      });
    },
    waiting: async (userNum, deviceId) => {
      const { count, oldest_ts: oldestTs } = await database.read('to-device waiting', (reader) => readWaiting(reader, userNum, deviceId));
      // What came before times were kept has none.
      return { count, oldestTs: oldestTs === null || oldestTs === 0 ? undefined : oldestTs };
    },
    receive,
    onDevicesRemoved: async (tx, userNum, deviceIds) => {
      await deleteOfDevices(tx, userNum, deviceIds);
      tx.onCommit(() => {
        inboxes.forget(userNum, deviceIds);
        once.forgetDevices(userNum, deviceIds);
      });
    },
    source,
    outbox,
  };
};
