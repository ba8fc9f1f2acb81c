import { sql } from '#src/platform/database/sql.ts';
import type { Reader, RowOf, Table, Transaction } from '#src/platform/database/types.ts';

export const TO_DEVICE_STREAM = 'to_device';

const inboxColumns = { user_num: 'bigint', device_id: 'text', position: 'bigint', message: 'text', created_ts: 'bigint' } as const;
const inbox: Table<typeof inboxColumns> = { name: 'to_device_inbox', columns: inboxColumns, key: ['user_num', 'device_id', 'position'] };

const transactionColumns = { user_num: 'bigint', device_id: 'text', event_type: 'text', txn_id: 'text', created_ts: 'bigint' } as const;
const transactions: Table<typeof transactionColumns> = {
  name: 'to_device_transactions',
  columns: transactionColumns,
  key: ['user_num', 'device_id', 'event_type', 'txn_id'],
};

const receivedColumns = { origin: 'text', message_id: 'text', received_ts: 'bigint' } as const;
const received: Table<typeof receivedColumns> = { name: 'received_messages', columns: receivedColumns, key: ['origin', 'message_id'] };

const outboxColumns = { destination: 'text', position: 'bigint', content: 'text', created_ts: 'bigint' } as const;
const outbox: Table<typeof outboxColumns> = { name: 'to_device_outbox', columns: outboxColumns, key: ['destination', 'position'] };

export type InboxRow = RowOf<typeof inboxColumns>;
export type TransactionRow = RowOf<typeof transactionColumns>;
export type OutboxRow = RowOf<typeof outboxColumns>;

/** Adds a message for a device. */
export const insertMessage = (tx: Transaction, row: InboxRow): void => tx.insert(inbox, row);

/** Where the oldest and the newest message of a device stand; null when there is none. */
export const readEnds = async (
  reader: Reader,
  userNum: number,
  deviceId: string,
): Promise<{ readonly oldest: number | null; readonly newest: number | null } | undefined> =>
  reader.one(sql`
    SELECT MIN(position) AS oldest, MAX(position) AS newest FROM to_device_inbox WHERE user_num = ${userNum} AND device_id = ${deviceId}`);

/** The oldest messages of a device with positions in (after, upTo]. */
export const readMessages = async (
  reader: Reader,
  device: { readonly userNum: number; readonly deviceId: string },
  span: { readonly after: number; readonly upTo: number },
  limit: number,
): Promise<Pick<InboxRow, 'position' | 'message'>[]> =>
  reader.all(sql`
    SELECT position, message FROM to_device_inbox
    WHERE user_num = ${device.userNum} AND device_id = ${device.deviceId} AND position > ${span.after} AND position <= ${span.upTo}
    ORDER BY position LIMIT ${limit}`);

/** How many messages wait for a device, and since when the oldest; null when there is none. */
export const readWaiting = async (
  reader: Reader,
  userNum: number,
  deviceId: string,
): Promise<{ readonly count: number; readonly oldest_ts: number | null }> =>
  (await reader.one<{ count: number; oldest_ts: number | null }>(sql`
    SELECT COUNT(*) AS count, MIN(created_ts) AS oldest_ts FROM to_device_inbox WHERE user_num = ${userNum} AND device_id = ${deviceId}`)) ?? {
    count: 0,
    oldest_ts: null,
  };

/** The servers that have to be sent something. */
export const readDestinations = async (reader: Reader): Promise<string[]> =>
  (await reader.all<{ destination: string }>(sql`SELECT DISTINCT destination FROM to_device_outbox`)).map((row) => row.destination);

/** Deletes a device's messages up to a position. */
export const deleteMessages = (tx: Transaction, userNum: number, deviceId: string, upTo: number): Promise<number> =>
  tx.run(sql`DELETE FROM to_device_inbox WHERE user_num = ${userNum} AND device_id = ${deviceId} AND position <= ${upTo}`);

/** Deletes all that is kept for devices. */
export const deleteOfDevices = async (tx: Transaction, userNum: number, deviceIds: readonly string[]): Promise<void> => {
  await tx.run(sql`DELETE FROM to_device_inbox WHERE user_num = ${userNum} AND device_id ${sql.in(deviceIds)}`);
  await tx.run(sql`DELETE FROM to_device_transactions WHERE user_num = ${userNum} AND device_id ${sql.in(deviceIds)}`);
};

/** Notes that a request was done. */
export const putTransaction = (tx: Transaction, row: TransactionRow): void => tx.put(transactions, row);

/** The latest requests of a device that were done, newest first. */
export const readTransactions = (reader: Reader, userNum: number, deviceId: string, limit: number): Promise<TransactionRow[]> =>
  reader.all<TransactionRow>(sql`
    SELECT * FROM to_device_transactions WHERE user_num = ${userNum} AND device_id = ${deviceId} ORDER BY created_ts DESC LIMIT ${limit}`);

/** Whether a request was done. */
export const hasTransaction = async (reader: Reader, row: Omit<TransactionRow, 'created_ts'>): Promise<boolean> => {
  const found = await reader.one(sql`
    SELECT 1 AS found FROM to_device_transactions
    WHERE user_num = ${row.user_num} AND device_id = ${row.device_id} AND event_type = ${row.event_type} AND txn_id = ${row.txn_id}`);
  return found !== undefined;
};

/** Forgets requests that were done before a time. */
export const deleteTransactionsBefore = (tx: Transaction, beforeTs: number): Promise<number> =>
  tx.run(sql`DELETE FROM to_device_transactions WHERE created_ts < ${beforeTs}`);

/** Adds what is to be sent to another server. */
export const insertOutgoing = (tx: Transaction, row: OutboxRow): void => tx.insert(outbox, row);

/** The oldest of what is to be sent to a server. */
export const readOutgoing = (reader: Reader, destination: string, limit: number): Promise<OutboxRow[]> =>
  reader.all<OutboxRow>(sql`SELECT * FROM to_device_outbox WHERE destination = ${destination} ORDER BY position LIMIT ${limit}`);

/** Deletes what was sent to a server, up to a position. */
export const deleteOutgoing = (tx: Transaction, destination: string, upTo: number): Promise<number> =>
  tx.run(sql`DELETE FROM to_device_outbox WHERE destination = ${destination} AND position <= ${upTo}`);

/** Gives up what could not be sent since before a time. */
export const deleteOutgoingBefore = (tx: Transaction, beforeTs: number): Promise<number> =>
  tx.run(sql`DELETE FROM to_device_outbox WHERE created_ts < ${beforeTs}`);

/** Notes that a message of another server was taken in. */
export const putReceivedMessage = (tx: Transaction, row: RowOf<typeof receivedColumns>): void => tx.put(received, row);

/** Those of a server's messages that were taken in before. */
export const receivedAmong = async (reader: Reader, origin: string, messageIds: readonly string[]): Promise<Set<string>> => {
  const rows = await reader.all<{ message_id: string }>(sql`
    SELECT message_id FROM received_messages WHERE origin = ${origin} AND message_id ${sql.in(messageIds)}`);
  return new Set(rows.map((row) => row.message_id));
};

/** Forgets messages that were taken in before a time. */
export const deleteReceivedBefore = (tx: Transaction, beforeTs: number): Promise<number> =>
  tx.run(sql`DELETE FROM received_messages WHERE received_ts < ${beforeTs}`);
