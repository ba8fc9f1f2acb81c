import { sql } from '#src/platform/database/sql.ts';
import type { Reader, Table, Transaction } from '#src/platform/database/types.ts';

const ruleColumns = { user_num: 'bigint', position: 'bigint', rules: 'text' } as const;
const pushRules: Table<typeof ruleColumns> = { name: 'push_rules', columns: ruleColumns, key: ['user_num'] };

export interface RulesRow {
  readonly user_num: number;
  readonly position: number;
  readonly rules: string;
}

/** The rules of those users who have changed any. */
export const rulesOfUsers = async (reader: Reader, userNums: readonly number[]): Promise<RulesRow[]> =>
  reader.all(sql`SELECT user_num, position, rules FROM push_rules WHERE user_num ${sql.in(userNums)}`);

export const putRules = (tx: Transaction, row: RulesRow): void => {
  tx.put(pushRules, { ...row });
};

/** Users whose rules last changed at a position in (after, upTo]. */
export const usersChanged = async (reader: Reader, after: number, upTo: number): Promise<number[]> => {
  const rows = await reader.all<{ user_num: number }>(
    sql`SELECT user_num FROM push_rules WHERE position > ${after} AND position <= ${upTo}`,
  );
  return rows.map((row) => row.user_num);
};

/** Deletes what a user has changed. Nobody asks for the rules of a user who is gone, so that it is no change of the stream. */
export const deleteRules = async (tx: Transaction, userNum: number): Promise<void> => {
  await tx.run(sql`DELETE FROM push_rules WHERE user_num = ${userNum}`);
};
