import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until `condition` holds, looking every few milliseconds; throws after `timeoutMs`. */
export const until = async (what: string, timeoutMs: number, condition: () => Promise<boolean>): Promise<void> => {
  const start = performance.now();
  while (!(await condition())) {
    if (performance.now() - start > timeoutMs) throw new Error(`Waited in vain for ${what}`);
    await sleep(4);
  }
};
