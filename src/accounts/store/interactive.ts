import { sql } from '#src/platform/database/sql.ts';
import type { Reader, Transaction } from '#src/platform/database/types.ts';

/** A session of user-interactive authentication; `params`, `completed` and `data` are JSON objects. */
export interface InteractiveRow {
  readonly session_id: string;
  readonly created_ts: number;
  readonly method: string;
  readonly uri: string;
  readonly params: string;
  readonly completed: string;
  readonly data: string;
}

/** A session that began at `sinceTs` or later. */
export const readInteractive = (reader: Reader, sessionId: string, sinceTs: number): Promise<InteractiveRow | undefined> =>
  reader.one<InteractiveRow>(sql`
    SELECT session_id, created_ts, method, uri, params, completed, data
    FROM interactive_sessions WHERE session_id = ${sessionId} AND created_ts >= ${sinceTs}`);

/** Adds a session. */
export const insertInteractive = async (tx: Transaction, row: InteractiveRow): Promise<void> => {
  await tx.run(sql`
    INSERT INTO interactive_sessions (session_id, created_ts, method, uri, params, completed, data)
    VALUES (${row.session_id}, ${row.created_ts}, ${row.method}, ${row.uri}, ${row.params}, ${row.completed}, ${row.data})`);
};

/** Stores what has changed in a session. */
export const updateInteractive = async (
  tx: Transaction,
  row: Pick<InteractiveRow, 'session_id' | 'params' | 'completed' | 'data'>,
): Promise<void> => {
  await tx.run(sql`
    UPDATE interactive_sessions SET params = ${row.params}, completed = ${row.completed}, data = ${row.data}
    WHERE session_id = ${row.session_id}`);
};

/** Deletes up to `limit` sessions that began before a time, and answers them. */
export const deleteOldInteractive = async (tx: Transaction, beforeTs: number, limit: number): Promise<InteractiveRow[]> => {
  const rows = await tx.all<InteractiveRow>(sql`
    SELECT session_id, created_ts, method, uri, params, completed, data
    FROM interactive_sessions WHERE created_ts < ${beforeTs} ORDER BY created_ts LIMIT ${limit}`);
  await tx.run(sql`DELETE FROM interactive_sessions WHERE session_id ${sql.in(rows.map((row) => row.session_id))}`);
  return rows;
};
