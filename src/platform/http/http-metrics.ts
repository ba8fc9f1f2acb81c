import type { Metrics } from '#src/platform/metrics/index.ts';

/** Counts one kind of request. */
export interface RequestMetrics {
  started(): void;
  finished(status: number, seconds: number, bytes: number): void;
}

/** Synapse's metrics of its HTTP server, by method, route and the listener's tag. */
export interface HttpMetrics {
  of(method: string, servlet: string, tag: string): RequestMetrics;
}

export const createHttpMetrics = (metrics: Metrics): HttpMetrics => {
  const labels = ['method', 'servlet'] as const;
  const tagged = ['method', 'servlet', 'tag'] as const;
  const received = metrics.counter({ name: 'synapse_http_server_requests_received_total', help: 'Requests started.', labels });
  const responses = metrics.counter({
    name: 'synapse_http_server_responses_total',
    help: 'Responses by status.',
    labels: ['method', 'code'],
  });
  const count = metrics.counter({ name: 'synapse_http_server_response_count_total', help: 'Responses.', labels: tagged });
  const time = metrics.histogram({
    name: 'synapse_http_server_response_time_seconds',
    help: 'Time from the request to the end of its response.',
    labels: ['method', 'servlet', 'tag', 'code'],
  });
  const size = metrics.counter({ name: 'synapse_http_server_response_size_total', help: 'Bytes of response bodies.', labels: tagged });
  const inFlight = metrics.gauge({ name: 'synapse_http_server_in_flight_requests_count', help: 'Requests being answered.', labels });

  return {
    of: (method, servlet, tag) => {
      const series = {
        received: received.with(method, servlet),
        count: count.with(method, servlet, tag),
        size: size.with(method, servlet, tag),
        inFlight: inFlight.with(method, servlet),
      };
      const byCode = new Map<number, { responses: { inc(): void }; time: { observe(seconds: number): void } }>();
      return {
        started: () => {
          series.received.inc();
          series.inFlight.inc();
        },
        finished: (status, seconds, bytes) => {
          series.inFlight.dec();
          series.count.inc();
          series.size.inc(bytes);
          const code = byCode.getOrInsertComputed(status, () => ({
            responses: responses.with(method, `${status}`),
            time: time.with(method, servlet, tag, `${status}`),
          }));
          code.responses.inc();
          code.time.observe(seconds);
        },
      };
    },
  };
};
