import type { Clock } from '#src/platform/clock.ts';
import { DatabaseError } from '#src/platform/database/errors.ts';
import type { Ran } from '#src/platform/database/transaction.ts';
import type { DatabaseMetrics, Transaction } from '#src/platform/database/types.ts';
import type { Logger } from '#src/platform/logging/index.ts';

/** A write that waits for its group. */
export interface Job {
  readonly name: string;
  readonly body: (tx: Transaction) => Promise<unknown>;
}

export type Outcome = { readonly ran: Ran } | { readonly error: unknown };

/**
 * Runs jobs in one database transaction, each isolated from the faults of the others, and resolves when they are durable.
 * Jobs are had from `take` until it has no more, or until the engine finds the group large enough; outcomes answer them in
 * that order. A rejection fails every job that was taken: nothing of the group is in the database then.
 */
export type RunGroup = (take: () => Job | undefined) => Promise<Outcome[]>;

export interface GroupCommit {
  write(job: Job): Promise<unknown>;
  /** Runs `work` between two groups, before any write that waits. */
  exclusive<T>(work: () => Promise<T>): Promise<T>;
  /** Refuses new work and resolves when the old is done. */
  stop(): Promise<void>;
}

interface Waiting extends Job {
  readonly since: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

interface Options {
  readonly runGroup: RunGroup;
  readonly maxJobs: number;
  /** Called with the outcomes when the group is durable and after the jobs' own callbacks, before anybody is answered. */
  readonly publish: (outcomes: readonly Outcome[]) => void;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics?: DatabaseMetrics | undefined;
}

/** A queue whose head is taken in constant time. */
const createQueue = <T>(): { push(item: T): void; shift(): T | undefined; size(): number } => {
  let items: T[] = [];
  let head = 0;
  return {
    push: (item) => void items.push(item),
    shift: () => {
      const item = items[head];
      if (item === undefined) return undefined;
      head += 1;
      if (head > 1000) {
        items = items.slice(head);
        head = 0;
      } else if (head === items.length) {
        items = [];
        head = 0;
      }
      return item;
    },
    size: () => items.length - head,
  };
};

/**
 * Gathers writes into groups: while one group is on its way to the disk, what comes meanwhile waits for the next, first
 * come first served. An idle committer starts at the end of the present turn of the event loop, so that the requests that
 * arrived together share a commit; there is no timer.
 */
export const createGroupCommit = ({ runGroup, maxJobs, publish, clock, logger, metrics }: Options): GroupCommit => {
  const queue = createQueue<Waiting>();
  const urgent = createQueue<() => Promise<void>>();
  let state: 'idle' | 'scheduled' | 'running' = 'idle';
  let stopped: (() => void) | undefined;
  let refusing = false;

  const announce = (jobs: readonly Waiting[], outcomes: readonly Outcome[]): void => {
    for (const [index, outcome] of outcomes.entries()) {
      if ('error' in outcome) continue;
      for (const callback of outcome.ran.onCommit) {
        try {
          callback();
        } catch (error) {
          logger.error({ err: error, transaction: jobs[index]?.name }, 'A callback that runs after commit failed');
        }
      }
    }
    publish(outcomes);
  };

  const answer = (jobs: readonly Waiting[], outcomes: readonly Outcome[]): void => {
    const now = clock.monotonic();
    for (const [index, job] of jobs.entries()) {
      metrics?.transaction(job.name, (now - job.since) / 1000);
      const outcome = outcomes[index] ?? { error: new DatabaseError(`Transaction "${job.name}" has no outcome`) };
      if ('error' in outcome) job.reject(outcome.error);
      else job.resolve(outcome.ran.value);
    }
  };

  const runOne = async (): Promise<void> => {
    const jobs: Waiting[] = [];
    const take = (): Job | undefined => {
      const job = jobs.length < maxJobs ? queue.shift() : undefined;
      if (job !== undefined) jobs.push(job);
      return job;
    };
    const start = clock.monotonic();
    let outcomes: Outcome[];
    try {
      outcomes = await runGroup(take);
      metrics?.group?.(jobs.length, (clock.monotonic() - start) / 1000);
      announce(jobs, outcomes);
    } catch (error) {
      // An engine that fails before it took a job would be asked again at once, for ever.
      if (jobs.length === 0) take();
      outcomes = jobs.map(() => ({ error }));
    }
    answer(jobs, outcomes);
  };

  const next = async (): Promise<void> => {
    state = 'running';
    const work = urgent.shift();
    await (work === undefined ? runOne() : work());
    state = 'idle';
    schedule();
  };

  const schedule = (): void => {
    if (state !== 'idle') return;
    if (queue.size() + urgent.size() === 0) {
      stopped?.();
      return;
    }
    state = 'scheduled';
    setImmediate(() => void next());
  };

  const refuse = (): void => {
    if (refusing) throw new DatabaseError('The database is closed.');
  };

  return {
    write: async (job) => {
      refuse();
      return new Promise((resolve, reject) => {
        queue.push({ ...job, since: clock.monotonic(), resolve, reject });
        schedule();
      });
    },
    exclusive: async (work) => {
      refuse();
      return new Promise((resolve, reject) => {
        urgent.push(() => work().then(resolve, reject));
        schedule();
      });
    },
    stop: () => {
      refusing = true;
      return new Promise((resolve) => {
        stopped = resolve;
        schedule();
      });
    },
  };
};
