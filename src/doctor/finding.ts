import type { Database, Transaction } from '#src/platform/database/types.ts';

/** How something is put right that follows from what is sound. No server may be at work on the database. */
export interface Repair {
  /** What is done, for the operator. */
  readonly sentence: string;
  readonly run: (database: Database) => Promise<void>;
}

/** Something that is wrong in the database. */
export interface Finding {
  /** What kind of damage it is, the same for every finding of the kind: for programs that read them. */
  readonly check: string;
  readonly roomId?: string | undefined;
  readonly eventId?: string | undefined;
  /** What is wrong, for the operator. */
  readonly sentence: string;
  /** Undefined for what can only be restored. */
  readonly repair?: Repair | undefined;
}

/** Takes what a check has found. */
export type Report = (finding: Finding) => void;

/** A repair in one transaction. */
export const repairBy = (sentence: string, body: (tx: Transaction) => Promise<void>): Repair => ({
  sentence,
  run: (database) => database.write('repair', body),
});
