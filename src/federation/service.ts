import type { Clock } from '#src/platform/clock.ts';
import { type Config, ConfigError, oldSigningKeys, parseKeyFile } from '#src/platform/config/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Access, Route } from '#src/platform/http/route.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import type { Dns } from '#src/platform/network/index.ts';
import type { Random } from '#src/platform/random.ts';
import { type SigningKey, signingKeyFromSeed } from '#src/protocol/signatures.ts';
import { createPeerAccess, type Peer } from '#src/federation/access.ts';
import { type BackOff, openBackOff } from '#src/federation/back-off.ts';
import { createFederationClient, type FederationClient } from '#src/federation/client.ts';
import { createDiscovery, type Discovery } from '#src/federation/discovery/resolve.ts';
import { createWellKnown } from '#src/federation/discovery/well-known.ts';
import { createKeyFetcher } from '#src/federation/keys/fetcher.ts';
import { createNotary } from '#src/federation/keys/notary.ts';
import { createOwnPublication } from '#src/federation/keys/publication.ts';
import { keyServerRoutes } from '#src/federation/keys/routes.ts';
import { createKeyRing, type KeyRing } from '#src/federation/keys/service.ts';
import { createWayOut, readFiles } from '#src/federation/way-out.ts';

/** How this server finds others, and which of them it believes. */
export interface Peers {
  readonly client: FederationClient;
  readonly discovery: Discovery;
  readonly backOff: BackOff;
  /** The keys of all servers. */
  readonly keys: KeyRing;
  /** Servers that sign their requests. */
  readonly access: Access<Peer>;
  /** Whether a server may be talked with (`federation_domain_whitelist`). */
  readonly isAllowed: (serverName: string) => boolean;
  readonly routes: readonly Route[];
  close(): Promise<void>;
}

/** The keys with which this server, as a notary, signs what it hands on: its own, unless others are configured. */
const notaryKeys = (path: string | undefined, own: readonly SigningKey[]): readonly SigningKey[] => {
  if (path === undefined) return own;
  const [text = ''] = readFiles('key_server_signing_keys_path', [path]);
  try {
    return parseKeyFile(text).map(({ keyId, seed }) => signingKeyFromSeed(keyId, Buffer.from(seed)));
  } catch (error) {
    throw new ConfigError([`key_server_signing_keys_path: ${path}: ${(error as Error).message}`]);
  }
};

/** Throws `ConfigError` for files that cannot be read. */
export const openPeers = async ({
  database,
  clock,
  random,
  config,
  dns,
  version,
  ownKeys,
  log,
}: {
  database: Database;
  clock: Clock;
  random: Random;
  config: Config;
  dns: Dns;
  version: string;
  /** The first signs requests, all of them what is published. */
  ownKeys: readonly [SigningKey, ...SigningKey[]];
  log: (name: string) => Logger;
}): Promise<Peers> => {
  const { server_name: serverName } = config;
  const { http, isAllowed, checksCertificateOf } = createWayOut(config, dns, version);
  const backOff = await openBackOff({ database, clock, random, config: config.federation, log: log('util.retryutils') });
  const discovery = createDiscovery({ wellKnown: createWellKnown({ http, clock, random }), dns, clock, random });
  const client = createFederationClient({
    serverName,
    signingKey: ownKeys[0],
    http,
    discovery,
    backOff,
    clock,
    random,
    config: config.federation,
    isAllowed,
    checksCertificateOf,
  });
  const trustedKeyServers = config.trusted_key_servers;
  const fetcher = createKeyFetcher({ client, clock, serverName, trustedKeyServers, log: log('crypto.keyring') });
  const keys = createKeyRing({ database, clock, serverName, ownKeys, fetcher });
  const own = createOwnPublication({
    serverName,
    keys: ownKeys,
    oldKeys: oldSigningKeys(config),
    lifetimeMs: config.key_refresh_interval,
    clock,
  });
  const notary = createNotary({
    database,
    clock,
    serverName,
    keys: notaryKeys(config.key_server_signing_keys_path, ownKeys),
    ring: keys,
    fetcher,
    own,
    isAllowed,
  });
  return {
    client,
    discovery,
    backOff,
    keys,
    isAllowed,
    access: createPeerAccess({ serverName, keys, clock, isAllowed, heardFrom: backOff.heardFrom }),
    routes: keyServerRoutes({ own, notary }),
    close: async () => {
      http.close();
      await backOff.settled();
    },
  };
};
