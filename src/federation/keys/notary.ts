import type { Clock } from '#src/platform/clock.ts';
import type { Database } from '#src/platform/database/types.ts';
import { isJsonObject, parseLosslessJson, type JsonObject } from '#src/protocol/json.ts';
import { signJson, type SigningKey } from '#src/protocol/signatures.ts';
import type { KeyFetcher } from '#src/federation/keys/fetcher.ts';
import type { OwnPublication } from '#src/federation/keys/publication.ts';
import type { KeyRing } from '#src/federation/keys/service.ts';
import { type PublicationRow, readPublications } from '#src/federation/keys/store.ts';

/** What is asked about a server: some of its keys, each with the time until which it should be valid; or all that is known. */
export type KeyQuery = ReadonlyMap<string, number | undefined>;

/** Tells servers about the keys of others (server-server API, Querying keys through another server). */
export interface Notary {
  /** What servers have published, with this server's signature on it. What is not known and cannot be had is missing. */
  query(queries: ReadonlyMap<string, KeyQuery>): Promise<JsonObject[]>;
}

/** Whether a publication is too old for what is asked: it ends before that, or, where no time is asked for, its second half has begun. */
const isStale = (row: PublicationRow, minimumTs: number | undefined, nowTs: number): boolean =>
  minimumTs === undefined ? nowTs * 2 > row.fetched_ts + row.valid_until_ts : row.valid_until_ts < minimumTs;

export const createNotary = ({
  database,
  clock,
  serverName: ownName,
  keys,
  ring,
  fetcher,
  own,
  isAllowed,
}: {
  database: Database;
  clock: Clock;
  serverName: string;
  /** With which it signs what it hands on. */
  keys: readonly SigningKey[];
  ring: Pick<KeyRing, 'keep'>;
  fetcher: Pick<KeyFetcher, 'fromOrigin'>;
  own: OwnPublication;
  isAllowed: (serverName: string) => boolean;
}): Notary => {
  const stored = (serverName: string): Promise<PublicationRow[]> =>
    database.read('published keys', (reader) => readPublications(reader, serverName));

  const publicationsOf = async (serverName: string, wanted: KeyQuery): Promise<JsonObject[]> => {
    if (serverName === ownName) return [own.current()];
    let rows = await stored(serverName);
    const byId = new Map(rows.map((row) => [row.key_id, row]));
    const isMissing = [...wanted].some(([keyId, minimumTs]) => {
      const row = byId.get(keyId);
      return row === undefined || isStale(row, minimumTs, clock.now());
    });
    if (isMissing && isAllowed(serverName)) {
      const publication = await fetcher.fromOrigin(serverName);
      if (publication !== undefined) {
        await ring.keep(publication);
        rows = await stored(serverName);
      }
    }
    const asked = wanted.size === 0 ? rows : rows.filter((row) => wanted.has(row.key_id));
    // One publication names all of a server's keys, and stands in the row of each.
    return [...new Set(asked.map((row) => row.json))].map((json) => parseLosslessJson(json)).filter((json) => isJsonObject(json));
  };

  return {
    query: async (queries) => {
      const found = await Promise.all([...queries].map(([serverName, wanted]) => publicationsOf(serverName, wanted)));
      return found.flat().map((json) => keys.reduce((signed, key) => signJson(signed, ownName, key), json));
    },
  };
};
