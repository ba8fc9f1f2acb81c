import { setImmediate as turn } from 'node:timers/promises';
import type { Connection } from '#src/platform/database/sqlite/connection.ts';

/** The state after the last group that is on the disk, as the readers of the main thread see it. */
export interface Snapshot {
  readonly connection: Connection;
  /** Whether bodies are reading now. They end within a turn of the event loop. */
  readonly busy: boolean;
  use<T>(work: () => Promise<T>): Promise<T>;
  /** Goes on to what is committed by now; only called when all of that is on the disk. */
  renew(): Promise<void>;
}

/** Opens the snapshot; with `shared`, the connection is the writer's and there is none to hold open. */
export const createSnapshot = (connection: Connection, shared: boolean): Snapshot => {
  let reading = 0;
  const open = (): void => {
    connection.control('BEGIN');
    connection.control('SELECT 1 FROM sqlite_schema LIMIT 1');
  };
  if (!shared) open();
  return {
    connection,
    get busy() {
      return reading > 0;
    },
    use: async (work) => {
      reading += 1;
      try {
        return await work();
      } finally {
        reading -= 1;
      }
    },
    renew: async () => {
      if (shared) return;
      while (reading > 0) await turn();
      connection.control('COMMIT');
      open();
    },
  };
};
