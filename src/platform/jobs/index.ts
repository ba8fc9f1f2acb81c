import type { Logger } from '#src/platform/logging/index.ts';

/** Jobs that come round: janitors, renewals. Each runs once at a time; one that fails is logged and comes round again. */
export interface Jobs {
  /** Runs `job` every `intervalMs`, the first time after one interval. */
  every(name: string, intervalMs: number, job: (signal: AbortSignal) => Promise<void>): void;
  /** Ends the rounds and waits for the jobs that are at work; their signal is aborted. */
  stop(): Promise<void>;
}

export const createJobs = (logger: Logger): Jobs => {
  const timers = new Map<string, NodeJS.Timeout>();
  const running = new Set<Promise<void>>();
  const stopping = new AbortController();

  const run = async (name: string, job: (signal: AbortSignal) => Promise<void>): Promise<void> => {
    try {
      await job(stopping.signal);
    } catch (error) {
      if (!stopping.signal.aborted) logger.error({ err: error, job: name }, 'A periodic job failed; it comes round again');
    }
  };

  const schedule = (name: string, intervalMs: number, job: (signal: AbortSignal) => Promise<void>): void => {
    const timer = setTimeout(() => {
      const round = run(name, job).finally(() => {
        running.delete(round);
        if (!stopping.signal.aborted) schedule(name, intervalMs, job);
      });
      running.add(round);
    }, intervalMs);
    timer.unref();
    timers.set(name, timer);
  };

  return {
    every: (name, intervalMs, job) => {
      if (timers.has(name)) throw new Error(`There are two periodic jobs named ${name}`);
      schedule(name, intervalMs, job);
    },
    stop: async () => {
      stopping.abort();
      for (const timer of timers.values()) clearTimeout(timer);
      await Promise.all(running);
    },
  };
};
