import type { StreamPositions } from '#src/platform/database/types.ts';

export type Waited = 'woken' | 'timeout' | 'aborted';

export interface WaitOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Somebody who is registered already and has yet to wait, so that no wake in between is lost. */
export interface Waiter {
  wait(options: WaitOptions): Promise<Waited>;
  cancel(): void;
}

/**
 * Wakes long polls by key (a user, a room), so that a change costs those who wait for its keys and nobody else.
 */
export interface Notifier {
  wake(keys: Iterable<string>): void;
  /** Registers now; a wake from here on counts even if `wait` is called later. */
  register(keys: Iterable<string>): Waiter;
  /** How many wait. */
  size(): number;
}

/** A promise that is settled once, by a wake, the time or the signal. */
const createWaiter = (onEnd: () => void): Waiter & { wake(): void } => {
  let woken = false;
  let settle: ((how: Waited) => void) | undefined;
  const end = (how: Waited): void => {
    if (woken) return;
    woken = true;
    onEnd();
    settle?.(how);
  };
  return {
    wake: () => end('woken'),
    cancel: () => end('aborted'),
    wait: ({ timeoutMs, signal }) =>
      new Promise((resolve) => {
        if (woken) {
          resolve('woken');
          return;
        }
        const timer = setTimeout(() => end('timeout'), timeoutMs);
        const abort = (): void => end('aborted');
        settle = (how) => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', abort);
          resolve(how);
        };
        signal?.addEventListener('abort', abort, { once: true });
        if (signal?.aborted === true) abort();
      }),
  };
};

export const createNotifier = (): Notifier => {
  const byKey = new Map<string, Set<Waiter & { wake(): void }>>();
  let size = 0;
  return {
    size: () => size,
    wake: (keys) => {
      for (const key of keys) for (const waiter of byKey.get(key) ?? []) waiter.wake();
    },
    register: (keys) => {
      const registered = [...new Set(keys)];
      const waiter = createWaiter(() => {
        size -= 1;
        for (const key of registered) {
          const waiters = byKey.get(key);
          waiters?.delete(waiter);
          if (waiters?.size === 0) byKey.delete(key);
        }
      });
      size += 1;
      for (const key of registered) {
        const waiters = byKey.get(key);
        if (waiters === undefined) byKey.set(key, new Set([waiter]));
        else waiters.add(waiter);
      }
      return waiter;
    },
  };
};

/**
 * Waits until the positions of the given streams satisfy `until`: a worker that was given a token from ahead of it, a test that
 * waits for a follower's stream. For the many who wait for news of their own, use a `Notifier`.
 */
export const waitFor = async ({
  positions,
  streams,
  until,
  timeoutMs,
  signal,
}: WaitOptions & {
  readonly positions: StreamPositions;
  readonly streams: readonly string[];
  readonly until: (positions: StreamPositions) => boolean;
}): Promise<Waited> => {
  if (until(positions)) return 'woken';
  let unsubscribe = (): void => undefined;
  const waiter = createWaiter(() => unsubscribe());
  unsubscribe = positions.subscribe((moved) => {
    if (streams.some((stream) => moved.has(stream)) && until(positions)) waiter.wake();
  });
  return waiter.wait({ timeoutMs, signal });
};
