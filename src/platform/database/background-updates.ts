import type { Clock } from '#src/platform/clock.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import type { Logger } from '#src/platform/logging/index.ts';

export type Progress = Readonly<Record<string, unknown>>;

export interface Slice {
  readonly done: boolean;
  readonly progress: Progress;
  /** How many rows the slice has handled. */
  readonly processed: number;
}

/** Handles about `batchSize` rows from where `progress` says, in one transaction. */
export type BackgroundUpdate = (tx: Transaction, progress: Progress, batchSize: number) => Promise<Slice>;

/** The `background_updates` section of the configuration, in milliseconds. */
export interface BackgroundUpdateConfig {
  readonly background_update_duration_ms: number;
  readonly sleep_enabled: boolean;
  readonly sleep_duration_ms: number;
  readonly min_batch_size: number;
  readonly default_batch_size: number;
}

export interface BackgroundUpdateStatus {
  readonly name: string;
  readonly progress: Progress;
  readonly dependsOn: string | null;
  readonly running: boolean;
  /** Rows handled since the start of the process, and what a millisecond got done on average. */
  readonly processed: number;
  readonly rowsPerMs: number;
}

export interface BackgroundUpdates {
  /** Says how an update is done. All are registered before `start`. */
  register(name: string, update: BackgroundUpdate): void;
  /** Adds an update to the list, once; a migration may do the same by an `INSERT`. */
  schedule(
    name: string,
    options?: { readonly dependsOn?: string; readonly ordering?: number; readonly progress?: Progress },
  ): Promise<void>;
  start(): void;
  /** Holds the updates after the present slice, or lets them go on. */
  setEnabled(enabled: boolean): void;
  isEnabled(): boolean;
  /** What is left to do, in the order in which it will be done. */
  status(): Promise<BackgroundUpdateStatus[]>;
  /** Resolves when nothing is left to do that this process knows how to do. */
  idle(): Promise<void>;
  stop(): Promise<void>;
}

interface Row {
  readonly name: string;
  readonly progress_json: string;
  readonly depends_on: string | null;
  readonly ordering: number;
}

/** On SQLite a slice runs on the main thread, so it is kept far shorter than the configuration's target. */
const MAX_SQLITE_SLICE_MS = 10;
const RETRY_MS = 10_000;

interface Dependencies {
  readonly database: Database;
  readonly config: BackgroundUpdateConfig;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What the slices of an update have achieved, which decides how large the next one is. */
interface Performance {
  processed: number;
  tookMs: number;
}

/** Long changes of data in small slices beside the server's work, resumed after a restart. */
export const createBackgroundUpdates = ({ database, config, clock, logger }: Dependencies): BackgroundUpdates => {
  const updates = new Map<string, BackgroundUpdate>();
  const performance = new Map<string, Performance>();
  const targetMs =
    database.engine === 'sqlite'
      ? Math.min(MAX_SQLITE_SLICE_MS, config.background_update_duration_ms)
      : config.background_update_duration_ms;
  let enabled = true;
  let stopped = false;
  let current: string | undefined;
  let running: Promise<void> | undefined;
  let wake = (): void => undefined;

  const pending = (): Promise<Row[]> =>
    database.read('list background updates', (reader) =>
      reader.all<Row>(sql`SELECT name, progress_json, depends_on, ordering FROM background_updates ORDER BY ordering, name`),
    );

  const nextOf = (rows: readonly Row[]): Row | undefined => {
    const waiting = new Set(rows.map(({ name }) => name));
    return rows.find(({ name, depends_on: needs }) => updates.has(name) && (needs === null || !waiting.has(needs)));
  };

  const batchSize = (name: string): number => {
    const done = performance.get(name);
    if (done === undefined || done.processed === 0) return config.default_batch_size;
    return Math.max(config.min_batch_size, Math.floor((done.processed / Math.max(done.tookMs, 0.1)) * targetMs));
  };

  const runSlice = async ({ name }: Row, update: BackgroundUpdate): Promise<void> => {
    let slice: Slice | undefined;
    let tookMs = 0;
    await database.write(`background update ${name}`, async (tx) => {
      const row = await tx.one<Row>(sql`SELECT progress_json FROM background_updates WHERE name = ${name}`);
      if (row === undefined) return;
      const start = clock.monotonic();
      const result = await update(tx, JSON.parse(row.progress_json) as Progress, batchSize(name));
      tookMs = clock.monotonic() - start;
      slice = result;
      await tx.run(
        result.done
          ? sql`DELETE FROM background_updates WHERE name = ${name}`
          : sql`UPDATE background_updates SET progress_json = ${JSON.stringify(result.progress)} WHERE name = ${name}`,
      );
    });
    const before = performance.get(name) ?? { processed: 0, tookMs: 0 };
    performance.set(name, { processed: before.processed + (slice?.processed ?? 0), tookMs: before.tookMs + tookMs });
    if (slice?.done === true) logger.info({ update: name }, 'A background update is done');
  };

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms).unref();
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  const runAll = async (): Promise<void> => {
    while (enabled && !stopped) {
      const next = nextOf(await pending());
      const update = next === undefined ? undefined : updates.get(next.name);
      if (next === undefined || update === undefined) return;
      current = next.name;
      try {
        await runSlice(next, update);
        await pause(config.sleep_enabled ? config.sleep_duration_ms : 0);
      } catch (error) {
        logger.error({ err: error, update: next.name }, 'A background update failed; it will be tried again');
        await pause(RETRY_MS);
      }
    }
  };

  const start = (): void => {
    if (!enabled || stopped) return;
    running ??= runAll()
      .catch((error: unknown) => logger.error({ err: error }, 'The background updates stopped'))
      .finally(() => {
        running = undefined;
        current = undefined;
      });
  };

  return {
    register: (name, update) => void updates.set(name, update),
    schedule: async (name, { dependsOn, ordering = 0, progress = {} } = {}) => {
      await database.write('schedule background update', (tx) =>
        tx.run(sql`
          INSERT INTO background_updates (name, progress_json, depends_on, ordering)
          VALUES (${name}, ${JSON.stringify(progress)}, ${dependsOn ?? null}, ${ordering}) ON CONFLICT (name) DO NOTHING`),
      );
      start();
    },
    start,
    setEnabled: (value) => {
      enabled = value;
      start();
    },
    isEnabled: () => enabled,
    status: async () =>
      (await pending()).map(({ name, progress_json: progress, depends_on: dependsOn }) => {
        const { processed, tookMs } = performance.get(name) ?? { processed: 0, tookMs: 0 };
        const rowsPerMs = tookMs === 0 ? 0 : processed / tookMs;
        return { name, progress: JSON.parse(progress) as Progress, dependsOn, running: name === current, processed, rowsPerMs };
      }),
    idle: async () => {
      while (running !== undefined) await running;
    },
    stop: async () => {
      stopped = true;
      wake();
      await running;
    },
  };
};
