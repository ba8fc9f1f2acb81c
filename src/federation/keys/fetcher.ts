import type { Clock } from '#src/platform/clock.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import { isJsonObject, type JsonObject } from '#src/protocol/json.ts';
import { type VerifyKey, verifyKeyFromBase64 } from '#src/protocol/signatures.ts';
import type { FederationClient } from '#src/federation/client.ts';
import { inLine } from '#src/federation/in-line.ts';
import { isSignedBy, mentionsSignatureOf, type Publication, readPublication } from '#src/federation/keys/publication.ts';

/** A key that is looked for. */
export interface WantedKey {
  readonly keyId: string;
  /** It must be valid at least until then; 0 for at any time. */
  readonly minimumValidUntilTs: number;
}

/** Asks for the keys of servers. What cannot be had is left out; nothing is thrown. */
export interface KeyFetcher {
  /** From the servers that are trusted to know (`trusted_key_servers`), all at once. */
  fromNotaries(serverName: string, wanted: WantedKey): Promise<Publication[]>;
  /** From the server itself. */
  fromOrigin(serverName: string): Promise<Publication | undefined>;
}

interface Notary {
  readonly serverName: string;
  readonly keys: ReadonlyMap<string, VerifyKey>;
}

const TIMEOUT_MS = 10_000;
const MAX_BYTES = 1024 * 1024;
/** So many servers are asked at the same time, however many events wait for keys. */
const MAX_ASKED_AT_ONCE = 50;

const notariesOf = (servers: Config['trusted_key_servers']): Notary[] =>
  servers.map(({ server_name: serverName, verify_keys: keys }) => ({
    serverName,
    keys: new Map(
      Object.entries(keys).flatMap(([keyId, text]) => {
        const key = verifyKeyFromBase64(keyId, text);
        return key === undefined ? [] : [[keyId, key]];
      }),
    ),
  }));

export const createKeyFetcher = ({
  client,
  clock,
  serverName: ownName,
  trustedKeyServers,
  log,
}: {
  client: Pick<FederationClient, 'ask'>;
  clock: Clock;
  serverName: string;
  trustedKeyServers: Config['trusted_key_servers'];
  log: Logger;
}): KeyFetcher => {
  // A server that trusts itself would ask itself.
  const notaries = notariesOf(trustedKeyServers).filter(({ serverName }) => serverName !== ownName);
  const limited = inLine(MAX_ASKED_AT_ONCE);

  const quietly = async <T>(whom: string, about: string, call: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await limited(call);
    } catch (error) {
      log.info(`The keys of ${about} could not be had from ${whom}: ${(error as Error).message}`);
      return undefined;
    }
  };

  const isVouchedFor = (json: JsonObject, { serverName, keys }: Notary): boolean =>
    // Without keys of the notary its certificate has to do.
    keys.size === 0 ? mentionsSignatureOf(json, serverName) : isSignedBy(json, serverName, keys);

  const askNotary = async (notary: Notary, serverName: string, { keyId, minimumValidUntilTs }: WantedKey): Promise<Publication[]> => {
    const answer = await client.ask(notary.serverName, {
      method: 'POST',
      path: '/_matrix/key/v2/query',
      content: { server_keys: { [serverName]: { [keyId]: { minimum_valid_until_ts: minimumValidUntilTs } } } },
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_BYTES,
    });
    const { server_keys: all } = answer;
    if (!Array.isArray(all)) return [];
    return (all as unknown[]).flatMap((json) => {
      if (!isJsonObject(json) || json.server_name !== serverName || !isVouchedFor(json, notary)) return [];
      return readPublication(json, serverName, clock.now()) ?? [];
    });
  };

  return {
    fromNotaries: async (serverName, wanted) => {
      const found = await Promise.all(
        notaries
          .filter((notary) => notary.serverName !== serverName)
          .map((notary) => quietly(notary.serverName, serverName, () => askNotary(notary, serverName, wanted))),
      );
      return found.flatMap((publications) => publications ?? []);
    },
    fromOrigin: (serverName) =>
      quietly(serverName, serverName, async () => {
        const json = await client.ask(serverName, {
          method: 'GET',
          path: '/_matrix/key/v2/server',
          timeoutMs: TIMEOUT_MS,
          maxBytes: MAX_BYTES,
          isUnsigned: true,
          // Whose keys are needed has just sent something, or others have in its name.
          ignoresBackOff: true,
        });
        const publication = readPublication(json, serverName, clock.now());
        if (publication === undefined) throw new Error('what it answered is not signed by it');
        return publication;
      }),
  };
};
