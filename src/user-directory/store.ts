import { sql } from '#src/platform/database/sql.ts';
import type { Reader, Table, Transaction } from '#src/platform/database/types.ts';
import { wordsOf } from '#src/platform/text/words.ts';

const words = {
  name: 'user_directory_words',
  columns: { word: 'text', user_num: 'bigint' },
  key: ['word', 'user_num'],
} as const satisfies Table<Record<string, 'text' | 'bigint'>>;
const rooms = {
  name: 'user_directory_rooms',
  columns: { room_num: 'bigint', is_public: 'bigint' },
  key: ['room_num'],
} as const satisfies Table<Record<string, 'bigint'>>;

/** A name and an avatar; undefined is none. */
export interface Names {
  readonly displayName: string | undefined;
  readonly avatarUrl: string | undefined;
}

/** Whom an entry is about. */
export interface Listed {
  readonly userNum: number;
  readonly userId: string;
  readonly isLocal: boolean;
}

const MAX_WORDS = 100;

/** PostgreSQL holds neither a NUL nor half a surrogate pair, and other servers may send both. */
const storable = (text: string | undefined): string | null => text?.replaceAll('\0', '').toWellFormed() ?? null;

const wordsFor = (userId: string, displayName: string | null): string[] => {
  const localpart = userId.slice(1, userId.indexOf(':'));
  const found = [...wordsOf(localpart), ...wordsOf(displayName ?? '')].map(({ folded }) => folded);
  return [...new Set(found)].slice(0, MAX_WORDS);
};

/** Lists a user by these names, which need not be asked for then. */
export const putEntry = async (tx: Transaction, { userNum, userId, isLocal }: Listed, names: Names): Promise<void> => {
  const displayName = storable(names.displayName);
  const found = wordsFor(userId, displayName);
  await tx.run(sql`DELETE FROM user_directory_words WHERE user_num = ${userNum}`);
  await tx.run(sql`
    INSERT INTO user_directory (user_num, user_id, display_name, avatar_url, is_local, words, refresh_ts, failures)
    VALUES (${userNum}, ${userId}, ${displayName}, ${storable(names.avatarUrl)}, ${isLocal ? 1 : 0}, ${found.length}, NULL, 0)
    ON CONFLICT (user_num) DO UPDATE SET
      display_name = EXCLUDED.display_name, avatar_url = EXCLUDED.avatar_url, words = EXCLUDED.words, refresh_ts = NULL, failures = 0`);
  for (const word of found) tx.put(words, { word, user_num: userNum });
};

interface NamesRow {
  readonly user_num: number;
  readonly display_name: string | null;
  readonly avatar_url: string | null;
}

/** The names by which those of some users are listed who are. */
export const readNames = async (reader: Reader, userNums: readonly number[]): Promise<ReadonlyMap<number, Names>> => {
  const rows = await reader.all<NamesRow>(
    sql`SELECT user_num, display_name, avatar_url FROM user_directory WHERE user_num ${sql.in(userNums)}`,
  );
  return new Map(rows.map((row) => [row.user_num, { displayName: row.display_name ?? undefined, avatarUrl: row.avatar_url ?? undefined }]));
};

/** Whether these are the names by which a user is listed. */
export const isListedBy = (listed: Names, { displayName, avatarUrl }: Names): boolean =>
  (listed.displayName ?? null) === storable(displayName) && (listed.avatarUrl ?? null) === storable(avatarUrl);

/** Notes when a user's profile is to be asked for; a time that is set already stays. */
export const wantRefresh = async (tx: Transaction, userNum: number, atTs: number): Promise<void> => {
  await tx.run(sql`UPDATE user_directory SET refresh_ts = ${atTs} WHERE user_num = ${userNum} AND refresh_ts IS NULL`);
};

/** Asking has failed: it is tried again then, or with `undefined` not any more. */
export const putFailure = async (tx: Transaction, userNum: number, againTs: number | undefined): Promise<void> => {
  await tx.run(sql`UPDATE user_directory SET refresh_ts = ${againTs ?? null}, failures = failures + 1 WHERE user_num = ${userNum}`);
};

export interface DueRow {
  readonly user_num: number;
  readonly user_id: string;
  readonly failures: number;
}

/** Users whose profiles are to be asked for by now, those who wait longest first. */
export const readDue = (reader: Reader, nowTs: number, limit: number): Promise<DueRow[]> =>
  reader.all<DueRow>(sql`
    SELECT user_num, user_id, failures FROM user_directory WHERE refresh_ts <= ${nowTs} ORDER BY refresh_ts, user_num LIMIT ${limit}`);

/** Whether a room is public, as the directory knows it; undefined for a room that it does not know. */
export const readRoom = async (reader: Reader, roomNum: number): Promise<boolean | undefined> => {
  const row = await reader.one<{ is_public: number }>(sql`SELECT is_public FROM user_directory_rooms WHERE room_num = ${roomNum}`);
  return row && row.is_public === 1;
};

export const putRoom = (tx: Transaction, roomNum: number, isPublic: boolean): void =>
  tx.put(rooms, { room_num: roomNum, is_public: isPublic ? 1 : 0 });

export const deleteRoom = async (tx: Transaction, roomNum: number): Promise<void> => {
  await tx.run(sql`DELETE FROM user_directory_rooms WHERE room_num = ${roomNum}`);
};

/** Users of other servers who are listed, by number. */
export const readRemoteListed = async (reader: Reader, after: number, limit: number): Promise<number[]> => {
  const rows = await reader.all<{ user_num: number }>(sql`
    SELECT user_num FROM user_directory WHERE user_num > ${after} AND is_local = 0 ORDER BY user_num LIMIT ${limit}`);
  return rows.map((row) => row.user_num);
};

export const deleteEntries = async (tx: Transaction, userNums: readonly number[]): Promise<void> => {
  await tx.run(sql`DELETE FROM user_directory_words WHERE user_num ${sql.in(userNums)}`);
  await tx.run(sql`DELETE FROM user_directory WHERE user_num ${sql.in(userNums)}`);
};
