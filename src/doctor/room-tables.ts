import { type Sql, sql } from '#src/platform/database/sql.ts';
import type { Reader } from '#src/platform/database/types.ts';

/**
 * Every table that has something of rooms or of their events. Whoever purges a room deletes from all of them: by its number, and before that from those of events
 * by its events' numbers. A test holds this list against the schema.
 */

export interface RoomTable {
  /** Of rooms with numbers above `after`, some that have rows there and do not exist; the next one alone where an index finds it. */
  readonly lost: (reader: Reader, after: number) => Promise<readonly number[]>;
  readonly deleteRows: (roomNum: number) => Sql;
}

/** One step of an index finds the next room number, however many rows a room has. */
const indexed = (next: (after: number) => Sql, deleteRows: RoomTable['deleteRows']): RoomTable => ({
  lost: async (reader, after) => {
    for (let from = after; ;) {
      const num = (await reader.one<{ room_num: number | null }>(next(from)))?.room_num ?? undefined;
      if (num === undefined) return [];
      if ((await reader.one(sql`SELECT room_num FROM rooms WHERE room_num = ${num}`)) === undefined) return [num];
      from = num;
    }
  },
  deleteRows,
});

/** Nothing asks these by room, so all of their rows are looked at. */
const scanned = (all: (after: number) => Sql, deleteRows: RoomTable['deleteRows']): RoomTable => ({
  lost: async (reader, after) => (await reader.all<{ room_num: number }>(all(after))).map((row) => row.room_num),
  deleteRows,
});

export const ROOM_TABLES: Readonly<Record<string, RoomTable>> = {
  events: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM events WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM events WHERE room_num = ${num}`,
  ),
  missing_events: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM missing_events WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM missing_events WHERE room_num = ${num}`,
  ),
  pending_redactions: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM pending_redactions WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM pending_redactions WHERE room_num = ${num}`,
  ),
  room_heads: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM room_heads WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM room_heads WHERE room_num = ${num}`,
  ),
  state_nodes: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM state_nodes WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM state_nodes WHERE room_num = ${num}`,
  ),
  state_collections: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM state_collections WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM state_collections WHERE room_num = ${num}`,
  ),
  memberships: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM memberships WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM memberships WHERE room_num = ${num}`,
  ),
  outside_states: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM outside_states WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM outside_states WHERE room_num = ${num}`,
  ),
  untold_leaves: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM untold_leaves WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM untold_leaves WHERE room_num = ${num}`,
  ),
  pending_pushes: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM pending_pushes WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM pending_pushes WHERE room_num = ${num}`,
  ),
  outbox_rooms: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM outbox_rooms WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM outbox_rooms WHERE room_num = ${num}`,
  ),
  staged_pdus: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM staged_pdus WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM staged_pdus WHERE room_num = ${num}`,
  ),
  room_state_history: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM room_state_history WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM room_state_history WHERE room_num = ${num}`,
  ),
  receipts: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM receipts WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM receipts WHERE room_num = ${num}`,
  ),
  room_aliases: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM room_aliases WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM room_aliases WHERE room_num = ${num}`,
  ),
  published_rooms: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM published_rooms WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM published_rooms WHERE room_num = ${num}`,
  ),
  search_words: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM search_words WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM search_words WHERE room_num = ${num}`,
  ),
  user_directory_rooms: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM user_directory_rooms WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM user_directory_rooms WHERE room_num = ${num}`,
  ),
  push_members: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM push_members WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM push_members WHERE room_num = ${num}`,
  ),
  push_past_classes: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM push_past_classes WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM push_past_classes WHERE room_num = ${num}`,
  ),
  push_counts: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM push_counts WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM push_counts WHERE room_num = ${num}`,
  ),
  push_series: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM push_series WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM push_series WHERE room_num = ${num}`,
  ),
  push_corrections: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM push_corrections WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM push_corrections WHERE room_num = ${num}`,
  ),
  push_sent: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM push_sent WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM push_sent WHERE room_num = ${num}`,
  ),
  membership_changes: scanned(
    (after) => sql`
      SELECT DISTINCT room_num FROM membership_changes WHERE room_num > ${after} AND room_num NOT IN (SELECT room_num FROM rooms) ORDER BY room_num`,
    (num) => sql`DELETE FROM membership_changes WHERE room_num = ${num}`,
  ),
  event_transactions: scanned(
    (after) => sql`
      SELECT DISTINCT room_num FROM event_transactions WHERE room_num > ${after} AND room_num NOT IN (SELECT room_num FROM rooms) ORDER BY room_num`,
    (num) => sql`DELETE FROM event_transactions WHERE room_num = ${num}`,
  ),
  threads: indexed(
    (after) => sql`SELECT MIN(room_num) AS room_num FROM threads WHERE room_num > ${after}`,
    (num) => sql`DELETE FROM threads WHERE room_num = ${num}`,
  ),
  event_reports: scanned(
    (after) => sql`
      SELECT DISTINCT room_num FROM event_reports WHERE room_num > ${after} AND room_num NOT IN (SELECT room_num FROM rooms) ORDER BY room_num`,
    (num) => sql`DELETE FROM event_reports WHERE room_num = ${num}`,
  ),
  room_reports: scanned(
    (after) => sql`
      SELECT DISTINCT room_num FROM room_reports WHERE room_num > ${after} AND room_num NOT IN (SELECT room_num FROM rooms) ORDER BY room_num`,
    (num) => sql`DELETE FROM room_reports WHERE room_num = ${num}`,
  ),
  event_relations: scanned(
    (after) => sql`
      SELECT DISTINCT room_num FROM event_relations WHERE room_num > ${after} AND room_num NOT IN (SELECT room_num FROM rooms) ORDER BY room_num`,
    (num) => sql`DELETE FROM event_relations WHERE room_num = ${num}`,
  ),
  account_data: scanned(
    (after) => sql`
      SELECT DISTINCT room_num FROM account_data WHERE room_num > ${after} AND room_num NOT IN (SELECT room_num FROM rooms) ORDER BY room_num`,
    (num) => sql`DELETE FROM account_data WHERE room_num = ${num}`,
  ),
};

/** Tables of events' own: rows of events that do not exist. */
export const EVENT_TABLES: Readonly<Record<string, { readonly count: Sql; readonly deleteRows: Sql }>> = {
  event_auth: {
    count: sql`SELECT COUNT(*) AS lost FROM event_auth t WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.event_num = t.event_num)`,
    deleteRows: sql`DELETE FROM event_auth WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.event_num = event_auth.event_num)`,
  },
  auth_generations: {
    count: sql`SELECT COUNT(*) AS lost FROM auth_generations t WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.event_num = t.event_num)`,
    deleteRows: sql`DELETE FROM auth_generations WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.event_num = auth_generations.event_num)`,
  },
  search_words: {
    count: sql`SELECT COUNT(*) AS lost FROM search_words t WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.event_num = t.event_num)`,
    deleteRows: sql`DELETE FROM search_words WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.event_num = search_words.event_num)`,
  },
  event_reports: {
    count: sql`SELECT COUNT(*) AS lost FROM event_reports t WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.event_num = t.event_num)`,
    deleteRows: sql`DELETE FROM event_reports WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.event_num = event_reports.event_num)`,
  },
  event_relations: {
    count: sql`SELECT COUNT(*) AS lost FROM event_relations t WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.event_num = t.event_num)`,
    deleteRows: sql`DELETE FROM event_relations WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.event_num = event_relations.event_num)`,
  },
};
