import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { RecentRows } from '#src/platform/streams/recent-rows.ts';
import { readReceipts, type ReceiptRow } from '#src/receipts/store.ts';

/** By event, type and user: when it was read, and in which thread. */
type ReceiptContent = Record<string, Record<string, Record<string, { readonly ts: number; readonly thread_id?: string }>>>;

export interface ReceiptEvent {
  readonly type: 'm.receipt';
  readonly content: ReceiptContent;
}

interface Span {
  readonly after: number | undefined;
  readonly upTo: number;
}

/** Receipts as a stream of `/sync`. */
export interface ReceiptSource {
  readonly part: 'receipts';
  now(): { readonly position: number; readonly epoch: undefined };
  follow(wake: { room(roomNum: number): void }): void;
  ephemeral(
    reader: { readonly userNum: number },
    roomNums: readonly number[],
    span: Span,
  ): Promise<ReadonlyMap<number, readonly ReceiptEvent[]>>;
}

export interface ReceiptSourceTools {
  readonly database: Pick<Database, 'read'>;
  readonly strings: Pick<Strings, 'textOf'>;
  readonly recent: RecentRows<{ readonly position: number; readonly row: ReceiptRow }>;
  readonly position: () => number;
  /** Told of each room in which a receipt came. */
  readonly subscribe: (listener: (roomNum: number) => void) => void;
}

/** One user's receipts of one kind at one event: that for the whole room goes before those for its threads, which it includes (MSC4102). */
const contentOf = (rows: readonly ReceiptRow[], userIds: ReadonlyMap<number, string>): ReceiptContent => {
  const content: ReceiptContent = {};
  for (const row of rows) {
    const userId = userIds.get(row.user_num);
    if (userId === undefined) continue;
    const byType = (content[row.event_id] ??= {});
    const byUser = (byType[row.receipt_type] ??= {});
    const known = byUser[userId];
    if (row.thread_id !== '' && known !== undefined && known.thread_id === undefined) continue;
    byUser[userId] = { ts: row.received_ts, ...(row.thread_id !== '' && { thread_id: row.thread_id }) };
  }
  return content;
};

export const createReceiptSource = ({ database, strings, recent, position, subscribe }: ReceiptSourceTools): ReceiptSource => {
  /** The last receipt of each kind in a stretch. */
  const changes = async (roomNums: readonly number[], { after = 0, upTo }: Span): Promise<ReceiptRow[]> => {
    const known = recent.between(after, upTo);
    if (known === undefined) return database.read('receipts', async (reader) => readReceipts(reader, roomNums, after, upTo));
    const wanted = new Set(roomNums);
    const last = new Map<string, ReceiptRow>();
    for (const { row } of known) {
      if (!wanted.has(row.room_num)) continue;
      last.set(`${String(row.room_num)}/${String(row.user_num)}/${row.receipt_type}/${row.thread_id}`, row);
    }
    return [...last.values()];
  };

  return {
    part: 'receipts',
    now: () => ({ position: position(), epoch: undefined }),
    follow: (wake) => subscribe((roomNum) => wake.room(roomNum)),
    ephemeral: async (reader, roomNums, span) => {
      const rows = (await changes(roomNums, span)).filter(
        (row) => row.receipt_type !== 'm.read.private' || row.user_num === reader.userNum,
      );
      const userIds = rows.length === 0 ? new Map<number, string>() : await strings.textOf([...new Set(rows.map((row) => row.user_num))]);
      const byRoom = Map.groupBy(rows, (row) => row.room_num);
      return new Map([...byRoom].map(([roomNum, inRoom]) => [roomNum, [{ type: 'm.receipt', content: contentOf(inRoom, userIds) }]]));
    },
  };
};
