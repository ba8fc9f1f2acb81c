import type { Metrics } from '#src/platform/metrics/index.ts';

/** What is waiting to be sent, all servers together. */
export interface Pending {
  readonly destinations: number;
  readonly pdus: number;
  readonly edus: number;
}

/** Counts what is sent, under Synapse's names. */
export interface OutboxMetrics {
  processed(): void;
  /** An event was queued for so many servers. */
  queued(servers: number): void;
  sent(edusByType: Iterable<readonly [type: string, count: number]>): void;
  /** Asks this before each scrape. Answers how to stop. */
  watch(pending: () => Pending): () => void;
}

export const createOutboxMetrics = (metrics: Metrics): OutboxMetrics => {
  const name = (rest: string): string => `synapse_federation_${rest}`;
  const processed = metrics.counter({ name: name('client_events_processed_total'), help: 'Events handled by the outbox' }).with();
  const pairs = metrics.counter({ name: name('client_sent_pdu_destinations_total'), help: 'Servers that events were queued for' }).with();
  const pdus = metrics.counter({ name: name('client_sent_pdu_destinations_count_total'), help: 'Events queued for any server' }).with();
  const transactions = metrics.counter({ name: name('client_sent_transactions_total'), help: 'Transactions sent' }).with();
  const edus = metrics.counter({ name: name('client_sent_edus_total'), help: 'EDUs sent' }).with();
  const byType = metrics.counter({ name: name('client_sent_edus_by_type_total'), help: 'EDUs sent, by type', labels: ['type'] });
  const gauge = (what: string) => metrics.gauge({ name: name(`transaction_queue_pending_${what}`), help: `Pending ${what}` }).with();
  const [destinations, pendingPdus, pendingEdus] = [gauge('destinations'), gauge('pdus'), gauge('edus')];
  return {
    processed: () => processed.inc(),
    queued: (servers) => {
      if (servers === 0) return;
      pairs.inc(servers);
      pdus.inc();
    },
    sent: (edusByType) => {
      transactions.inc();
      for (const [type, count] of edusByType) {
        edus.inc(count);
        byType.with(type).inc(count);
      }
    },
    watch: (pending) =>
      metrics.onScrape(() => {
        const now = pending();
        destinations.set(now.destinations);
        pendingPdus.set(now.pdus);
        pendingEdus.set(now.edus);
      }),
  };
};
