import type { Database, Transaction } from '#src/platform/database/types.ts';
import { insertErasedUser, readErasedUsers } from '#src/accounts/store/users.ts';

/** Users who want what they wrote forgotten as far as that is possible. They are few, and each event that is read asks: all are in memory. */
export interface ErasedUsers {
  has(userNum: number): boolean;
  /** Counts a user among them, from the moment the transaction is durable. */
  add(tx: Transaction, userNum: number): Promise<void>;
}

export const openErasedUsers = async (database: Database): Promise<ErasedUsers> => {
  const erased = new Set(await database.read('erased users', readErasedUsers));
  return {
    has: (userNum) => erased.has(userNum),
    add: async (tx, userNum) => {
      await insertErasedUser(tx, userNum);
      tx.onCommit(() => void erased.add(userNum));
    },
  };
};
