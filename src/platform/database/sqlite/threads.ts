import { Worker } from 'node:worker_threads';
import { DatabaseError } from '#src/platform/database/errors.ts';

export type Request =
  | { readonly kind: 'snapshot' | 'release' | 'checkpoint' }
  | { readonly kind: 'query'; readonly text: string; readonly values: readonly unknown[] };

export type Answer =
  | { readonly kind: 'done' }
  | { readonly kind: 'rows'; readonly rows: object[] }
  | { readonly kind: 'failed'; readonly error: unknown };

/** A connection in a thread of its own. One request at a time. */
export interface Thread {
  readonly alive: boolean;
  ask(request: Request): Promise<object[]>;
  close(): Promise<void>;
}

interface Asked {
  readonly rows: object[];
  readonly resolve: (rows: object[]) => void;
  readonly reject: (error: unknown) => void;
}

export const startThread = (path: string, readOnly: boolean): Thread => {
  const worker = new Worker(new URL('thread-worker.js', import.meta.url), { name: 'database reads', workerData: { path, readOnly } });
  let alive = true;
  let asked: Asked | undefined;
  const fail = (error: unknown): void => {
    asked?.reject(error);
    asked = undefined;
    worker.unref();
  };
  worker.on('message', (answer: Answer) => {
    if (answer.kind === 'failed') fail(answer.error);
    else if (answer.kind === 'rows') asked?.rows.push(...answer.rows);
    else {
      asked?.resolve(asked.rows);
      asked = undefined;
      worker.unref();
    }
  });
  worker.on('error', fail);
  worker.on('exit', () => {
    alive = false;
    fail(new DatabaseError('A thread that reads the database has ended.'));
  });
  worker.unref();
  return {
    get alive() {
      return alive;
    },
    ask: (request) =>
      new Promise((resolve, reject) => {
        if (!alive) {
          reject(new DatabaseError('A thread that reads the database has ended.'));
          return;
        }
        asked = { rows: [], resolve, reject };
        worker.ref();
        worker.postMessage(request);
      }),
    close: async () => {
      await worker.terminate();
    },
  };
};

/** Lends up to `size` threads, started when they are first needed; who finds none free waits in line. */
export const createThreadPool = (
  path: string,
  size: number,
): { use<T>(work: (thread: Thread) => Promise<T>): Promise<T>; close(): Promise<void> } => {
  const threads = new Set<Thread>();
  const free: Thread[] = [];
  const line: ((thread: Thread) => void)[] = [];
  const start = (): Thread => {
    const thread = startThread(path, true);
    threads.add(thread);
    return thread;
  };
  const borrow = async (): Promise<Thread> => {
    const thread = free.pop();
    if (thread !== undefined) return thread;
    if (threads.size < size) return start();
    return new Promise((resolve) => line.push(resolve));
  };
  const giveBack = (thread: Thread): void => {
    if (!thread.alive) threads.delete(thread);
    const back = thread.alive ? thread : line.length > 0 ? start() : undefined;
    if (back === undefined) return;
    const next = line.shift();
    if (next === undefined) free.push(back);
    else next(back);
  };
  return {
    use: async (work) => {
      const thread = await borrow();
      try {
        return await work(thread);
      } finally {
        giveBack(thread);
      }
    },
    close: async () => {
      await Promise.all([...threads].map((thread) => thread.close()));
    },
  };
};
