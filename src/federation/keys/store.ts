import { sql } from '#src/platform/database/sql.ts';
import type { Reader, RowOf, Table, Transaction } from '#src/platform/database/types.ts';

const keyColumns = { server_name: 'text', key_id: 'text', public_key: 'text', valid_until_ts: 'bigint' } as const;
const keys: Table<typeof keyColumns> = { name: 'server_keys', columns: keyColumns, key: ['server_name', 'key_id'] };

const publicationColumns = { server_name: 'text', key_id: 'text', json: 'text', fetched_ts: 'bigint', valid_until_ts: 'bigint' } as const;
const publications: Table<typeof publicationColumns> = {
  name: 'server_key_publications',
  columns: publicationColumns,
  key: ['server_name', 'key_id'],
};

export type ServerKeyRow = RowOf<typeof keyColumns>;
export type PublicationRow = RowOf<typeof publicationColumns>;

export const readServerKey = (reader: Reader, serverName: string, keyId: string): Promise<ServerKeyRow | undefined> =>
  reader.one<ServerKeyRow>(sql`SELECT * FROM server_keys WHERE server_name = ${serverName} AND key_id = ${keyId}`);

export const putServerKeys = (tx: Transaction, rows: readonly ServerKeyRow[]): void => {
  for (const row of rows) tx.put(keys, row);
};

/** What a server has published, one row for each of its keys. */
export const readPublications = (reader: Reader, serverName: string): Promise<PublicationRow[]> =>
  reader.all<PublicationRow>(sql`SELECT * FROM server_key_publications WHERE server_name = ${serverName} ORDER BY key_id`);

export const putPublications = (tx: Transaction, rows: readonly PublicationRow[]): void => {
  for (const row of rows) tx.put(publications, row);
};
