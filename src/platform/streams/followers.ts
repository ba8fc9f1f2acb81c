import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '#src/platform/clock.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Database, StreamPosition, Table, Transaction } from '#src/platform/database/types.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import { BEGINNING, format, isAtLeast, parse, stepTowards } from './position.ts';

const followersTable = {
  name: 'follower_positions',
  columns: { name: 'text', stream: 'text', position_text: 'text' },
  key: ['name'],
} as const satisfies Table<Record<string, 'text'>>;

const SAVE_AFTER_MS = 1000;
const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 60_000;

/** A stretch of a stream: the rows of each writer behind `from`, up to and with `to`. */
export interface Stretch {
  readonly from: StreamPosition;
  readonly to: StreamPosition;
}

export interface FollowerPlan {
  /** The follower's name for ever: its position is stored under it. */
  readonly name: string;
  readonly stream: string;
  /** Where a follower begins that has never run. */
  readonly start: 'beginning' | 'now';
  /** The most numbers of the stream that one call handles. */
  readonly batch: number;
  /** Either handles a stretch outside of any transaction: the position is saved some time later, so it may be handled again. */
  readonly handle?: (stretch: Stretch) => Promise<void>;
  /** Whether `handle` saves its position before it goes on: for what is safe to repeat only while nobody has done anything about it. */
  readonly savesAtOnce?: boolean;
  /**
   * Up to where what `handle` was given is done, asked with the position that it has come to before that is saved: work that goes on after `handle` begins again there after
   * a crash. By default all of it is done.
   */
  readonly settled?: (position: StreamPosition) => Promise<StreamPosition>;
  /**
   * For so long it lets its stream gather, so that much is handled at once and little is written; whoever waits for it (`caughtUp`) cuts that short. 0 by default.
   */
  readonly gatherMs?: number;
  /** Or within a transaction, which also saves the position: what is derived in it is derived once. */
  readonly handleInTransaction?: (tx: Transaction, stretch: Stretch) => Promise<void>;
}

export interface Follower {
  readonly name: string;
  /** Up to where it has handled the stream. */
  position(): StreamPosition;
  /** Resolves once everything that is published by now is handled, or after so many milliseconds. */
  caughtUp(maxMs: number): Promise<void>;
  /** Resolves once everything that is published by now is handled, and the position saved. */
  idle(): Promise<void>;
  /** Ends after the stretch at hand, and saves the position. */
  stop(): Promise<void>;
}

export interface Followers {
  /** Starts a follower where its stored position says. */
  follow(plan: FollowerPlan): Promise<Follower>;
  /** Stops all of them. */
  stop(): Promise<void>;
}

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The first pause after a failure, doubled each time up to a minute. */
  readonly firstRetryMs?: number;
}

const loadPosition = async (database: Database, { name, stream, start }: FollowerPlan): Promise<StreamPosition> => {
  const row = await database.read('load follower', (reader) =>
    reader.one<{ stream: string; position_text: string }>(sql`SELECT stream, position_text FROM follower_positions WHERE name = ${name}`),
  );
  const stored = row?.stream === stream ? parse(row.position_text) : undefined;
  if (stored !== undefined) return stored;
  // Saved before it runs: "now" must not become later by a restart.
  const position = start === 'now' ? database.positions.current(stream) : BEGINNING;
  await database.write('save follower', async (tx) => tx.put(followersTable, { name, stream, position_text: format(position) }));
  return position;
};

/** A pause that can be cut short. */
const createPause = (): { wait(ms: number): Promise<void>; end(): void } => {
  let end = (): void => undefined;
  return {
    wait: (ms) =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, ms).unref();
        end = () => {
          clearTimeout(timer);
          resolve();
        };
      }),
    end: () => end(),
  };
};

const startFollower = (plan: FollowerPlan, begin: StreamPosition, dependencies: Dependencies): Follower => {
  const { name, stream, batch, handle, savesAtOnce = false, settled, gatherMs = 0, handleInTransaction } = plan;
  const { database, clock, logger, firstRetryMs = FIRST_RETRY_MS } = dependencies;
  let position = begin;
  let saved = begin;
  let savedAtMs = clock.monotonic();
  let stopped = false;
  let running: Promise<void> | undefined;
  let saveTimer: NodeJS.Timeout | undefined;
  const pause = createPause();
  const gathering = createPause();
  /** Who waits for it to come to a position. */
  const waiting = new Map<() => void, StreamPosition>();

  const put = (tx: Transaction, to: StreamPosition): void => tx.put(followersTable, { name, stream, position_text: format(to) });

  const save = async (): Promise<void> => {
    clearTimeout(saveTimer);
    saveTimer = undefined;
    const now = settled === undefined ? position : await settled(position);
    if (!isAtLeast(saved, now)) {
      await database.write('save follower', async (tx) => put(tx, now));
      saved = now;
    }
    savedAtMs = clock.monotonic();
    if (!stopped && !isAtLeast(saved, position)) saveLazily();
  };

  const saveLazily = (): void => {
    saveTimer ??= setTimeout(() => {
      save().catch((error: unknown) => logger.warn({ err: error, follower: name }, 'The position of a follower could not be saved'));
    }, SAVE_AFTER_MS).unref();
  };

  const step = async (to: StreamPosition): Promise<void> => {
    const stretch = { from: position, to };
    if (handleInTransaction !== undefined) {
      await database.write(`follow ${name}`, async (tx) => {
        await handleInTransaction(tx, stretch);
        put(tx, to);
      });
      saved = to;
    } else {
      await handle?.(stretch);
    }
    position = to;
    for (const [come, goal] of waiting) if (isAtLeast(position, goal)) come();
    if (saved === position) return;
    if (savesAtOnce || clock.monotonic() - savedAtMs > SAVE_AFTER_MS) await save();
    else saveLazily();
  };

  const catchUp = async (): Promise<void> => {
    let retryMs = firstRetryMs;
    const next = (): StreamPosition => stepTowards(position, database.positions.current(stream), batch);
    while (!stopped) {
      if (isAtLeast(position, next())) return;
      if (gatherMs > 0 && waiting.size === 0 && next().min - position.min < batch) {
        await gathering.wait(gatherMs);
        if (stopped) return;
      }
      const to = next();
      try {
        await step(to);
        retryMs = firstRetryMs;
        await turn();
      } catch (error) {
        logger.error(
          { err: error, follower: name, from: format(position), to: format(to), retryMs },
          'A follower failed; it will try again',
        );
        await pause.wait(retryMs);
        retryMs = Math.min(retryMs * 2, MAX_RETRY_MS);
      }
    }
  };

  const wake = (): void => {
    if (stopped) return;
    running ??= catchUp().finally(() => {
      running = undefined;
      // What was published while the last look was taken.
      if (!stopped && !isAtLeast(position, database.positions.current(stream))) wake();
    });
  };

  const unsubscribe = database.positions.subscribe((moved) => {
    if (moved.has(stream)) wake();
  });
  wake();

  return {
    name,
    position: () => position,
    caughtUp: async (maxMs) => {
      const goal = database.positions.current(stream);
      if (stopped || isAtLeast(position, goal)) return;
      await new Promise<void>((resolve) => {
        const come = (): void => {
          clearTimeout(timer);
          waiting.delete(come);
          resolve();
        };
        const timer = setTimeout(come, maxMs).unref();
        waiting.set(come, goal);
        gathering.end();
      });
    },
    idle: async () => {
      const goal = database.positions.current(stream);
      gathering.end();
      while (!stopped && !isAtLeast(position, goal)) await (running ?? turn());
      await save();
    },
    stop: async () => {
      stopped = true;
      unsubscribe();
      pause.end();
      gathering.end();
      for (const come of waiting.keys()) come();
      await running;
      await save();
    },
  };
};

/**
 * Followers: whatever reacts to a stream reads it from a position of its own. Each stretch is handled at least once; a failure is
 * logged and tried again with growing pauses, and holds up nobody else.
 */
export const createFollowers = (dependencies: Dependencies): Followers => {
  const all = new Map<string, Follower>();
  return {
    follow: async (plan) => {
      if (all.has(plan.name)) throw new Error(`There is a follower "${plan.name}" already`);
      if ((plan.handle === undefined) === (plan.handleInTransaction === undefined)) {
        throw new Error(`The follower "${plan.name}" needs either handle or handleInTransaction`);
      }
      const follower = startFollower(plan, await loadPosition(dependencies.database, plan), dependencies);
      all.set(plan.name, follower);
      return follower;
    },
    stop: async () => {
      await Promise.all([...all.values()].map((follower) => follower.stop()));
    },
  };
};
