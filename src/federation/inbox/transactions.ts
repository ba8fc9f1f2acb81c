import type { Clock } from '#src/platform/clock.ts';
import type { Database } from '#src/platform/database/types.ts';
import { badJson, limitExceeded } from '#src/protocol/errors.ts';
import type { JsonObject, JsonValue } from '#src/protocol/json.ts';
import type { Edus } from '#src/federation/inbox/edus.ts';
import type { RoomQueues } from '#src/federation/inbox/room-queues.ts';
import type { SortPdus } from '#src/federation/inbox/pdus.ts';
import { insertStaged, putTransactionAnswer, readTransactionAnswer } from '#src/federation/inbox/store.ts';

/** Takes in transactions of other servers (server-server API, "Transactions"). */
export interface Transactions {
  /**
   * Answers as JSON, once what is taken in is durable, what became of each event; a transaction that comes again is answered as before and does nothing. Throws `badJson` for
   * more than 50 PDUs or 100 EDUs, and `limitExceeded` for a server whose last transaction is still being taken in, or of which too much waits.
   */
  take(origin: string, txnId: string, content: JsonObject | undefined): Promise<string>;
}

const MAX_PDUS = 50;
const MAX_EDUS = 100;
/** So many events of a server may wait to be judged; then it has to wait too. */
const MAX_WAITING = 1000;
const PATIENCE_MS = 30_000;
const RETRY_AFTER_MS = 5000;

const listOf = (content: JsonObject, key: 'pdus' | 'edus', most: number): readonly JsonValue[] => {
  const value = content[key] ?? [];
  if (!Array.isArray(value)) throw badJson(`'${key}' must be a list`);
  if (value.length > most) throw badJson(`More than ${String(most)} ${key}`);
  return value as readonly JsonValue[];
};

export const createTransactions = ({
  database,
  clock,
  queues,
  sortPdus,
  edus: eduTaker,
}: {
  database: Pick<Database, 'read' | 'write'>;
  clock: Clock;
  queues: RoomQueues;
  sortPdus: SortPdus;
  edus: Pick<Edus, 'take' | 'tell'>;
}): Transactions => {
  const active = new Map<string, { readonly txnId: string; readonly answer: Promise<string> }>();

  const takePdus = async (origin: string, txnId: string, pdus: readonly JsonValue[], edusDone: Promise<void>): Promise<string> => {
    const sorted = await sortPdus(origin, pdus);
    await edusDone;
    const results = sorted.map(({ eventId, error }) => [eventId, error === undefined ? {} : { error }] as const);
    const answer = JSON.stringify({ pdus: Object.fromEntries(results) });
    const staged = sorted.flatMap((each) => each.staged ?? []);
    const first = await database.write('transaction of server', async (tx) => {
      putTransactionAnswer(tx, { origin, txn_id: txnId, answer, received_ts: clock.now() });
      if (staged.length === 0) return 0;
      return insertStaged(
        tx,
        staged.map(({ room, checked }) => ({ room_num: room.num, origin, json: checked.parsed.json })),
      );
    });
    queues.add(staged.map((pdu, index) => ({ position: first + index, origin, ...pdu })));
    return answer;
  };

  const takeOnce = async (origin: string, txnId: string, content: JsonObject): Promise<string> => {
    const [pdus, edus] = [listOf(content, 'pdus', MAX_PDUS), listOf(content, 'edus', MAX_EDUS)];
    const before = await database.read('transaction of server', (reader) => readTransactionAnswer(reader, origin, txnId));
    if (before !== undefined) return before;
    if (pdus.length > 0 && !(await queues.hasRoomFor(origin, MAX_WAITING, PATIENCE_MS))) throw limitExceeded(RETRY_AFTER_MS);
    const edusDone = eduTaker.take(origin, edus);
    const [answer] = await Promise.all([takePdus(origin, txnId, pdus, edusDone), edusDone]);
    eduTaker.tell(origin, edus);
    return answer;
  };

  return {
    take: async (origin, txnId, content) => {
      if (content === undefined) throw badJson('There is no transaction');
      const current = active.get(origin);
      if (current !== undefined) {
        if (current.txnId !== txnId) throw limitExceeded(RETRY_AFTER_MS);
        return current.answer;
      }
      const answer = takeOnce(origin, txnId, content).finally(() => active.delete(origin));
      active.set(origin, { txnId, answer });
      return answer;
    },
  };
};
