import { sql } from '#src/platform/database/sql.ts';
import type { Reader, Transaction } from '#src/platform/database/types.ts';

/** The definition of a user's filter, as JSON. */
export const readFilter = async (reader: Reader, userNum: number, filterNum: number): Promise<string | undefined> => {
  const row = await reader.one<{ definition: string }>(sql`
    SELECT definition FROM user_filters WHERE user_num = ${userNum} AND filter_num = ${filterNum}`);
  return row?.definition;
};

/** The number of a user's filter that is the same. */
export const findFilter = async (reader: Reader, userNum: number, hash: Uint8Array): Promise<number | undefined> => {
  const row = await reader.one<{ filter_num: number }>(sql`
    SELECT filter_num FROM user_filters WHERE user_num = ${userNum} AND hash = ${hash}`);
  return row?.filter_num;
};

/** Deletes a user's filters. */
export const deleteFiltersOf = async (tx: Transaction, userNum: number): Promise<void> => {
  await tx.run(sql`DELETE FROM user_filters WHERE user_num = ${userNum}`);
};

/** Adds a filter under the user's next number, and deletes the oldest beyond `maxFilters`. */
export const insertFilter = async (
  tx: Transaction,
  userNum: number,
  hash: Uint8Array,
  definition: string,
  maxFilters: number,
): Promise<number> => {
  const row = await tx.one<{ next: number }>(sql`
    SELECT COALESCE(MAX(filter_num) + 1, 0) AS next FROM user_filters WHERE user_num = ${userNum}`);
  const filterNum = row?.next ?? 0;
  await tx.run(sql`
    INSERT INTO user_filters (user_num, filter_num, hash, definition) VALUES (${userNum}, ${filterNum}, ${hash}, ${definition})`);
  await tx.run(sql`DELETE FROM user_filters WHERE user_num = ${userNum} AND filter_num <= ${filterNum - maxFilters}`);
  return filterNum;
};
