import { readFileSync } from 'node:fs';
import type { SecureVersion } from 'node:tls';
import { type Config, ConfigError } from '#src/platform/config/index.ts';
import { createHttpClient, createIpPolicy, type Dns, type HttpClient, type IpPolicy, proxiesOf } from '#src/platform/network/index.ts';
import { globMatcher } from '#src/protocol/glob.ts';

/** How this server goes out to other homeservers, as it is configured. */
export interface WayOut {
  readonly http: HttpClient;
  /** Which addresses `http` connects to. */
  readonly policy: IpPolicy;
  /** Whether a server may be talked with (`federation_domain_whitelist`). */
  readonly isAllowed: (serverName: string) => boolean;
  /** Whether its certificate is checked. */
  readonly checksCertificateOf: (serverName: string) => boolean;
}

const TLS_VERSIONS: Readonly<Record<string, SecureVersion>> = {
  '1': 'TLSv1',
  '1.0': 'TLSv1',
  '1.1': 'TLSv1.1',
  '1.2': 'TLSv1.2',
  '1.3': 'TLSv1.3',
};

/** Reads the files that a key of the configuration names. Throws `ConfigError`. */
export const readFiles = (key: string, paths: readonly string[]): string[] =>
  paths.map((path) => {
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      throw new ConfigError([`${key}: ${path} cannot be read: ${(error as Error).message}`]);
    }
  });

type WayOutConfig = Pick<
  Config,
  | 'server_name'
  | 'federation_domain_whitelist'
  | 'federation_certificate_verification_whitelist'
  | 'federation_verify_certificates'
  | 'use_insecure_ssl_client_just_for_testing_do_not_use'
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

/** `version` is this program's. Throws `ConfigError` for files that cannot be read. */
export const createWayOut = (config: WayOutConfig, dns: Dns, version: string): WayOut => {
  const { federation_domain_whitelist: whitelist, federation_ip_range_blacklist: old, federation_custom_ca_list: authorities } = config;
  const allowed = whitelist === undefined ? undefined : new Set([...whitelist, config.server_name]);
  const uncheckedNames = config.federation_certificate_verification_whitelist.map((pattern) => globMatcher(pattern));
  const checksAny = config.federation_verify_certificates && !config.use_insecure_ssl_client_just_for_testing_do_not_use;
  const suffix = config.user_agent_suffix === undefined ? '' : ` ${config.user_agent_suffix}`;
  const policy = createIpPolicy(
    old === undefined ? { denied: config.ip_range_blacklist, allowed: config.ip_range_whitelist } : { denied: old, allowed: [] },
  );
  return {
    http: createHttpClient({
      dns,
      policy,
      userAgent: `Myelin/${version}${suffix}`,
      authorities: authorities === undefined ? undefined : readFiles('federation_custom_ca_list', authorities),
      minTlsVersion: TLS_VERSIONS[config.federation_client_minimum_tls_version],
      proxies: proxiesOf(config, process.env),
    }),
    policy,
    isAllowed: (name) => allowed === undefined || allowed.has(name),
    checksCertificateOf: (name) => checksAny && !uncheckedNames.some((matches) => matches(name)),
  };
};
