import { type Sql, sql } from '#src/platform/database/sql.ts';
import type { Table, Transaction } from '#src/platform/database/types.ts';
import { LAST_SIGN } from '#src/platform/text/words.ts';
import type { WeightedWord } from '#src/search/texts.ts';

const searchWords = {
  name: 'search_words',
  columns: {
    room_num: 'bigint',
    word: 'text',
    origin_server_ts: 'bigint',
    event_num: 'bigint',
    key_num: 'bigint',
    weight: 'bigint',
  },
  key: ['room_num', 'word', 'origin_server_ts', 'event_num'],
} as const satisfies Table<Record<string, 'bigint' | 'text'>>;

/** Where an event's rows stand. */
export interface Indexed {
  readonly roomNum: number;
  readonly eventNum: number;
  /** `origin_server_ts`, clamped. */
  readonly ts: number;
}

export const putWords = (tx: Transaction, { roomNum, eventNum, ts }: Indexed, keyNum: number, words: readonly WeightedWord[]): void => {
  for (const { word, weight } of words)
    tx.put(searchWords, { room_num: roomNum, word, origin_server_ts: ts, event_num: eventNum, key_num: keyNum, weight });
};

/** Removes an event from the index; `words` are those by which it was put there. */
export const deleteWords = async (tx: Transaction, { roomNum, eventNum, ts }: Indexed, words: readonly string[]): Promise<void> => {
  await tx.run(sql`
    DELETE FROM search_words
    WHERE room_num = ${roomNum} AND word ${sql.in(words)} AND origin_server_ts = ${ts} AND event_num = ${eventNum}`);
};

/** Removes so many rows, whichever; answers how many there were. */
export const deleteSome = (tx: Transaction, limit: number): Promise<number> =>
  tx.run(sql`
    DELETE FROM search_words WHERE (room_num, word, origin_server_ts, event_num) IN (
      SELECT room_num, word, origin_server_ts, event_num FROM search_words LIMIT ${limit})`);

/** A place in the order of what was found. */
export interface Place {
  /** The score where the best come first, else 0. */
  readonly rank: number;
  readonly ts: number;
  readonly eventNum: number;
}

/** Before all that can be found. */
export const FIRST_PLACE: Place = { rank: Number.MAX_SAFE_INTEGER, ts: Number.MAX_SAFE_INTEGER, eventNum: Number.MAX_SAFE_INTEGER };

export interface SearchQuery {
  readonly roomNums: readonly number[];
  /** Each begins a word of what is found; at least one. */
  readonly words: readonly string[];
  /** Those of them that are whole words of it. */
  readonly whole: readonly string[];
  readonly keyNums: readonly number[];
  readonly isByRank: boolean;
  readonly after: Place;
  readonly limit: number;
}

/** The number of events that have all words, with one that was found; that is null where there is none after the place. */
export interface FoundRow {
  readonly total: number;
  readonly event_num: number | null;
  readonly ts: number | null;
  readonly score: number | null;
  readonly place: number | null;
}

/**
 * Events of the rooms that have all the words, the best first or the latest, after a place in that order; the rows come in no order. A whole word counts twice what a beginning
 * does.
 */
export const findEvents = ({ roomNums, words, whole, keyNums, isByRank, after, limit }: SearchQuery): Sql => {
  // A range for each word, as its values are: a join with a list of words PostgreSQL may do the other way round, over all that the rooms have.
  const hits = words.map(
    (word) => sql`
      SELECT event_num, MAX(origin_server_ts) AS ts, MAX(CASE WHEN word = ${word} THEN 2 * weight ELSE weight END) AS best
      FROM search_words
      WHERE room_num ${sql.in(roomNums)} AND word >= ${word} AND word <= ${whole.includes(word) ? word : `${word}${LAST_SIGN}`}
        AND key_num ${sql.in(keyNums)}
      GROUP BY event_num`,
  );
  const ranked = isByRank ? 1 : 0;
  // The others are not only looked for where the rarest word is: where that is not rare, PostgreSQL may look for each of its events alone, for minutes.
  const found =
    hits.length === 1 && hits[0] !== undefined
      ? sql`SELECT event_num, ts, best AS score, CASE WHEN ${ranked} = 1 THEN best ELSE 0 END AS place FROM (${hits[0]}) AS hits`
      : sql`
          SELECT event_num, MAX(ts) AS ts, SUM(best) AS score, CASE WHEN ${ranked} = 1 THEN SUM(best) ELSE 0 END AS place
          FROM (${sql.unionAll(hits)}) AS hits GROUP BY event_num HAVING COUNT(*) = ${words.length}`;
  return sql`
    WITH found AS MATERIALIZED (${found})
    SELECT counted.total, page.event_num, page.ts, page.score, page.place
    FROM (SELECT COUNT(*) AS total FROM found) AS counted LEFT JOIN (
      SELECT event_num, ts, score, place FROM found
      WHERE place < ${after.rank} OR (place = ${after.rank} AND (ts < ${after.ts} OR (ts = ${after.ts} AND event_num < ${after.eventNum})))
      ORDER BY place DESC, ts DESC, event_num DESC LIMIT ${limit}
    ) AS page ON 1 = 1`;
};
