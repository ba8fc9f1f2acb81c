import { sql } from '#src/platform/database/sql.ts';
import type { Reader, RowOf, Table, Transaction } from '#src/platform/database/types.ts';

const pusherColumns = {
  app_id: 'text',
  pushkey: 'text',
  user_num: 'bigint',
  kind: 'text',
  app_display_name: 'text',
  device_display_name: 'text',
  profile_tag: 'text',
  lang: 'text',
  data: 'text',
  session_num: 'bigint',
  device_id: 'text?',
  enabled: 'bigint',
  created_ts: 'bigint',
  last_position: 'bigint',
  failing_since_ts: 'bigint?',
} as const;
const pushers: Table<typeof pusherColumns> = { name: 'pushers', columns: pusherColumns, key: ['app_id', 'pushkey', 'user_num'] };

export type PusherRow = RowOf<typeof pusherColumns>;
/** By which a pusher is known. */
export type PusherKey = Pick<PusherRow, 'app_id' | 'pushkey' | 'user_num'>;

const pendingColumns = {
  user_num: 'bigint',
  app_id: 'text',
  pushkey: 'text',
  position: 'bigint',
  event_num: 'bigint',
  room_num: 'bigint',
  actions: 'text',
} as const;
const pending: Table<typeof pendingColumns> = {
  name: 'pending_pushes',
  columns: pendingColumns,
  key: ['user_num', 'app_id', 'pushkey', 'position'],
};

export type PendingRow = RowOf<typeof pendingColumns>;

export const putPusher = (tx: Transaction, row: PusherRow): void => tx.put(pushers, row);

export const pushersOfUser = (reader: Reader, userNum: number): Promise<PusherRow[]> =>
  reader.all<PusherRow>(sql`SELECT * FROM pushers WHERE user_num = ${userNum} ORDER BY created_ts, app_id, pushkey`);

export const pusherByKey = (reader: Reader, key: PusherKey): Promise<PusherRow | undefined> =>
  reader.one<PusherRow>(
    sql`SELECT * FROM pushers WHERE app_id = ${key.app_id} AND pushkey = ${key.pushkey} AND user_num = ${key.user_num}`,
  );

export const usersWithPushers = async (reader: Reader): Promise<number[]> =>
  (await reader.all<{ user_num: number }>(sql`SELECT DISTINCT user_num FROM pushers`)).map((row) => row.user_num);

/** Users of this server who have joined a room and have pushers. */
export const pusherUsersIn = async (reader: Reader, roomNum: number): Promise<number[]> => {
  const rows = await reader.all<{ user_num: number }>(sql`
    SELECT m.user_num FROM memberships m
    WHERE m.room_num = ${roomNum} AND m.is_local = 1 AND m.membership = 'join'
      AND EXISTS (SELECT 1 FROM pushers p WHERE p.user_num = m.user_num)`);
  return rows.map((row) => row.user_num);
};

export const setFailingSince = async (tx: Transaction, key: PusherKey, ts: number): Promise<void> => {
  await tx.run(
    sql`UPDATE pushers SET failing_since_ts = ${ts} WHERE app_id = ${key.app_id} AND pushkey = ${key.pushkey} AND user_num = ${key.user_num}`,
  );
};

/** A pusher has been told everything up to a position, and its gateway is well. */
export const setTold = async (tx: Transaction, key: PusherKey, position: number): Promise<void> => {
  await tx.run(sql`
    UPDATE pushers SET failing_since_ts = NULL, last_position = CASE WHEN last_position > ${position} THEN last_position ELSE ${position} END
    WHERE app_id = ${key.app_id} AND pushkey = ${key.pushkey} AND user_num = ${key.user_num}`);
};

const deleteOne = async (tx: Transaction, { app_id: appId, pushkey, user_num: userNum }: PusherKey): Promise<void> => {
  await tx.run(sql`DELETE FROM pushers WHERE app_id = ${appId} AND pushkey = ${pushkey} AND user_num = ${userNum}`);
  await tx.run(sql`DELETE FROM pending_pushes WHERE app_id = ${appId} AND pushkey = ${pushkey} AND user_num = ${userNum}`);
};

/** Deletes pushers with what waits for them. */
export const deletePushers = async (tx: Transaction, keys: readonly PusherKey[]): Promise<void> => {
  for (const key of keys) await deleteOne(tx, key);
};

export const pushersOfOthers = (tx: Transaction, { app_id: appId, pushkey, user_num: userNum }: PusherKey): Promise<PusherKey[]> =>
  tx.all<PusherKey>(
    sql`SELECT app_id, pushkey, user_num FROM pushers WHERE app_id = ${appId} AND pushkey = ${pushkey} AND user_num <> ${userNum}`,
  );

/** Deletes the pushers that these sessions made. */
export const deletePushersOfSessions = async (tx: Transaction, sessionNums: readonly number[]): Promise<void> => {
  const keys = await tx.all<PusherKey>(sql`SELECT app_id, pushkey, user_num FROM pushers WHERE session_num ${sql.in(sessionNums)}`);
  await deletePushers(tx, keys);
};

export const deletePushersOf = async (tx: Transaction, userNum: number): Promise<void> => {
  await deletePushers(tx, await tx.all<PusherKey>(sql`SELECT app_id, pushkey, user_num FROM pushers WHERE user_num = ${userNum}`));
};

export const putPending = (tx: Transaction, row: PendingRow): void => tx.put(pending, row);

export const allPending = (reader: Reader): Promise<PendingRow[]> =>
  reader.all<PendingRow>(sql`SELECT * FROM pending_pushes ORDER BY position`);

export const deletePending = async (tx: Transaction, key: PusherKey, position: number): Promise<void> => {
  await tx.run(sql`
    DELETE FROM pending_pushes
    WHERE user_num = ${key.user_num} AND app_id = ${key.app_id} AND pushkey = ${key.pushkey} AND position = ${position}`);
};
