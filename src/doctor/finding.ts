/** Something that is wrong in the database. */
export interface Finding {
  /** What kind of damage it is, the same for every finding of the kind: for programs that read them. */
  readonly check: string;
  readonly roomId?: string | undefined;
  readonly eventId?: string | undefined;
  /** What is wrong, for the operator. */
  readonly sentence: string;
}

/** Takes what a check has found. */
export type Report = (finding: Finding) => void;
