import { byteCache, entryCache } from '#src/platform/cache/index.ts';
import { isEventId } from '#src/protocol/identifiers.ts';
import { parseStoredPdu } from '#src/protocol/events.ts';
import type { Database, Reader } from '#src/platform/database/types.ts';
import type { RoomEvent } from '#src/rooms/graph/events.ts';
import { eventNumsById, eventRows } from '#src/rooms/graph/read-store.ts';
import type { EventRow } from '#src/rooms/graph/store.ts';

/** Events by number and by id: memory first, then one query for all that is missing. */
export interface Events {
  byNum(num: number): Promise<RoomEvent | undefined>;
  byNums(nums: readonly number[]): Promise<ReadonlyMap<number, RoomEvent>>;
  /** The events of `nums` in that order; those that are gone are left out. */
  list(nums: readonly number[], reader?: Reader): Promise<RoomEvent[]>;
  byId(eventId: string): Promise<RoomEvent | undefined>;
  byIds(eventIds: readonly string[]): Promise<ReadonlyMap<string, RoomEvent>>;
  /** Answers from memory alone. */
  peek(num: number): RoomEvent | undefined;
  /** Takes in events that have just become durable, or that changed. Call from `onCommit` only. */
  remember(events: readonly RoomEvent[]): void;
}

const MAX_CACHE_BYTES = 64 * 1024 * 1024;

/** What an event costs in memory, roughly: its text, its parsed form and the object around them. */
const bytesOf = (event: RoomEvent): number => 600 + event.json.length * 3;

const fromRow = (row: EventRow): RoomEvent => ({
  num: row.event_num,
  eventId: row.event_id,
  roomNum: row.room_num,
  typeNum: row.type_num,
  senderNum: row.sender_num,
  stateKeyNum: row.state_key_num ?? undefined,
  pdu: parseStoredPdu(row.json),
  json: row.json,
  depth: row.depth,
  position: row.stream_position ?? undefined,
  writerNum: row.writer_num,
  stateRoot: row.state_root ?? undefined,
  facts: row.facts,
  fault: row.fault ?? undefined,
  redactedBy: row.redacted_by ?? undefined,
});

export const createEvents = (database: Pick<Database, 'read'>): Events => {
  const cache = byteCache<number, RoomEvent>(MAX_CACHE_BYTES, bytesOf);
  const numById = entryCache<string, number>(50_000);

  const load = async (nums: readonly number[], reader: Reader | undefined): Promise<RoomEvent[]> => {
    const rows = reader === undefined ? await database.read('events', async (own) => eventRows(own, nums)) : await eventRows(reader, nums);
    // A redaction may have been committed while these rows were on their way: what memory has by now is newer.
    const loaded = rows.map((row) => cache.get(row.event_num) ?? fromRow(row));
    remember(loaded);
    return loaded;
  };

  const remember = (events: readonly RoomEvent[]): void => {
    for (const event of events) {
      cache.set(event.num, event);
      numById.set(event.eventId, event.num);
    }
  };

  const byNums = async (nums: readonly number[], reader?: Reader): Promise<Map<number, RoomEvent>> => {
    const found = new Map<number, RoomEvent>();
    const missing: number[] = [];
    for (const num of nums) {
      const event = cache.get(num);
      if (event === undefined) missing.push(num);
      else found.set(num, event);
    }
    if (missing.length > 0) for (const event of await load(missing, reader)) found.set(event.num, event);
    return found;
  };

  const byIds = async (eventIds: readonly string[]): Promise<Map<string, RoomEvent>> => {
    const nums = new Map<string, number>();
    const missing: string[] = [];
    for (const eventId of eventIds) {
      const num = numById.get(eventId);
      if (num !== undefined) nums.set(eventId, num);
      else if (isEventId(eventId)) missing.push(eventId);
    }
    if (missing.length > 0) {
      for (const [eventId, num] of await database.read('event ids', async (reader) => eventNumsById(reader, missing)))
        nums.set(eventId, num);
    }
    const events = await byNums([...nums.values()]);
    return new Map([...nums].flatMap(([eventId, num]) => (events.has(num) ? [[eventId, events.get(num) as RoomEvent]] : [])));
  };

  return {
    byNum: async (num) => cache.get(num) ?? (await byNums([num])).get(num),
    byNums,
    list: async (nums, reader) => {
      const found = await byNums(nums, reader);
      return nums.flatMap((num) => found.get(num) ?? []);
    },
    byId: async (eventId) => (await byIds([eventId])).get(eventId),
    byIds,
    peek: (num) => cache.peek(num),
    remember,
  };
};
