import { sql } from '#src/platform/database/sql.ts';
import type { Reader, RowOf, Table, Transaction } from '#src/platform/database/types.ts';

/** The stream that gives staged events their order. */
const STAGED_STREAM = 'staged_pdus';

const stagedColumns = { position: 'bigint', room_num: 'bigint', origin: 'text', json: 'text' } as const;
const staged: Table<typeof stagedColumns> = { name: 'staged_pdus', columns: stagedColumns, key: ['position'] };

const transactionColumns = { origin: 'text', txn_id: 'text', answer: 'text', received_ts: 'bigint' } as const;
const transactions: Table<typeof transactionColumns> = {
  name: 'received_transactions',
  columns: transactionColumns,
  key: ['origin', 'txn_id'],
};

export type StagedRow = RowOf<typeof stagedColumns>;
type TransactionRow = RowOf<typeof transactionColumns>;

/** Adds events in their order; answers the position of the first. */
export const insertStaged = async (tx: Transaction, rows: readonly Omit<StagedRow, 'position'>[]): Promise<number> => {
  const first = await tx.nextPositions(STAGED_STREAM, rows.length);
  for (const [index, row] of rows.entries()) tx.insert(staged, { position: first + index, ...row });
  return first;
};

/** The oldest of the events after a position. */
export const readStaged = (reader: Reader, after: number, limit: number): Promise<StagedRow[]> =>
  reader.all<StagedRow>(sql`SELECT * FROM staged_pdus WHERE position > ${after} ORDER BY position LIMIT ${limit}`);

export const deleteStaged = async (tx: Transaction, positions: readonly number[]): Promise<void> => {
  await tx.run(sql`DELETE FROM staged_pdus WHERE position ${sql.in(positions)}`);
};

export const putTransactionAnswer = (tx: Transaction, row: TransactionRow): void => tx.put(transactions, row);

/** What a transaction was answered, as JSON; undefined for one that is new. */
export const readTransactionAnswer = async (reader: Reader, origin: string, txnId: string): Promise<string | undefined> => {
  const row = await reader.one<{ answer: string }>(sql`
    SELECT answer FROM received_transactions WHERE origin = ${origin} AND txn_id = ${txnId}`);
  return row?.answer;
};

/** Forgets transactions that were answered before a time. */
export const deleteTransactionsBefore = (tx: Transaction, beforeTs: number): Promise<number> =>
  tx.run(sql`DELETE FROM received_transactions WHERE received_ts < ${beforeTs}`);
