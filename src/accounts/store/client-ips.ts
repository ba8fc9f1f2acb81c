import { sql } from '#src/platform/database/sql.ts';
import type { Reader, RowOf, Transaction } from '#src/platform/database/types.ts';

const clientIps = {
  name: 'client_ips',
  columns: { user_num: 'bigint', device_id: 'text', ip: 'text', user_agent: 'text', last_seen_ts: 'bigint' },
  key: ['user_num', 'device_id', 'ip'],
} as const;

export type ClientIpRow = RowOf<typeof clientIps.columns>;

/** Stores where and when a device was seen. */
export const putClientIp = (tx: Transaction, row: ClientIpRow): void => tx.put(clientIps, row);

/** Where and when a user's devices were seen. */
export const readClientIps = (reader: Reader, userNum: number): Promise<ClientIpRow[]> =>
  reader.all<ClientIpRow>(sql`
    SELECT user_num, device_id, ip, user_agent, last_seen_ts FROM client_ips WHERE user_num = ${userNum}`);

/** Deletes what is older than a time, but for the newest row of each device that is still logged in. */
export const deleteOldClientIps = (tx: Transaction, beforeTs: number): Promise<number> =>
  tx.run(sql`
    DELETE FROM client_ips WHERE last_seen_ts < ${beforeTs} AND (
      EXISTS (
        SELECT 1 FROM client_ips newer
        WHERE newer.user_num = client_ips.user_num AND newer.device_id = client_ips.device_id
          AND newer.last_seen_ts > client_ips.last_seen_ts)
      OR NOT EXISTS (
        SELECT 1 FROM sessions
        WHERE sessions.user_num = client_ips.user_num AND sessions.device_id = client_ips.device_id))`);
