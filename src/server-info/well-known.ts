import type { Config } from '#src/platform/config/index.ts';
import { parseServerName } from '#src/protocol/identifiers.ts';

/** What `/.well-known/matrix/client` says; undefined unless the operator has said where clients reach this server. */
export const clientWellKnown = (
  config: Pick<Config, 'public_baseurl' | 'public_baseurl_is_set' | 'default_identity_server' | 'extra_well_known_client_content'>,
): Readonly<Record<string, unknown>> | undefined => {
  if (!config.public_baseurl_is_set) return undefined;
  return {
    ...config.extra_well_known_client_content,
    'm.homeserver': { base_url: config.public_baseurl },
    ...(config.default_identity_server !== undefined && { 'm.identity_server': { base_url: config.default_identity_server } }),
  };
};

/** What `/.well-known/matrix/server` says: whoever asks has reached the server's name at port 443, so that is where to go. */
export const serverWellKnown = (serverName: string): { 'm.server': string } => ({
  'm.server': parseServerName(serverName)?.port === undefined ? `${serverName}:443` : serverName,
});
