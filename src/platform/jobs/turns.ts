/** Lets so many things happen at once, the others in the order in which they came. */
export interface Turns<Key> {
  /** Runs it for a key as soon as there is room. A key that waits or runs already is not taken again; false for one. */
  take(key: Key): boolean;
  /** Forgets those that wait, and resolves when those that run have ended. */
  stop(): Promise<void>;
}

/** `run` does not reject. */
export const createTurns = <Key>(most: number, run: (key: Key) => Promise<void>): Turns<Key> => {
  const waiting = new Set<Key>();
  const running = new Map<Key, Promise<void>>();

  const startNext = (): void => {
    for (const key of waiting) {
      if (running.size >= most) return;
      waiting.delete(key);
      const turn = run(key).finally(() => {
        running.delete(key);
        startNext();
      });
      running.set(key, turn);
    }
  };

  return {
    take: (key) => {
      if (running.has(key) || waiting.has(key)) return false;
      waiting.add(key);
      startNext();
      return true;
    },
    stop: async () => {
      waiting.clear();
      await Promise.all(running.values());
    },
  };
};
