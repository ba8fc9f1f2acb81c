import type { RunGroup } from '#src/platform/database/group-commit.ts';
import type { Engine, Reader, Sql } from '#src/platform/database/types.ts';

/** What SQLite and PostgreSQL each provide to the database above them. */
export interface EngineDatabase {
  readonly engine: Engine;
  readonly runGroup: RunGroup;
  read<T>(name: string, body: (reader: Reader) => Promise<T>): Promise<T>;
  readLong<Row extends object>(name: string, query: Sql): Promise<Row[]>;
  /** Hands over how to run something between two groups. Called once, before the first group. */
  attach(exclusive: <T>(work: () => Promise<T>) => Promise<T>): void;
  /** Called after the last group. */
  close(): Promise<void>;
}

/** What migrations run on: one connection, before anybody else has one. */
export interface MigrationConnection {
  readonly engine: Engine;
  all<Row extends object>(query: Sql): Promise<Row[]>;
  run(query: Sql): Promise<number>;
  /** Runs a text of several statements. */
  script(text: string): Promise<void>;
}
