import { sql } from '#src/platform/database/sql.ts';
import type { Reader, Table, Transaction } from '#src/platform/database/types.ts';

const columns = { user_num: 'bigint', sender_num: 'bigint', since: 'bigint', until: 'bigint?' } as const;
const ignored: Table<typeof columns> = { name: 'push_ignored', columns, key: ['user_num', 'sender_num', 'since'] };

/** A stretch of events in which a user ignored a sender; still open while `until` is null. */
export interface IgnoredRow {
  readonly sender_num: number;
  readonly since: number;
  readonly until: number | null;
}

export const ignoredBy = async (reader: Reader, userNum: number): Promise<IgnoredRow[]> =>
  reader.all(sql`SELECT sender_num, since, until FROM push_ignored WHERE user_num = ${userNum}`);

/** All whom anybody ignores now. */
export const ignoredSenders = async (reader: Reader): Promise<number[]> => {
  const rows = await reader.all<{ sender_num: number }>(sql`SELECT DISTINCT sender_num FROM push_ignored WHERE until IS NULL`);
  return rows.map((row) => row.sender_num);
};

export const putIgnored = (tx: Transaction, userNum: number, row: IgnoredRow): void => {
  tx.put(ignored, { user_num: userNum, ...row });
};

/** Forgets whom a user has ignored. */
export const deleteIgnored = async (tx: Transaction, userNum: number): Promise<void> => {
  await tx.run(sql`DELETE FROM push_ignored WHERE user_num = ${userNum}`);
};
