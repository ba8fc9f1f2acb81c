import { entryCache } from '#src/platform/cache/index.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { ServerKeys } from '#src/rooms/graph/index.ts';
import { canonicalJson } from '#src/protocol/canonical-json.ts';
import { isKeyValidAt } from '#src/protocol/key-validity.ts';
import { type SigningKey, type VerifyKey, verifyKeyFromBase64 } from '#src/protocol/signatures.ts';
import type { KeyFetcher } from '#src/federation/keys/fetcher.ts';
import type { Publication } from '#src/federation/keys/publication.ts';
import { putPublications, putServerKeys, readServerKey } from '#src/federation/keys/store.ts';

/** The keys of all servers: remembered, stored, and asked for. */
export interface KeyRing extends ServerKeys {
  /** Stores what a server has published. */
  keep(publication: Publication): Promise<void>;
}

const MAX_REMEMBERED = 10_000;
/** A key that could not be had is not asked for again for so long: one bad server's events ask for it again and again. */
const ASKED_LATELY_MS = 60_000;

interface Known {
  readonly key: VerifyKey;
  readonly validUntilTs: number;
}

export const createKeyRing = ({
  database,
  clock,
  serverName: ownName,
  ownKeys,
  fetcher,
}: {
  database: Database;
  clock: Clock;
  serverName: string;
  ownKeys: readonly SigningKey[];
  fetcher: KeyFetcher;
}): KeyRing => {
  const known = entryCache<string, Known>(MAX_REMEMBERED);
  /** When a key was last asked for in vain, by the monotonic clock. */
  const askedInVain = entryCache<string, number>(MAX_REMEMBERED);
  const asking = new Map<string, Promise<void>>();
  const nameOf = (serverName: string, keyId: string): string => `${serverName} ${keyId}`;

  const keep: KeyRing['keep'] = async ({ serverName, keys, validUntilTs, json }) => {
    const text = canonicalJson(json, 'any');
    const fetchedTs = clock.now();
    await database.write('server keys', (tx) => {
      putServerKeys(
        tx,
        keys.map((key) => ({
          server_name: serverName,
          key_id: key.keyId,
          public_key: key.publicKey,
          valid_until_ts: key.validUntilTs,
        })),
      );
      putPublications(
        tx,
        keys.map(({ keyId }) => ({
          server_name: serverName,
          key_id: keyId,
          json: text,
          fetched_ts: fetchedTs,
          valid_until_ts: validUntilTs,
        })),
      );
      tx.onCommit(() => {
        for (const { keyId, key, validUntilTs: until } of keys) known.set(nameOf(serverName, keyId), { key, validUntilTs: until });
      });
      return Promise.resolve();
    });
  };

  const stored = async (serverName: string, keyId: string): Promise<Known | undefined> => {
    const name = nameOf(serverName, keyId);
    const remembered = known.get(name);
    if (remembered !== undefined) return remembered;
    const row = await database.read('server key', (reader) => readServerKey(reader, serverName, keyId));
    const key = row === undefined ? undefined : verifyKeyFromBase64(keyId, row.public_key);
    if (row === undefined || key === undefined) return undefined;
    const found = { key, validUntilTs: row.valid_until_ts };
    known.set(name, found);
    return found;
  };

  const good = async (serverName: string, keyId: string, atMs: number | undefined): Promise<VerifyKey | undefined> => {
    const found = await stored(serverName, keyId);
    return found !== undefined && isKeyValidAt(found.validUntilTs, atMs) ? found.key : undefined;
  };

  /** Notaries first: they know keys of servers that are gone, and one request to them costs the server nothing. Then the server itself. */
  const fetch = async (serverName: string, keyId: string, atMs: number | undefined): Promise<void> => {
    const publications = await fetcher.fromNotaries(serverName, { keyId, minimumValidUntilTs: atMs ?? 0 });
    for (const publication of publications) await keep(publication);
    if ((await good(serverName, keyId, atMs)) !== undefined) return;
    const own = await fetcher.fromOrigin(serverName);
    if (own !== undefined) await keep(own);
    if ((await good(serverName, keyId, atMs)) === undefined) askedInVain.set(nameOf(serverName, keyId), clock.monotonic());
  };

  return {
    keep,
    find: async (serverName, keyId, atMs) => {
      if (serverName === ownName) return ownKeys.find((key) => key.keyId === keyId);
      const at = await good(serverName, keyId, atMs);
      const name = nameOf(serverName, keyId);
      if (at !== undefined || clock.monotonic() - (askedInVain.get(name) ?? -Infinity) < ASKED_LATELY_MS) return at;
      let asked = asking.get(name);
      if (asked === undefined) {
        asked = fetch(serverName, keyId, atMs).finally(() => asking.delete(name));
        asking.set(name, asked);
      }
      await asked;
      return good(serverName, keyId, atMs);
    },
  };
};
