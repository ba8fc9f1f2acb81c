/** The database could not do what was asked, for a reason of its own: full disk, lost server, wrong version. */
export class DatabaseError extends Error {
  override readonly name: string = 'DatabaseError';
}

/** The transaction's commit was fenced by a lease that somebody else holds by now. Nothing of it was written. */
export class LeaseLost extends DatabaseError {
  override readonly name = 'LeaseLost';
  readonly lease: string;
  constructor(lease: string) {
    super(`The lease "${lease}" was taken over by another process; nothing was written.`);
    this.lease = lease;
  }
}

/** A transaction's body awaited something that is not its transaction, and was rolled back. A bug in the caller. */
export class TransactionStalled extends DatabaseError {
  override readonly name = 'TransactionStalled';
  constructor(transaction: string) {
    super(
      `Transaction "${transaction}" awaited something else than its own statements (the network, a timer, another read or write), and was rolled back.`,
    );
  }
}

/** A body used its transaction after the transaction had ended. A bug in the caller. */
export class TransactionEnded extends DatabaseError {
  override readonly name = 'TransactionEnded';
  constructor(transaction: string) {
    super(`Transaction "${transaction}" has ended and cannot be used any more.`);
  }
}

/** The connection broke while a commit was under way, and it cannot be found out whether it was done. */
export class CommitInDoubt extends DatabaseError {
  override readonly name = 'CommitInDoubt';
}

const SQLITE_UNIQUE = new Set([1555, 2067, 2579]);

/** Whether a statement failed because a row with the same key was there already. */
export const isUniqueViolation = (error: unknown): boolean => {
  if (!(error instanceof Error)) return false;
  if ('errcode' in error) return SQLITE_UNIQUE.has(error.errcode as number);
  return 'code' in error && error.code === '23505';
};

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
