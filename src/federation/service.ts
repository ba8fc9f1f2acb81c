import { readFileSync } from 'node:fs';
import type { SecureVersion } from 'node:tls';
import type { Clock } from '#src/platform/clock.ts';
import { type Config, ConfigError, oldSigningKeys, parseKeyFile } from '#src/platform/config/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Access, Route } from '#src/platform/http/route.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import { createHttpClient, createIpPolicy, type Dns, type HttpClient } from '#src/platform/network/index.ts';
import type { Random } from '#src/platform/random.ts';
import { globMatcher } from '#src/protocol/glob.ts';
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

const TLS_VERSIONS: Readonly<Record<string, SecureVersion>> = {
  '1': 'TLSv1',
  '1.0': 'TLSv1',
  '1.1': 'TLSv1.1',
  '1.2': 'TLSv1.2',
  '1.3': 'TLSv1.3',
};

/** Reads the files that a key of the configuration names. Throws `ConfigError`. */
const readFiles = (key: string, paths: readonly string[]): string[] =>
  paths.map((path) => {
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      throw new ConfigError([`${key}: ${path} cannot be read: ${(error as Error).message}`]);
    }
  });

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

type NetworkConfig = Pick<
  Config,
  | 'ip_range_blacklist'
  | 'ip_range_whitelist'
  | 'federation_ip_range_blacklist'
  | 'federation_custom_ca_list'
  | 'federation_client_minimum_tls_version'
  | 'http_proxy'
  | 'https_proxy'
  | 'no_proxy_hosts'
  | 'user_agent_suffix'
>;

/** What is configured, else what the environment says. */
const proxiesOf = (config: NetworkConfig, environment: NodeJS.ProcessEnv) => {
  const found = {
    HTTP_PROXY: config.http_proxy ?? environment['http_proxy'] ?? environment['HTTP_PROXY'],
    HTTPS_PROXY: config.https_proxy ?? environment['https_proxy'] ?? environment['HTTPS_PROXY'],
    NO_PROXY: config.no_proxy_hosts.length > 0 ? config.no_proxy_hosts.join(',') : (environment['no_proxy'] ?? environment['NO_PROXY']),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined && value !== ''));
};

/** The client for requests to other homeservers. `version` is this program's. */
const federationHttp = (config: NetworkConfig, dns: Dns, version: string): HttpClient => {
  const old = config.federation_ip_range_blacklist;
  const suffix = config.user_agent_suffix === undefined ? '' : ` ${config.user_agent_suffix}`;
  return createHttpClient({
    dns,
    policy: createIpPolicy(
      old === undefined ? { denied: config.ip_range_blacklist, allowed: config.ip_range_whitelist } : { denied: old, allowed: [] },
    ),
    userAgent: `Myelin/${version}${suffix}`,
    authorities:
      config.federation_custom_ca_list === undefined ? undefined : readFiles('federation_custom_ca_list', config.federation_custom_ca_list),
    minTlsVersion: TLS_VERSIONS[config.federation_client_minimum_tls_version],
    proxies: proxiesOf(config, process.env),
  });
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
  const { server_name: serverName, federation_domain_whitelist: whitelist } = config;
  const allowed = whitelist === undefined ? undefined : new Set([...whitelist, serverName]);
  const isAllowed = (name: string): boolean => allowed === undefined || allowed.has(name);
  const uncheckedNames = config.federation_certificate_verification_whitelist.map((pattern) => globMatcher(pattern));
  const checksAny = config.federation_verify_certificates && !config.use_insecure_ssl_client_just_for_testing_do_not_use;
  const http = federationHttp(config, dns, version);
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
    checksCertificateOf: (name) => checksAny && !uncheckedNames.some((matches) => matches(name)),
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
