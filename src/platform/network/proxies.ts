import type { Config } from '#src/platform/config/index.ts';

/** What is configured, else what the environment says. */
export const proxiesOf = (
  config: Pick<Config, 'http_proxy' | 'https_proxy' | 'no_proxy_hosts'>,
  environment: NodeJS.ProcessEnv,
): Readonly<Record<string, string | undefined>> => {
  const found = {
    HTTP_PROXY: config.http_proxy ?? environment['http_proxy'] ?? environment['HTTP_PROXY'],
    HTTPS_PROXY: config.https_proxy ?? environment['https_proxy'] ?? environment['HTTPS_PROXY'],
    NO_PROXY: config.no_proxy_hosts.length > 0 ? config.no_proxy_hosts.join(',') : (environment['no_proxy'] ?? environment['NO_PROXY']),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined && value !== ''));
};
