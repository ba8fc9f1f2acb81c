import { startThread } from '#src/platform/database/sqlite/threads.ts';
import type { Thread } from '#src/platform/database/sqlite/threads.ts';
import type { Logger } from '#src/platform/logging/index.ts';

/** Where the write-ahead log stands, in pages. */
export interface LogState {
  readonly log: number;
  readonly checkpointed: number;
}

interface Options {
  readonly path: string;
  readonly state: () => LogState;
  /** Runs work while no group is being committed. */
  readonly exclusive: <T>(work: () => Promise<T>) => Promise<T>;
  /** Lets the readers' snapshot go on to the end of the log, so that it does not keep the log from being reset. */
  readonly renewSnapshot: () => Promise<void>;
  readonly maxLogBytes: number;
  readonly idleMs: number;
  readonly logger: Logger;
}

export interface Checkpoints {
  afterGroup(): void;
  close(): Promise<void>;
}

const PAGE_BYTES = 4096;
const GROUPS_PER_LOOK = 16;

/**
 * Moves the log's pages into the database file, in a thread. Most of the work is done beside the writer; then groups wait
 * for the few pages that came meanwhile, so that the whole log is done and the next write starts it anew from its beginning.
 */
export const createCheckpoints = (options: Options): Checkpoints => {
  const { path, state, exclusive, renewSnapshot, maxLogBytes, idleMs, logger } = options;
  const maxPages = Math.ceil(maxLogBytes / PAGE_BYTES);
  let thread: Thread | undefined;
  let running: Promise<void> | undefined;
  let groups = 0;
  let closing = false;
  /** A log that a long read kept from being reset is tried again only when it has grown as much again. */
  let nextAtPages = maxPages;

  const run = async (): Promise<void> => {
    if (thread?.alive !== true) thread = startThread(path, false);
    const worker = thread;
    await worker.ask({ kind: 'checkpoint' });
    await exclusive(async () => {
      await worker.ask({ kind: 'checkpoint' });
      await renewSnapshot();
    });
    const { log, checkpointed } = state();
    nextAtPages = (checkpointed < log ? log : 0) + maxPages;
  };

  const start = (): void => {
    if (running !== undefined) return;
    running = run()
      .catch((error: unknown) => {
        if (!closing) logger.error({ err: error, path }, 'A checkpoint of the database failed; it will be tried again');
      })
      .finally(() => {
        running = undefined;
      });
  };

  const look = (leastPages: number): void => {
    const { log, checkpointed } = state();
    if (log >= leastPages && checkpointed < log) start();
  };

  const idle = setTimeout(() => look(1), idleMs).unref();

  return {
    afterGroup: () => {
      idle.refresh();
      groups += 1;
      if (groups % GROUPS_PER_LOOK === 0) look(nextAtPages);
    },
    close: async () => {
      closing = true;
      clearTimeout(idle);
      await thread?.close();
      await running;
    },
  };
};
