import { LRUCache } from 'lru-cache';
import type { Clock } from '#src/platform/clock.ts';

/** What is made for a key, and whether those who ask again in a while may have it too. */
export interface Made {
  readonly text: string;
  readonly keep: boolean;
}

/**
 * Lets identical requests share one answer: those that come while it is made, and for some time those whose first answer was lost. Of each device only its
 * last answer is kept: who asks on from it has it.
 */
export interface ResponseCache {
  /** `device` names who asks, `key` all that makes the answer. `signal` is one request's; the making is given up when all who wait for it have gone. */
  share(device: string, key: string, signal: AbortSignal, make: (signal: AbortSignal) => Promise<Made>): Promise<string>;
}

const MAX_BYTES = 32 * 1024 * 1024;

interface Running {
  readonly answer: Promise<Made>;
  readonly abort: AbortController;
  requests: number;
}

export const createResponseCache = (clock: Clock, durationMs: number): ResponseCache => {
  const done = new LRUCache<string, { readonly key: string; readonly text: string }>({
    maxSize: MAX_BYTES,
    sizeCalculation: ({ key, text }) => key.length + text.length + 200,
    ttl: Math.max(1, durationMs),
    ttlResolution: 0,
    perf: { now: () => clock.monotonic() },
  });
  const running = new Map<string, Running>();

  const start = (key: string, make: (signal: AbortSignal) => Promise<Made>): Running => {
    const abort = new AbortController();
    const answer = make(abort.signal).finally(() => running.delete(key));
    const entry: Running = { answer, abort, requests: 0 };
    running.set(key, entry);
    return entry;
  };

  return {
    share: async (device, key, signal, make) => {
      const known = done.get(device);
      if (known?.key === key) return known.text;
      const entry = running.get(key) ?? start(key, make);
      entry.requests++;
      const leave = (): void => {
        if (--entry.requests === 0) entry.abort.abort();
      };
      if (signal.aborted) leave();
      else signal.addEventListener('abort', leave, { once: true });
      try {
        const { text, keep } = await entry.answer;
        if (keep && durationMs > 0) done.set(device, { key, text });
        return text;
      } finally {
        signal.removeEventListener('abort', leave);
      }
    },
  };
};
