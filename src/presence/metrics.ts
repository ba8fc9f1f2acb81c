import type { Metrics } from '#src/platform/metrics/index.ts';
import type { Presence, Reason } from '#src/presence/states.ts';

/** Counts what becomes of presence, under Synapse's names. */
export interface PresenceMetrics {
  updates(count: number): void;
  timersFired(count: number): void;
  heardFromOthers(count: number): void;
  sent(count: number): void;
  bumped(): void;
  read(how: 'stream' | 'full'): void;
  told(isLocal: boolean, reason: Reason, from: Presence, to: Presence): void;
  /** Asks before each scrape how many users are in memory, and how many alarms are set. Answers how to stop. */
  watch(sizes: () => { readonly users: number; readonly alarms: number }): () => void;
}

export const createPresenceMetrics = (metrics: Metrics): PresenceMetrics => {
  const name = (rest: string): string => `synapse_handler_presence_${rest}_total`;
  const updates = metrics.counter({ name: name('presence_updates'), help: 'Users whose presence was looked at for a change' }).with();
  const notified = metrics.counter({ name: name('notified_presence'), help: 'Changes that others are told' }).with();
  const timers = metrics.counter({ name: name('timers_fired'), help: 'Users looked at because time has passed' }).with();
  const federation = metrics.counter({ name: name('federation_presence'), help: 'States that other servers told' }).with();
  const out = metrics.counter({ name: name('federation_presence_out'), help: 'States that other servers are told' }).with();
  const bumps = metrics.counter({ name: name('bump_active_time'), help: 'Activities that were noted' }).with();
  const reads = metrics.counter({ name: name('get_updates'), help: 'Readings for sync', labels: ['type'] });
  const reasons = metrics.counter({ name: name('notify_reason'), help: 'Why others are told', labels: ['locality', 'reason'] });
  const transitions = metrics.counter({ name: name('state_transition'), help: 'From what to what', labels: ['locality', 'from', 'to'] });
  const users = metrics.gauge({ name: 'synapse_handlers_presence_user_to_current_state_size', help: 'Users in memory' }).with();
  const alarms = metrics.gauge({ name: 'synapse_handlers_presence_wheel_timer_size', help: 'Users to be looked at later' }).with();
  return {
    updates: (count) => updates.inc(count),
    timersFired: (count) => timers.inc(count),
    heardFromOthers: (count) => federation.inc(count),
    sent: (count) => out.inc(count),
    bumped: () => bumps.inc(),
    read: (how) => reads.with(how).inc(),
    told: (isLocal, reason, from, to) => {
      const locality = isLocal ? 'local' : 'remote';
      notified.inc();
      reasons.with(locality, reason).inc();
      if (from !== to) transitions.with(locality, from, to).inc();
    },
    watch: (sizes) =>
      metrics.onScrape(() => {
        const now = sizes();
        users.set(now.users);
        alarms.set(now.alarms);
      }),
  };
};
