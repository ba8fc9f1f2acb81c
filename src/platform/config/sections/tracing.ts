import { block, list, mapOf } from '#src/platform/config/blocks.ts';
import { regex, userId } from '#src/platform/config/formats.ts';
import { anything, boolean, integer, key } from '#src/platform/config/kinds.ts';

export const tracingKeys = {
  opentracing: key(
    block({
      enabled: key(boolean(false), 'Whether it is done.'),
      homeserver_whitelist: key(list(regex()), 'Servers (regular expressions) with which traces are shared.'),
      force_tracing_for_users: key(list(userId()), 'Users whose requests are always traced.'),
      jaeger_config: key(mapOf(anything()), 'Settings of the Jaeger client.'),
    }),
    'Tracing of requests.',
  ),
} as const;

export const backgroundUpdateKeys = {
  background_updates: key(
    block({
      background_update_duration_ms: key(integer(100), 'How many milliseconds one step should take.'),
      sleep_enabled: key(boolean(true), 'Whether there is a pause between steps.'),
      sleep_duration_ms: key(integer(1000), 'How many milliseconds it takes.'),
      min_batch_size: key(integer(1), 'The least number of rows in one step.'),
      default_batch_size: key(integer(100), 'The number of rows in the first step.'),
    }),
    'The pace of long changes to the database, which happen while the server runs.',
    { acts: true },
  ),
} as const;
