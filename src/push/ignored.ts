import { sql } from '#src/platform/database/sql.ts';
import type { Database, Reader, Table, Transaction } from '#src/platform/database/types.ts';
import { EVENTS_STREAM } from '#src/rooms/graph/index.ts';

const columns = { user_num: 'bigint', sender_num: 'bigint', since: 'bigint', until: 'bigint?' } as const;
const ignored: Table<typeof columns> = { name: 'push_ignored', columns, key: ['user_num', 'sender_num', 'since'] };

/** While a user ignored a sender: for events after `since`, up to and with `until`. */
export interface IgnoredSpan {
  readonly senderNum: number;
  readonly since: number;
  readonly until: number;
}

interface Row {
  readonly sender_num: number;
  readonly since: number;
  readonly until: number | null;
}

/** Who ignores whom, and since when in the order of events. */
export interface Ignored {
  /** Whether anybody ignores this sender, now or not long ago. */
  isIgnored(senderNum: number): boolean;
  spansOf(reader: Reader, userNum: number): Promise<readonly IgnoredSpan[]>;
  /** Writes down whom a user ignores from now on; call it in the transaction that changes the list. */
  set(tx: Transaction, userNum: number, senderNums: readonly number[]): Promise<void>;
}

const rowsOf = async (reader: Reader, userNum: number): Promise<Row[]> =>
  reader.all(sql`SELECT sender_num, since, until FROM push_ignored WHERE user_num = ${userNum}`);

/** A sender who was ignored once counts as ignored until the restart: that costs a row an event and saves counting who still does. */
export const createIgnored = async (database: Database): Promise<Ignored> => {
  const rows = await database.read('ignored senders', async (reader) =>
    reader.all<{ sender_num: number }>(sql`SELECT DISTINCT sender_num FROM push_ignored WHERE until IS NULL`),
  );
  const senders = new Set(rows.map((row) => row.sender_num));
  return {
    isIgnored: (senderNum) => senders.has(senderNum),
    spansOf: async (reader, userNum) =>
      (await rowsOf(reader, userNum)).map((row) => ({
        senderNum: row.sender_num,
        since: row.since,
        until: row.until ?? Number.MAX_SAFE_INTEGER,
      })),
    set: async (tx, userNum, senderNums) => {
      const now = database.positions.current(EVENTS_STREAM).min;
      const wanted = new Set(senderNums);
      const open = new Set<number>();
      for (const row of await rowsOf(tx, userNum)) {
        if (row.until !== null) {
          if (row.until === now && wanted.has(row.sender_num)) {
            // Taken back before anything happened: the old span goes on.
            tx.put(ignored, { user_num: userNum, ...row, until: null });
            open.add(row.sender_num);
          }
        } else if (wanted.has(row.sender_num)) open.add(row.sender_num);
        else tx.put(ignored, { user_num: userNum, ...row, until: now });
      }
      const added = [...wanted].filter((senderNum) => !open.has(senderNum));
      for (const senderNum of added) tx.put(ignored, { user_num: userNum, sender_num: senderNum, since: now, until: null });
      tx.onCommit(() => {
        for (const senderNum of added) senders.add(senderNum);
      });
    },
  };
};

/** Forgets whom a user has ignored. */
export const deleteIgnored = async (tx: Transaction, userNum: number): Promise<void> => {
  await tx.run(sql`DELETE FROM push_ignored WHERE user_num = ${userNum}`);
};
