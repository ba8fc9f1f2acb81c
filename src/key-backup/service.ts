import type { Database, Reader, Transaction } from '#src/platform/database/types.ts';
import { invalidParam, MatrixError, notFound } from '#src/protocol/errors.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import {
  deleteSessions,
  type Keys,
  putSession,
  putVersion,
  readCurrent,
  readLastNumber,
  readSessions,
  readSessionsOf,
  readVersion,
  type SessionRow,
  type VersionRow,
} from '#src/key-backup/store.ts';

/** The key of one session, as clients back it up. */
export interface SessionBackup {
  readonly first_message_index: number;
  readonly forwarded_count: number;
  readonly is_verified: boolean;
  /** Encrypted; what is in it depends on the algorithm. */
  readonly session_data: JsonObject;
}

/** Keys by room and session. */
export interface RoomsBackup {
  readonly rooms: Readonly<Record<string, { readonly sessions: Readonly<Record<string, SessionBackup>> }>>;
}

export interface VersionInfo {
  readonly algorithm: string;
  readonly auth_data: JsonObject;
}

/** Where the contents of a version stand. */
export interface Contents {
  /** Another text whenever the keys have changed. */
  readonly etag: string;
  readonly count: number;
}

/** Which keys of a version are meant: all, those of a room, or one. */
export interface Selection {
  readonly roomId?: string;
  readonly sessionId?: string;
}

/** Backups of room keys (client-server API, "Server-side key backups"). All throw `M_NOT_FOUND` for versions that do not exist. */
export interface KeyBackup {
  /** Makes a new version, which is the current one from now on, and answers its name. */
  createVersion(userNum: number, info: VersionInfo): Promise<string>;
  /** A version, or the current one. */
  version(userNum: number, version?: string): Promise<VersionInfo & Contents & { readonly version: string }>;
  /** Changes what a version says of itself. Throws `M_INVALID_PARAM` for another algorithm. */
  updateVersion(userNum: number, version: string, info: VersionInfo): Promise<void>;
  deleteVersion(userNum: number, version: string): Promise<void>;
  /** Adds keys, and puts better ones in the place of those that are there. Throws `M_WRONG_ROOM_KEYS_VERSION` for a version that is not the current one. */
  upload(userNum: number, version: string, backup: RoomsBackup): Promise<Contents>;
  keys(userNum: number, version: string, selection: Selection): Promise<RoomsBackup>;
  deleteKeys(userNum: number, version: string, selection: Selection): Promise<Contents>;
}

type Quality = Pick<SessionBackup, 'first_message_index' | 'forwarded_count' | 'is_verified'>;

/** Whether a key is better than the one that is backed up: verified before not, then from an earlier message on, then forwarded less often. */
export const isBetter = (key: Quality, present: Quality): boolean => {
  if (key.is_verified !== present.is_verified) return key.is_verified;
  if (key.first_message_index !== present.first_message_index) return key.first_message_index < present.first_message_index;
  return key.forwarded_count < present.forwarded_count;
};

const fromRow = (row: SessionRow): SessionBackup => ({
  first_message_index: row.first_message_index,
  forwarded_count: row.forwarded_count,
  is_verified: row.is_verified === 1,
  session_data: JSON.parse(row.session_data) as JsonObject,
});

const infoOf = (row: VersionRow): VersionInfo & Contents & { readonly version: string } => ({
  algorithm: row.algorithm,
  auth_data: JSON.parse(row.auth_data) as JsonObject,
  version: String(row.version),
  ...contentsOf(row),
});

const contentsOf = ({ etag, key_count: count }: Pick<VersionRow, 'etag' | 'key_count'>): Contents => ({ etag: String(etag), count });

/** The number that a name of a version stands for; 0, which none has, for what can be no such name. */
const numberOf = (version: string): number => (/^[1-9]\d{0,14}$/.test(version) ? Number(version) : 0);

const wrongVersion = (current: number): MatrixError =>
  new MatrixError(403, 'M_WRONG_ROOM_KEYS_VERSION', 'Wrong backup version.', { current_version: String(current) });

export const createKeyBackup = ({ database }: { database: Database }): KeyBackup => {
  const existing = async (reader: Reader, userNum: number, version: string): Promise<VersionRow> => {
    const row = await readVersion(reader, userNum, numberOf(version));
    if (row === undefined) throw notFound('Unknown backup version');
    return row;
  };

  /** The current version, which has to be the one that is meant. */
  const writable = async (tx: Transaction, userNum: number, version: string): Promise<VersionRow> => {
    const current = await readCurrent(tx, userNum);
    if (current?.version === numberOf(version)) return current;
    await existing(tx, userNum, version);
    throw wrongVersion(current?.version ?? 0);
  };

  const keysOf = ({ user_num: userNum, version }: VersionRow, { roomId, sessionId }: Selection): Keys => ({
    userNum,
    version,
    roomId,
    sessionId,
  });

  /** Puts those keys of a room that are new or better; answers how many there are more, and whether anything has changed. */
  const putRoom = async (
    tx: Transaction,
    { user_num: userNum, version }: VersionRow,
    roomId: string,
    uploaded: Readonly<Record<string, SessionBackup>>,
  ): Promise<{ added: number; isChanged: boolean }> => {
    const rows = await readSessionsOf(tx, { userNum, version, roomId }, Object.keys(uploaded));
    const present = new Map(rows.map((row) => [row.session_id, fromRow(row)]));
    const put = Object.entries(uploaded).filter(([sessionId, key]) => {
      const known = present.get(sessionId);
      return known === undefined || isBetter(key, known);
    });
    for (const [sessionId, key] of put) {
      putSession(tx, {
        user_num: userNum,
        version,
        room_id: roomId,
        session_id: sessionId,
        first_message_index: key.first_message_index,
        forwarded_count: key.forwarded_count,
        is_verified: Number(key.is_verified),
        session_data: JSON.stringify(key.session_data),
      });
    }
    return { added: put.filter(([sessionId]) => !present.has(sessionId)).length, isChanged: put.length > 0 };
  };

  return {
    createVersion: (userNum, { algorithm, auth_data: authData }) =>
      database.write('create key backup', async (tx) => {
        const version = (await readLastNumber(tx, userNum)) + 1;
        const row = { user_num: userNum, version, algorithm, auth_data: JSON.stringify(authData), etag: 0, key_count: 0, is_deleted: 0 };
        putVersion(tx, row);
        return String(version);
      }),
    version: (userNum, version) =>
      database.read('key backup', async (reader) => {
        const row = version === undefined ? await readCurrent(reader, userNum) : await existing(reader, userNum, version);
        if (row === undefined) throw notFound('No current backup version');
        return infoOf(row);
      }),
    updateVersion: (userNum, version, { algorithm, auth_data: authData }) =>
      database.write('update key backup', async (tx) => {
        const row = await existing(tx, userNum, version);
        if (row.algorithm !== algorithm) throw invalidParam('Algorithm does not match');
        putVersion(tx, { ...row, auth_data: JSON.stringify(authData) });
      }),
    deleteVersion: (userNum, version) =>
      database.write('delete key backup', async (tx) => {
        const row = await existing(tx, userNum, version);
        await deleteSessions(tx, keysOf(row, {}));
        putVersion(tx, { ...row, key_count: 0, is_deleted: 1 });
      }),
    upload: (userNum, version, { rooms }) =>
      database.write('back up keys', async (tx) => {
        const row = await writable(tx, userNum, version);
        let [added, isChanged] = [0, false];
        for (const [roomId, { sessions }] of Object.entries(rooms)) {
          const put = await putRoom(tx, row, roomId, sessions);
          added += put.added;
          isChanged ||= put.isChanged;
        }
        if (!isChanged) return contentsOf(row);
        const changed = { ...row, etag: row.etag + 1, key_count: row.key_count + added };
        putVersion(tx, changed);
        return contentsOf(changed);
      }),
    keys: (userNum, version, selection) =>
      database.read('backed up keys', async (reader) => {
        const rows = await readSessions(reader, keysOf(await existing(reader, userNum, version), selection));
        const rooms: Record<string, { sessions: Record<string, SessionBackup> }> = Object.create(null) as typeof rooms;
        for (const row of rows) {
          const room = (rooms[row.room_id] ??= { sessions: Object.create(null) as Record<string, SessionBackup> });
          room.sessions[row.session_id] = fromRow(row);
        }
        return { rooms };
      }),
    deleteKeys: (userNum, version, selection) =>
      database.write('delete backed up keys', async (tx) => {
        const row = await existing(tx, userNum, version);
        const deleted = await deleteSessions(tx, keysOf(row, selection));
        if (deleted === 0) return contentsOf(row);
        const changed = { ...row, etag: row.etag + 1, key_count: row.key_count - deleted };
        putVersion(tx, changed);
        return contentsOf(changed);
      }),
  };
};
