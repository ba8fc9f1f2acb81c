import { block, mapOf, optional } from '#src/platform/config/blocks.ts';
import { boolean, duration, key, number, required, size } from '#src/platform/config/kinds.ts';
import type { Rules } from '#src/platform/config/rules.ts';

const autotuning = optional(
  block({
    max_cache_memory_usage: key(required(size()), 'The memory use above which caches begin to shrink.'),
    target_cache_memory_usage: key(required(size()), 'The memory use at which they stop.'),
    min_cache_ttl: key(required(duration()), 'How long an entry stays in any case.'),
  }),
);

export const cachingKeys = {
  event_cache_size: key(size('10K'), 'How many events are kept in memory.'),
  caches: key(
    block({
      global_factor: key(
        number(),
        'By what the size of every cache is multiplied; by default the environment variable `SYNAPSE_CACHE_FACTOR`, else 0.5.',
      ),
      per_cache_factors: key(mapOf(number()), 'The same for single caches; the environment variables `SYNAPSE_CACHE_FACTOR_<NAME>` win.'),
      expire_caches: key(boolean(true), 'Whether entries that nobody needs are dropped after a time.'),
      cache_entry_ttl: key(duration('30m'), 'After which time.'),
      expiry_time: key(duration(), 'The old name of `cache_entry_ttl`.'),
      track_memory_usage: key(boolean(false), 'Whether the memory of each cache is measured.'),
      sync_response_cache_duration: key(duration('2m'), 'How long answers to /sync are kept in case the client asks again.', {
        acts: true,
      }),
      cache_autotuning: key(autotuning, 'Shrinking caches when memory runs short.'),
    }),
    'What is kept in memory. Read again on SIGHUP.',
  ),
} as const;

export const cachingRules: Rules = (config, report) => {
  if (config.caches.expiry_time !== undefined) report.at('caches.expiry_time').warn('is deprecated; use cache_entry_ttl');
};
