import { Worker } from 'node:worker_threads';
import { limitExceeded } from '#src/protocol/errors.ts';

export type PasswordJob =
  | { readonly kind: 'hash'; readonly secret: Uint8Array; readonly rounds: number }
  | { readonly kind: 'verify'; readonly secret: Uint8Array; readonly hash: string };

export type PasswordAnswer = { readonly result: string | boolean } | { readonly failure: string };

/** Threads that do nothing but bcrypt; one set a process, borrowed by its homeservers. */
export interface PasswordThreads {
  /**
   * Runs a job when its turn has come: lanes (one a homeserver) take turns, within a lane the first comes first.
   * @throws MatrixError M_LIMIT_EXCEEDED when too many wait already
   */
  run(lane: string, job: PasswordJob): Promise<string | boolean>;
  /** Ends the threads; what still waits fails. */
  close(): Promise<void>;
  /** How many jobs wait for a thread. */
  waiting(): number;
}

/** Passwords as Synapse keeps them, so that hashes move over as they are. */
export interface Passwords {
  /** A bcrypt hash with the configured cost. */
  hash(password: string): Promise<string>;
  /** `false` also for what is no bcrypt hash at all. */
  verify(password: string, hash: string): Promise<boolean>;
}

interface Task {
  readonly job: PasswordJob;
  readonly resolve: (result: string | boolean) => void;
  readonly reject: (error: Error) => void;
}

interface Thread {
  readonly worker: Worker;
  task: Task | undefined;
  idleTimer: NodeJS.Timeout | undefined;
}

const WORKER = new URL('./passwords-worker.ts', import.meta.url);

/** A login waits this long at most (at some 0.3 s a hash and thread) before the next one is turned away. */
const DEFAULT_MAX_WAITING = 100;
const RETRY_MS = 5_000;
/** An idle thread gives its memory back. */
const DEFAULT_IDLE_MS = 60_000;

/** Threads are started when they are needed and end when they have been idle for a while. */
export const createPasswordThreads = (options: { threads?: number; maxWaiting?: number; idleMs?: number } = {}): PasswordThreads => {
  const { threads: maxThreads = 2, maxWaiting = DEFAULT_MAX_WAITING, idleMs = DEFAULT_IDLE_MS } = options;
  const lanes = new Map<string, Task[]>();
  const threads = new Set<Thread>();
  let waiting = 0;
  let isClosed = false;

  /** The next task of the lane whose turn it is; that lane goes to the end of the row. */
  const takeNext = (): Task | undefined => {
    const [turn] = lanes;
    if (turn === undefined) return undefined;
    const [lane, tasks] = turn;
    const task = tasks.shift();
    lanes.delete(lane);
    if (tasks.length > 0) lanes.set(lane, tasks);
    waiting -= 1;
    return task;
  };

  const end = (thread: Thread, error: Error): void => {
    threads.delete(thread);
    clearTimeout(thread.idleTimer);
    thread.task?.reject(error);
    thread.task = undefined;
    schedule();
  };

  const assign = (thread: Thread): void => {
    clearTimeout(thread.idleTimer);
    thread.task = takeNext();
    if (thread.task === undefined) {
      // Neither an idle thread nor its timer keeps the process alive.
      thread.worker.unref();
      thread.idleTimer = setTimeout(() => {
        threads.delete(thread);
        void thread.worker.terminate();
      }, idleMs);
      thread.idleTimer.unref();
      return;
    }
    thread.worker.ref();
    thread.worker.postMessage(thread.task.job, []);
  };

  const start = (): void => {
    const thread: Thread = { worker: new Worker(WORKER), task: undefined, idleTimer: undefined };
    threads.add(thread);
    thread.worker.on('message', (answer: PasswordAnswer) => {
      const { task } = thread;
      thread.task = undefined;
      if ('failure' in answer) task?.reject(new Error(answer.failure));
      else task?.resolve(answer.result);
      assign(thread);
    });
    thread.worker.on('error', (error) => end(thread, error instanceof Error ? error : new Error(String(error))));
    thread.worker.on('exit', () => end(thread, new Error('the password thread ended')));
    assign(thread);
  };

  const schedule = (): void => {
    if (isClosed) return;
    for (const thread of threads) if (thread.task === undefined && waiting > 0) assign(thread);
    while (waiting > 0 && threads.size < maxThreads) start();
  };

  return {
    run: (lane, job) => {
      if (isClosed) return Promise.reject(new Error('the password threads are closed'));
      if (waiting >= maxWaiting) return Promise.reject(limitExceeded(RETRY_MS));
      return new Promise((resolve, reject) => {
        lanes.getOrInsertComputed(lane, () => []).push({ job, resolve, reject });
        waiting += 1;
        schedule();
      });
    },
    close: async () => {
      isClosed = true;
      for (let task = takeNext(); task !== undefined; task = takeNext()) task.reject(new Error('the password threads are closed'));
      await Promise.all([...threads].map((thread) => thread.worker.terminate()));
    },
    waiting: () => waiting,
  };
};

/** bcrypt looks at no more, and its versions differ in what they do with more. */
const MAX_BYTES = 72;

const BCRYPT = /^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/;

/**
 * Hashes and verifies: NFKC, UTF-8, then the pepper, of all that the first 72 bytes.
 * `lane` is the homeserver's name, by which it gets its fair share of the threads.
 */
export const createPasswords = (options: { threads: PasswordThreads; lane: string; rounds: number; pepper: string }): Passwords => {
  const { threads, lane, rounds, pepper } = options;
  const secretOf = (password: string): Uint8Array => Buffer.from(password.normalize('NFKC') + pepper, 'utf8').subarray(0, MAX_BYTES);
  return {
    hash: async (password) => String(await threads.run(lane, { kind: 'hash', secret: secretOf(password), rounds })),
    verify: async (password, hash) => {
      if (!BCRYPT.test(hash)) return false;
      // Up to 72 bytes 2a, 2b and 2y mean the same; the library reads only the first two.
      const known = `$2b$${hash.slice(4)}`;
      return (await threads.run(lane, { kind: 'verify', secret: secretOf(password), hash: known })) === true;
    },
  };
};
