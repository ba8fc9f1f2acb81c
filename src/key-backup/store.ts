import { sql } from '#src/platform/database/sql.ts';
import type { Reader, RowOf, Table, Transaction } from '#src/platform/database/types.ts';

const versionColumns = {
  user_num: 'bigint',
  version: 'bigint',
  algorithm: 'text',
  auth_data: 'text',
  etag: 'bigint',
  key_count: 'bigint',
  is_deleted: 'bigint',
} as const;
const versions: Table<typeof versionColumns> = { name: 'key_backup_versions', columns: versionColumns, key: ['user_num', 'version'] };

const sessionColumns = {
  user_num: 'bigint',
  version: 'bigint',
  room_id: 'text',
  session_id: 'text',
  first_message_index: 'bigint',
  forwarded_count: 'bigint',
  is_verified: 'bigint',
  session_data: 'text',
} as const;
const sessions: Table<typeof sessionColumns> = {
  name: 'key_backup_sessions',
  columns: sessionColumns,
  key: ['user_num', 'version', 'room_id', 'session_id'],
};

export type VersionRow = RowOf<typeof versionColumns>;
export type SessionRow = RowOf<typeof sessionColumns>;

/** A version of a backup, and of that all keys, those of one room, or one. */
export interface Keys {
  readonly userNum: number;
  readonly version: number;
  readonly roomId: string | undefined;
  readonly sessionId: string | undefined;
}

/** The number of the last version that somebody has made, deleted or not; 0 where there is none. */
export const readLastNumber = async (reader: Reader, userNum: number): Promise<number> =>
  (await reader.one<{ last: number | null }>(sql`SELECT MAX(version) AS last FROM key_backup_versions WHERE user_num = ${userNum}`))
    ?.last ?? 0;

/** The current version: the last one that is not deleted. */
export const readCurrent = (reader: Reader, userNum: number): Promise<VersionRow | undefined> =>
  reader.one<VersionRow>(sql`
    SELECT * FROM key_backup_versions WHERE user_num = ${userNum} AND is_deleted = 0 ORDER BY version DESC LIMIT 1`);

/** One version, unless it is deleted. */
export const readVersion = (reader: Reader, userNum: number, version: number): Promise<VersionRow | undefined> =>
  reader.one<VersionRow>(sql`
    SELECT * FROM key_backup_versions WHERE user_num = ${userNum} AND version = ${version} AND is_deleted = 0`);

export const putVersion = (tx: Transaction, row: VersionRow): void => tx.put(versions, row);

/** The keys, in the order of rooms and sessions. */
export const readSessions = (reader: Reader, { userNum, version, roomId, sessionId }: Keys): Promise<SessionRow[]> => {
  if (roomId === undefined)
    return reader.all<SessionRow>(sql`
      SELECT * FROM key_backup_sessions WHERE user_num = ${userNum} AND version = ${version} ORDER BY room_id, session_id`);
  if (sessionId === undefined)
    return reader.all<SessionRow>(sql`
      SELECT * FROM key_backup_sessions WHERE user_num = ${userNum} AND version = ${version} AND room_id = ${roomId} ORDER BY session_id`);
  return reader.all<SessionRow>(sql`
    SELECT * FROM key_backup_sessions
    WHERE user_num = ${userNum} AND version = ${version} AND room_id = ${roomId} AND session_id = ${sessionId}`);
};

/** Of some sessions of a room those that are backed up. */
export const readSessionsOf = (
  reader: Reader,
  { userNum, version, roomId }: Pick<Keys, 'userNum' | 'version'> & { readonly roomId: string },
  sessionIds: readonly string[],
): Promise<SessionRow[]> =>
  reader.all<SessionRow>(sql`
    SELECT * FROM key_backup_sessions
    WHERE user_num = ${userNum} AND version = ${version} AND room_id = ${roomId} AND session_id ${sql.in(sessionIds)}`);

export const putSession = (tx: Transaction, row: SessionRow): void => tx.put(sessions, row);

/** Deletes keys; answers how many. */
export const deleteSessions = (tx: Transaction, { userNum, version, roomId, sessionId }: Keys): Promise<number> => {
  if (roomId === undefined) return tx.run(sql`DELETE FROM key_backup_sessions WHERE user_num = ${userNum} AND version = ${version}`);
  if (sessionId === undefined)
    return tx.run(sql`DELETE FROM key_backup_sessions WHERE user_num = ${userNum} AND version = ${version} AND room_id = ${roomId}`);
  return tx.run(sql`
    DELETE FROM key_backup_sessions
    WHERE user_num = ${userNum} AND version = ${version} AND room_id = ${roomId} AND session_id = ${sessionId}`);
};

/** Deletes all that somebody has backed up. */
export const deleteKeyBackupsOf = async (tx: Transaction, userNum: number): Promise<void> => {
  await tx.run(sql`DELETE FROM key_backup_sessions WHERE user_num = ${userNum}`);
  await tx.run(sql`DELETE FROM key_backup_versions WHERE user_num = ${userNum}`);
};
