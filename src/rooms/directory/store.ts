import { sql } from '#src/platform/database/sql.ts';
import type { Reader, Transaction } from '#src/platform/database/types.ts';

export interface AliasRow {
  readonly room_num: number;
  readonly creator_num: number;
}

/** What an alias stands for. */
export const readAlias = (reader: Reader, alias: string): Promise<AliasRow | undefined> =>
  reader.one<AliasRow>(sql`SELECT room_num, creator_num FROM room_aliases WHERE alias = ${alias}`);

/** A room's aliases, in the order of their letters. */
export const readAliasesOf = async (reader: Reader, roomNum: number): Promise<string[]> => {
  const rows = await reader.all<{ alias: string }>(sql`SELECT alias FROM room_aliases WHERE room_num = ${roomNum} ORDER BY alias`);
  return rows.map((row) => row.alias);
};

/** Adds an alias; answers false when it is taken. */
export const insertAlias = async (tx: Transaction, alias: string, roomNum: number, creatorNum: number): Promise<boolean> => {
  const changed = await tx.run(sql`
    INSERT INTO room_aliases (alias, room_num, creator_num) VALUES (${alias}, ${roomNum}, ${creatorNum}) ON CONFLICT DO NOTHING`);
  return changed > 0;
};

export const deleteAlias = async (tx: Transaction, alias: string): Promise<void> => {
  await tx.run(sql`DELETE FROM room_aliases WHERE alias = ${alias}`);
};

export const isPublished = async (reader: Reader, roomNum: number): Promise<boolean> =>
  (await reader.one(sql`SELECT room_num FROM published_rooms WHERE room_num = ${roomNum}`)) !== undefined;

/** Those of some rooms that are on the list. */
export const publishedAmong = async (reader: Reader, roomNums: readonly number[]): Promise<ReadonlySet<number>> => {
  const rows = await reader.all<{ room_num: number }>(sql`SELECT room_num FROM published_rooms WHERE room_num ${sql.in(roomNums)}`);
  return new Set(rows.map((row) => row.room_num));
};

export const insertPublished = async (tx: Transaction, roomNum: number): Promise<void> => {
  await tx.run(sql`INSERT INTO published_rooms (room_num) VALUES (${roomNum}) ON CONFLICT DO NOTHING`);
};

export const deletePublished = async (tx: Transaction, roomNum: number): Promise<void> => {
  await tx.run(sql`DELETE FROM published_rooms WHERE room_num = ${roomNum}`);
};

/** Whether a room has an alias or is on the list. */
export const isListed = async (reader: Reader, roomNum: number): Promise<boolean> =>
  (await reader.one(sql`
    SELECT 1 AS found FROM rooms WHERE room_num = ${roomNum} AND (
      EXISTS (SELECT 1 FROM room_aliases a WHERE a.room_num = ${roomNum}) OR EXISTS (SELECT 1 FROM published_rooms p WHERE p.room_num = ${roomNum}))`)) !==
  undefined;

/** Gives a room's aliases and its place on the list to another. */
export const moveListing = async (tx: Transaction, fromNum: number, toNum: number): Promise<void> => {
  await tx.run(sql`UPDATE room_aliases SET room_num = ${toNum} WHERE room_num = ${fromNum}`);
  const taken = await tx.run(sql`DELETE FROM published_rooms WHERE room_num = ${fromNum}`);
  if (taken > 0) await insertPublished(tx, toNum);
};
