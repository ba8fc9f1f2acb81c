import { closeSync, fdatasyncSync, fstatSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { DatabaseError } from '#src/platform/database/errors.ts';

/** Waits until what was written to the log lies on the disk. */
export interface Durability {
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Makes the names of new files in the folder of `path` durable. */
export const syncFolder = (path: string): void => {
  const fd = openSync(dirname(path), 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
};

const ZEROS = new Uint8Array(65_536);

/**
 * Makes the log as long as it may become, with zeros behind what it holds. SQLite takes them for the end of the log. A sync
 * after a write inside a file costs half of one that makes the file longer too, since no metadata has to go along.
 */
const lengthen = (fd: number, bytes: number): void => {
  try {
    for (let { size } = fstatSync(fd); size < bytes;) size += writeSync(fd, ZEROS, 0, Math.min(ZEROS.length, bytes - size), size);
  } catch {
    // A full disk must not keep the database from opening: only the speed is lost.
  }
};

interface Asked {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** The thread that syncs a file, one request at a time; it does not keep the process alive but while it works. */
const startSyncThread = (fd: number): Durability => {
  const worker = new Worker(new URL('sync-worker.js', import.meta.url), {
    name: 'database sync',
    workerData: { fd },
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 },
  });
  let waiting: Asked | undefined;
  const settle = (error: unknown): void => {
    const asked = waiting;
    waiting = undefined;
    worker.unref();
    if (error === undefined) asked?.resolve();
    else asked?.reject(error);
  };
  worker.on('message', settle);
  worker.on('error', settle);
  let ended: DatabaseError | undefined;
  worker.on('exit', () => {
    ended = new DatabaseError('The thread that syncs the database has ended.');
    settle(ended);
  });
  worker.unref();
  return {
    sync: () =>
      new Promise((resolve, reject) => {
        if (ended !== undefined) {
          reject(ended);
          return;
        }
        waiting = { resolve, reject };
        worker.ref();
        worker.postMessage(undefined);
      }),
    close: async () => {
      await worker.terminate();
    },
  };
};

/**
 * Syncs the write-ahead log of a database with a thread and a file descriptor of its own: the event loop goes on while the
 * disk works, and neither password hashing nor DNS can hold a commit up, as they could in libuv's pool. The thread starts with
 * the first sync, so that a server to which nobody writes does without its 10 MB.
 *
 * The descriptor stays right for as long as a connection is open: SQLite resets the log in place and removes it with the last
 * connection only. The database file itself must never be opened like this, since closing a descriptor of it would drop the
 * locks that SQLite holds on it; on the log SQLite holds none.
 */
export const createDurability = (path: string, maxLogBytes: number): Durability => {
  const fd = openSync(`${path}-wal`, 'r+');
  lengthen(fd, maxLogBytes);
  // A killed process may have left commits in the log that the disk does not have yet: nobody may see those either.
  fdatasyncSync(fd);
  syncFolder(path);
  let thread: Durability | undefined;
  return {
    sync: () => (thread ??= startSyncThread(fd)).sync(),
    close: async () => {
      await thread?.close();
      closeSync(fd);
    },
  };
};
