import { DatabaseSync } from 'node:sqlite';
import { DatabaseError } from '#src/platform/database/errors.ts';
import { isBusy } from '#src/platform/database/sqlite/connection.ts';

/**
 * Takes the file for this process alone, and answers how to give it back. The lock is an open exclusive transaction on a
 * small SQLite file beside it: Node has no flock, SQLite takes a lock that the kernel drops when the process dies.
 */
export const lockFile = (path: string): (() => void) => {
  const lock = new DatabaseSync(`${path}.lock`, { timeout: 0 });
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (!isBusy(error)) throw error;
    throw new DatabaseError(
      `The database file ${path} is in use by another process. Only one may have it open; stop the other one first.`,
      {
        cause: error,
      },
    );
  }
  return () => lock.close();
};
