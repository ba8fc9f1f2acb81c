import { block, optional } from '#src/platform/config/blocks.ts';
import { boolean, ignored, key, required, string, url } from '#src/platform/config/kinds.ts';

export const metricsKeys = {
  enable_metrics: key(
    boolean(false),
    'Whether metrics for Prometheus are collected, and shown by listeners that have the resource `metrics`.',
    { acts: true },
  ),
  enable_legacy_metrics: key(ignored('only the current names of metrics exist'), 'A relic.'),
  metrics_flags: key(
    block({ known_servers: key(boolean(false), 'How many servers this one shares rooms with.') }, { strict: true }),
    'Metrics that cost more than others.',
  ),
  sentry: key(
    optional(
      block({
        dsn: key(required(string()), 'Where to report to.'),
        environment: key(string(), 'The environment that reports name.'),
      }),
    ),
    'Reporting errors to Sentry.',
  ),
  report_stats: key(
    required(boolean(false)),
    'Whether this server may send anonymous statistics. Must be decided; Myelin sends none, whatever is decided. Also answered by `--report-stats`.',
    { acts: true },
  ),
  report_stats_endpoint: key(url('https://matrix.org/report-usage-stats/push'), 'Where statistics would go.'),
} as const;
