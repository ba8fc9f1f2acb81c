import type { Clock } from '#src/platform/clock.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { RateLimiters } from '#src/platform/http/rate-limits.ts';
import type { Metrics } from '#src/platform/metrics/index.ts';
import { type Book, openBook } from '#src/presence/book.ts';
import { createPresenceMetrics, type PresenceMetrics } from '#src/presence/metrics.ts';
import { isTracked, timingsOf } from '#src/presence/service.ts';

export { activeAccess, presenceRoutes } from '#src/presence/routes.ts';
export { createPresence } from '#src/presence/service.ts';
export type { Presence } from '#src/presence/service.ts';
export type { OwnPresence } from '#src/presence/to-servers.ts';

/** Reads who was online when the server stopped; they are until they have not synced for a while. */
export const openPresence = async ({
  database,
  strings,
  clock,
  config,
  limiters,
  metrics,
}: {
  readonly database: Database;
  readonly strings: Strings;
  readonly clock: Clock;
  readonly config: Config;
  readonly limiters: RateLimiters;
  readonly metrics: Metrics;
}): Promise<{ readonly book: Book; readonly metrics: PresenceMetrics }> => {
  const counting = createPresenceMetrics(metrics);
  const book = await openBook({
    database,
    strings,
    clock,
    serverName: config.server_name,
    timings: timingsOf(config),
    isTracked: isTracked(config),
    limiter: limiters.of('rc_presence.per_user'),
    metrics: counting,
  });
  return { book, metrics: counting };
};
