import { type Sql, sql } from '#src/platform/database/sql.ts';
import type { Reader } from '#src/platform/database/types.ts';
import { LAST_SIGN } from '#src/platform/text/words.ts';

// Reads of the tables users, profiles, rooms, room_heads, room_state_history, memberships, events and strings beside this slice's own.

/** What is looked for in the directory, and by whom. */
export interface Search {
  readonly asker: number;
  /** Each begins a word of the names; at least one. */
  readonly words: readonly string[];
  /** What stands in the user id, from its colon on; '' where anything may. */
  readonly server: string;
  readonly findsAll: boolean;
  readonly prefersLocal: boolean;
  readonly excludesRemote: boolean;
  readonly limit: number;
}

export interface FoundRow {
  readonly user_id: string;
  readonly display_name: string | null;
  readonly avatar_url: string | null;
}

/** Of so many at most it is looked at whether the asker may find them. */
const MAX_MATCHES = 20_000;

const flag = (value: boolean): number => (value ? 1 : 0);

/**
 * Users whose names have all the words, the best matches first: whole words before beginnings, then, where that is wanted, local users, then those with a name and an avatar,
 * then those who have little else. Closed accounts, those of support and guests without a name of their own are not found, and nobody finds themselves.
 */
export const findUsers = (search: Search): Sql => {
  const hits = search.words.map(
    (word) => sql`
      SELECT user_num, MAX(CASE WHEN word = ${word} THEN 1 ELSE 0 END) AS is_whole
      FROM user_directory_words WHERE word >= ${word} AND word <= ${`${word}${LAST_SIGN}`} GROUP BY user_num`,
  );
  return sql`
    SELECT d.user_id, d.display_name, d.avatar_url FROM (
      SELECT user_num, SUM(is_whole) AS whole FROM (${sql.unionAll(hits)}) AS hits
      GROUP BY user_num HAVING COUNT(*) = ${search.words.length} ORDER BY whole DESC, user_num LIMIT ${MAX_MATCHES}
    ) AS found
    JOIN user_directory d ON d.user_num = found.user_num LEFT JOIN users u ON u.user_num = d.user_num
    WHERE d.user_num <> ${search.asker}
      AND (${search.server} = '' OR REPLACE(d.user_id, ${search.server}, '') <> d.user_id)
      AND CASE
        WHEN d.is_local = 0 THEN ${flag(search.excludesRemote)} = 0
        ELSE u.deactivated = 0 AND (u.user_type IS NULL OR u.user_type <> 'support') AND (u.is_guest = 0 OR d.display_name <> u.localpart)
      END
      AND (${flag(search.findsAll)} = 1 OR EXISTS (
        SELECT 1 FROM memberships m LEFT JOIN user_directory_rooms r ON r.room_num = m.room_num
        WHERE m.user_num = d.user_num AND m.membership = 'join' AND (r.is_public = 1 OR EXISTS (
          SELECT 1 FROM memberships own WHERE own.room_num = m.room_num AND own.user_num = ${search.asker} AND own.membership = 'join'))))
    ORDER BY found.whole DESC, CASE WHEN ${flag(search.prefersLocal)} = 1 THEN d.is_local ELSE 0 END DESC,
      CASE WHEN d.display_name IS NULL THEN 1 ELSE 0 END, CASE WHEN d.avatar_url IS NULL THEN 1 ELSE 0 END, d.words, d.user_id
    LIMIT ${search.limit}`;
};

/** Rooms whose current state changed at positions in (from, to]. */
export const roomsChanged = async (reader: Reader, from: number, to: number): Promise<number[]> => {
  const rows = await reader.all<{ room_num: number }>(sql`
    SELECT DISTINCT room_num FROM room_state_history WHERE stream_position > ${from} AND stream_position <= ${to} ORDER BY room_num`);
  return rows.map((row) => row.room_num);
};

/** Those of some users who are in no room that the directory knows. */
export const withoutRooms = async (reader: Reader, userNums: readonly number[]): Promise<number[]> => {
  const rows = await reader.all<{ user_num: number }>(sql`
    SELECT d.user_num FROM user_directory d WHERE d.user_num ${sql.in(userNums)} AND d.is_local = 0 AND NOT EXISTS (
      SELECT 1 FROM memberships m JOIN user_directory_rooms r ON r.room_num = m.room_num WHERE m.user_num = d.user_num AND m.membership = 'join')`);
  return rows.map((row) => row.user_num);
};

export interface LocalRow {
  readonly user_num: number;
  readonly user_id: string;
  readonly displayname: string | null;
  readonly avatar_url: string | null;
}

/** Users of this server by number, with their profiles. */
export const localUsers = (reader: Reader, after: number, limit: number): Promise<LocalRow[]> =>
  reader.all<LocalRow>(sql`
    SELECT u.user_num, s.text AS user_id, p.displayname, p.avatar_url
    FROM users u JOIN strings s ON s.num = u.user_num LEFT JOIN profiles p ON p.user_num = u.user_num
    WHERE u.user_num > ${after} ORDER BY u.user_num LIMIT ${limit}`);

export interface RoomRow {
  readonly room_num: number;
  readonly current_root: string;
  /** Whether a user of this server is in it. */
  readonly is_here: number;
}

/** Rooms by number. */
export const allRooms = (reader: Reader, after: number, limit: number): Promise<RoomRow[]> =>
  reader.all<RoomRow>(sql`
    SELECT r.room_num, h.current_root, CASE WHEN EXISTS (
      SELECT 1 FROM memberships m WHERE m.room_num = r.room_num AND m.is_local = 1 AND m.membership = 'join') THEN 1 ELSE 0 END AS is_here
    FROM rooms r JOIN room_heads h ON h.room_num = r.room_num WHERE r.room_num > ${after} ORDER BY r.room_num LIMIT ${limit}`);

export interface RemoteRow {
  readonly user_num: number;
  readonly user_id: string;
  /** The member event in a public room, if there is one. */
  readonly json: string | null;
}

/** Users of other servers who are in rooms of this one, by number. */
export const remoteMembers = (reader: Reader, after: number, limit: number): Promise<RemoteRow[]> =>
  reader.all<RemoteRow>(sql`
    SELECT f.user_num, s.text AS user_id, e.json FROM (
      SELECT m.user_num, MAX(CASE WHEN r.is_public = 1 THEN m.event_num END) AS event_num
      FROM memberships m JOIN user_directory_rooms r ON r.room_num = m.room_num
      WHERE m.user_num > ${after} AND m.is_local = 0 AND m.membership = 'join' GROUP BY m.user_num ORDER BY m.user_num LIMIT ${limit}
    ) AS f JOIN strings s ON s.num = f.user_num LEFT JOIN events e ON e.event_num = f.event_num ORDER BY f.user_num`);

/** What events say, as JSON text. */
export const jsonOf = async (reader: Reader, eventNums: readonly number[]): Promise<string[]> =>
  (await reader.all<{ json: string }>(sql`SELECT json FROM events WHERE event_num ${sql.in(eventNums)} ORDER BY event_num`)).map(
    (row) => row.json,
  );

/** The number of a text. */
export const numOfText = async (reader: Reader, text: string): Promise<number | undefined> =>
  (await reader.one<{ num: number }>(sql`SELECT num FROM strings WHERE text = ${text}`))?.num;
