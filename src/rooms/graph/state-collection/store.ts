import { sql } from '#src/platform/database/sql.ts';
import type { Reader, Transaction } from '#src/platform/database/types.ts';
import type { NodeId } from '#src/rooms/graph/state-tree/nodes.ts';

/** The collection that is at work has this in place of its time. */
const AT_WORK = 0;

/** Has the room collected at `dueTs` (milliseconds), unless that is due already. One at work may miss what comes now, so another follows it. */
export const wantCollection = async (tx: Transaction, roomNum: number, dueTs: number): Promise<void> => {
  await tx.run(sql`
    INSERT INTO state_collections (room_num, due_ts) VALUES (${roomNum}, ${dueTs})
    ON CONFLICT (room_num) DO UPDATE SET due_ts = excluded.due_ts WHERE state_collections.due_ts = ${AT_WORK}`);
};

/** Rooms whose time has come, those that were interrupted first. */
export const dueCollections = async (reader: Reader, nowTs: number, limit: number): Promise<number[]> => {
  const rows = await reader.all<{ room_num: number }>(
    sql`SELECT room_num FROM state_collections WHERE due_ts <= ${nowTs} ORDER BY due_ts, room_num LIMIT ${limit}`,
  );
  return rows.map((row) => row.room_num);
};

export const beginCollection = async (tx: Transaction, roomNum: number): Promise<void> => {
  await tx.run(sql`UPDATE state_collections SET due_ts = ${AT_WORK} WHERE room_num = ${roomNum}`);
};

/** Leaves the row of who wanted another one meanwhile. */
export const endCollection = async (tx: Transaction, roomNum: number): Promise<void> => {
  await tx.run(sql`DELETE FROM state_collections WHERE room_num = ${roomNum} AND due_ts = ${AT_WORK}`);
};

export const postponeCollection = async (tx: Transaction, roomNum: number, dueTs: number): Promise<void> => {
  await tx.run(sql`UPDATE state_collections SET due_ts = ${dueTs} WHERE room_num = ${roomNum}`);
};

/** A page of roots, and where the next one begins; `next` is undefined on the last. */
export interface RootPage {
  readonly roots: readonly NodeId[];
  readonly next: number | undefined;
}

const pageOf = (rows: readonly { place: number; root: NodeId | null }[], limit: number): RootPage => ({
  roots: rows.flatMap((row) => row.root ?? []),
  next: rows.length < limit ? undefined : rows.at(-1)?.place,
});

/**
 * The columns that hold roots, each read in pages by an index: of the room's head, of its current state in time, and of the events with a place in the timeline
 * and of those without.
 */
export const ROOT_PAGES: readonly ((reader: Reader, roomNum: number, after: number, limit: number) => Promise<RootPage>)[] = [
  async (reader, roomNum, after, limit) =>
    pageOf(
      await reader.all(
        sql`SELECT room_num AS place, current_root AS root FROM room_heads WHERE room_num = ${roomNum} AND room_num > ${after}`,
      ),
      limit,
    ),
  async (reader, roomNum, after, limit) =>
    pageOf(
      await reader.all(sql`
        SELECT stream_position AS place, current_root AS root FROM room_state_history
        WHERE room_num = ${roomNum} AND stream_position > ${after} ORDER BY stream_position LIMIT ${limit}`),
      limit,
    ),
  async (reader, roomNum, after, limit) =>
    pageOf(
      await reader.all(sql`
        SELECT stream_position AS place, state_root AS root FROM events
        WHERE room_num = ${roomNum} AND stream_position > ${after} ORDER BY stream_position LIMIT ${limit}`),
      limit,
    ),
  async (reader, roomNum, after, limit) =>
    pageOf(
      await reader.all(sql`
        SELECT event_num AS place, state_root AS root FROM events
        WHERE room_num = ${roomNum} AND stream_position IS NULL AND event_num > ${after} ORDER BY event_num LIMIT ${limit}`),
      limit,
    ),
];

export const nodeIdsAfter = async (reader: Reader, roomNum: number, after: NodeId, limit: number): Promise<NodeId[]> => {
  const rows = await reader.all<{ node_id: NodeId }>(
    sql`SELECT node_id FROM state_nodes WHERE room_num = ${roomNum} AND node_id > ${after} ORDER BY node_id LIMIT ${limit}`,
  );
  return rows.map((row) => row.node_id);
};

export const deleteNodes = async (tx: Transaction, roomNum: number, ids: readonly NodeId[]): Promise<void> => {
  await tx.run(sql`DELETE FROM state_nodes WHERE room_num = ${roomNum} AND node_id ${sql.in(ids)}`);
};
