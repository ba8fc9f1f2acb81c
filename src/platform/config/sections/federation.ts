import { block, list, optional } from '#src/platform/config/blocks.ts';
import { serverName } from '#src/platform/config/formats.ts';
import { boolean, duration, integer, key } from '#src/platform/config/kinds.ts';

export const federationKeys = {
  federation_domain_whitelist: key(optional(list(serverName())), 'The only servers to talk with; an empty list for none. By default all.', {
    acts: true,
  }),
  federation_whitelist_endpoint_enabled: key(boolean(false), 'Whether local users can read that list.'),
  federation_metrics_domains: key(list(serverName()), 'Servers for which a metric says when they were last heard of.'),
  allow_profile_lookup_over_federation: key(boolean(true), 'Whether other servers may ask for the profiles of local users.', {
    acts: true,
  }),
  allow_device_name_lookup_over_federation: key(boolean(false), 'Whether other servers are told the names of devices.', { acts: true }),
  federation: key(
    block({
      client_timeout: key(duration('60s'), 'How long to wait for an answer.', { acts: true }),
      max_short_retry_delay: key(duration('2s'), 'The longest pause between tries of an urgent request.', { acts: true }),
      max_long_retry_delay: key(duration('60s'), 'The longest pause between tries of another request.', { acts: true }),
      max_short_retries: key(integer(3), 'How often an urgent request is tried again.', { acts: true }),
      max_long_retries: key(integer(10), 'How often another request is tried again.', { acts: true }),
      destination_min_retry_interval: key(duration('10m'), 'How long a server is left alone after it could not be reached.', {
        acts: true,
      }),
      destination_retry_multiplier: key(integer(2, { min: 1 }), 'By what this grows each time.', { acts: true }),
      destination_max_retry_interval: key(duration('7d'), 'How long it becomes at most.', { acts: true }),
    }),
    'Patience with other servers.',
  ),
} as const;
