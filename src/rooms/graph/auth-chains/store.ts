import { sql } from '#src/platform/database/sql.ts';
import type { Reader, Table, Transaction } from '#src/platform/database/types.ts';

const columns = { event_num: 'bigint', generation: 'bigint' } as const;
const authGenerations: Table<typeof columns> = { name: 'auth_generations', columns, key: ['event_num'] };

export const putGeneration = (tx: Transaction, eventNum: number, generation: number): void =>
  tx.put(authGenerations, { event_num: eventNum, generation });

/** Generations by event number, of those that have one. */
export const generationsOf = async (reader: Reader, nums: readonly number[]): Promise<Map<number, number>> => {
  const rows = await reader.all<{ event_num: number; generation: number }>(
    sql`SELECT event_num, generation FROM auth_generations WHERE event_num ${sql.in(nums)}`,
  );
  return new Map(rows.map((row) => [row.event_num, row.generation]));
};

/** The auth events of state events, by event number. */
export const authNumsOf = async (reader: Reader, nums: readonly number[]): Promise<Map<number, number[]>> => {
  const rows = await reader.all<{ event_num: number; auth_num: number }>(
    sql`SELECT event_num, auth_num FROM event_auth WHERE event_num ${sql.in(nums)}`,
  );
  const auth = new Map<number, number[]>();
  for (const row of rows) auth.getOrInsertComputed(row.event_num, () => []).push(row.auth_num);
  return auth;
};

/** State events that cite an event as auth event and have numbers below one, newest first. */
export const citingNums = async (reader: Reader, num: number, below: number, limit: number): Promise<number[]> => {
  const rows = await reader.all<{ event_num: number }>(
    sql`SELECT event_num FROM event_auth WHERE auth_num = ${num} AND event_num < ${below} ORDER BY event_num DESC LIMIT ${limit}`,
  );
  return rows.map((row) => row.event_num);
};

/** State events of all rooms with numbers in (after, upTo]. */
export const stateNumsBetween = async (reader: Reader, after: number, upTo: number): Promise<number[]> => {
  const rows = await reader.all<{ event_num: number }>(
    sql`SELECT event_num FROM events WHERE event_num > ${after} AND event_num <= ${upTo} AND state_key_num IS NOT NULL ORDER BY event_num`,
  );
  return rows.map((row) => row.event_num);
};

/** State events of a room after one, by number. */
export const stateNumsOfRoom = async (reader: Reader, roomNum: number, after: number, limit: number): Promise<number[]> => {
  const rows = await reader.all<{ event_num: number }>(
    sql`SELECT event_num FROM events WHERE room_num = ${roomNum} AND event_num > ${after} AND state_key_num IS NOT NULL
        ORDER BY event_num LIMIT ${limit}`,
  );
  return rows.map((row) => row.event_num);
};

export const lastEventNum = async (reader: Reader): Promise<number> =>
  (await reader.one<{ last: number | null }>(sql`SELECT MAX(event_num) AS last FROM events`))?.last ?? 0;

export const deleteGenerationsOfRoom = async (tx: Transaction, roomNum: number): Promise<number> =>
  tx.run(sql`DELETE FROM auth_generations WHERE event_num IN (SELECT event_num FROM events WHERE room_num = ${roomNum})`);
