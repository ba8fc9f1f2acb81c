import type { Database, Reader, Transaction } from '#src/platform/database/types.ts';
import { ignoredBy, ignoredSenders, putIgnored } from '#src/push/ignored-store.ts';
import { EVENTS_STREAM } from '#src/rooms/graph/index.ts';

/** While a user ignored a sender: for events after `since`, up to and with `until`. */
export interface IgnoredSpan {
  readonly senderNum: number;
  readonly since: number;
  readonly until: number;
}

/** Who ignores whom, and since when in the order of events. */
export interface Ignored {
  /** Whether anybody ignores this sender, now or not long ago. */
  isIgnored(senderNum: number): boolean;
  spansOf(reader: Reader, userNum: number): Promise<readonly IgnoredSpan[]>;
  /** Writes down whom a user ignores from now on; call it in the transaction that changes the list. */
  set(tx: Transaction, userNum: number, senderNums: readonly number[]): Promise<void>;
}

/** A sender who was ignored once counts as ignored until the restart: that costs a row an event and saves counting who still does. */
export const createIgnored = async (database: Database): Promise<Ignored> => {
  const senders = new Set(await database.read('ignored senders', ignoredSenders));
  return {
    isIgnored: (senderNum) => senders.has(senderNum),
    spansOf: async (reader, userNum) =>
      (await ignoredBy(reader, userNum)).map((row) => ({
        senderNum: row.sender_num,
        since: row.since,
        until: row.until ?? Number.MAX_SAFE_INTEGER,
      })),
    set: async (tx, userNum, senderNums) => {
      const now = database.positions.current(EVENTS_STREAM).min;
      const wanted = new Set(senderNums);
      const open = new Set<number>();
      for (const row of await ignoredBy(tx, userNum)) {
        if (row.until !== null) {
          if (row.until === now && wanted.has(row.sender_num)) {
            // Taken back before anything happened: the old span goes on.
            putIgnored(tx, userNum, { ...row, until: null });
            open.add(row.sender_num);
          }
        } else if (wanted.has(row.sender_num)) open.add(row.sender_num);
        else putIgnored(tx, userNum, { ...row, until: now });
      }
      const added = [...wanted].filter((senderNum) => !open.has(senderNum));
      for (const senderNum of added) putIgnored(tx, userNum, { sender_num: senderNum, since: now, until: null });
      tx.onCommit(() => {
        for (const senderNum of added) senders.add(senderNum);
      });
    },
  };
};
