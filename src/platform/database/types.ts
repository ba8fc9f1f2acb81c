import type { Sql, SqlArgument, SqlValue } from '#src/platform/database/sql.ts';

export type Engine = 'sqlite' | 'postgres';

/**
 * Read access to the database. Every row that it shows is durable. On PostgreSQL a row may show a moment before its position is
 * published (and another process's long before), so who reads a stream stops at the position that he took first.
 */
export interface Reader {
  readonly engine: Engine;
  all<Row extends object>(query: Sql): Promise<Row[]>;
  one<Row extends object>(query: Sql): Promise<Row | undefined>;
}

/**
 * A write transaction: one job of a group commit. Its body may run twice (after a conflict, or alone after a fault of a
 * neighbour in the group), so it has no side effects but through this object, and it awaits nothing but this object.
 */
export interface Transaction extends Reader {
  /** Runs a statement that writes; resolves to the number of rows it changed. */
  run(query: Sql): Promise<number>;
  /** Adds a row. Buffered on PostgreSQL into one multi-row statement per table and group; flushed before any other statement of this transaction runs. */
  insert<C extends Columns>(table: Table<C>, row: RowOf<C>): void;
  /** Adds a row or replaces the one with the same key. Buffered as `insert` is; within a group the last put of a key wins. */
  put<C extends Columns>(table: Table<C>, row: RowOf<C>): void;
  /**
   * Takes the next `count` positions of a stream for rows of this transaction, and answers the first.
   * They are published, together and in order, when the group has become durable; a failed job's positions are given up.
   */
  nextPositions(stream: string, count?: number): Promise<number>;
  /** Makes the commit depend on a lease: if it has another epoch by then, this job fails with `LeaseLost`. Checked once per lease and group. */
  fence(lease: LeaseToken): void;
  /** Registers what must happen once this job is durable and before its positions are published (cache changes, hot-room swaps). Must not throw. */
  onCommit(callback: () => void): void;
}

export interface Database {
  readonly engine: Engine;
  /** This process's name as a writer of streams (`worker_name`; `master` for the main process). */
  readonly writer: string;
  /**
   * A consistent set of reads on a connection that is not the writer's: all statements of the body see the same state.
   * `name` is a label in logs and metrics. The body awaits nothing but its reader.
   */
  read<T>(name: string, body: (reader: Reader) => Promise<T>): Promise<T>;
  /**
   * Runs `body` in the next group commit and resolves after the sync that made it durable and the publication of its positions.
   * A body that throws rolls back its own savepoint only. Never call `read`/`write` inside a body.
   */
  write<T>(name: string, body: (tx: Transaction) => Promise<T>): Promise<T>;
  /** A read that may take long (search, lists, doctor): on SQLite in a worker thread with a read-only connection. */
  readLong<Row extends object>(name: string, query: Sql): Promise<Row[]>;
  /** Where every stream stands: published positions, per writer. */
  readonly positions: StreamPositions;
  /** Reads the positions that other processes have stored, for when no transport announces them (PostgreSQL with several writers). */
  refreshPositions(): Promise<void>;
  /** Who may do what only one process may do at a time. */
  readonly leases: Leases;
  /** Waits for the writes under way, then lets go of everything. */
  close(): Promise<void>;
}

/** Published stream positions. Reading is synchronous; listeners run synchronously after the positions have moved. */
export interface StreamPositions {
  /** The streams that have a position. */
  streams(): readonly string[];
  current(stream: string): StreamPosition;
  /** Called after positions were published, once per group, with the streams that moved. Returns how to stop. */
  subscribe(listener: (streams: ReadonlySet<string>) => void): () => void;
  /** Takes note of another process's published position (from the Redis transport or a poll). Never moves backwards. */
  observe(stream: string, writer: string, position: number): void;
  /** Up to where this process's own rows of the stream are published. */
  own(stream: string): number;
}

/**
 * How far a stream is known, per writer: every row at or below `min` is visible whoever wrote it; a writer named in `ahead`
 * is visible up to its own, larger number. With one writer `ahead` is empty. (Decision 14; written `m<min>~<writer>.<n>` as Synapse does.)
 */
export interface StreamPosition {
  readonly min: number;
  readonly ahead: ReadonlyMap<string, number>;
}

/** Proof of having acquired a lease; `epoch` grows with each acquisition, so that an older holder can be told from the present one. */
export interface LeaseToken {
  readonly name: string;
  readonly epoch: number;
}

/**
 * Leases on things that only one process may do at a time, such as writing the events of a share of the rooms. Time decides
 * only who may try to take over; what keeps two holders apart is the epoch, which each commit that relies on the lease
 * checks (`assertLease`), so that a holder that was paused past its time cannot write any more.
 */
export interface Leases {
  /** Takes the lease when it is free, expired or one's own; `undefined` when somebody else holds it. */
  acquire(name: string, durationMs: number): Promise<LeaseToken | undefined>;
  /** Prolongs the lease from now; false when it was taken over. */
  renew(lease: LeaseToken, durationMs: number): Promise<boolean>;
  /** Frees the lease for others, unless it was taken over. */
  release(lease: LeaseToken): Promise<void>;
}

/** What the database tells the metrics. Names are the labels given to `read` and `write`. */
export interface DatabaseMetrics {
  transaction(name: string, seconds: number): void;
  /** A group became durable: how many jobs it had, how long statements and commit took together. */
  group?(jobs: number, seconds: number): void;
}

export type ColumnType = 'bigint' | 'text' | 'bytes' | 'double';
export type Columns = Readonly<Record<string, ColumnType | `${ColumnType}?`>>;

/** A table that stores write to by `insert` and `put`; declared beside the slice's store functions. */
export interface Table<C extends Columns> {
  readonly name: string;
  readonly columns: C;
  /** The columns of the key that `put` replaces by. */
  readonly key: readonly (keyof C & string)[];
}

type ColumnValue<T extends string> = T extends `${infer U}?`
  ? ColumnValue<U> | null
  : T extends 'bigint' | 'double'
    ? number
    : T extends 'bytes'
      ? Uint8Array
      : string;

export type RowOf<C extends Columns> = { readonly [K in keyof C]: ColumnValue<C[K]> };

export type { Sql, SqlArgument, SqlValue };
