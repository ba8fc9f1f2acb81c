import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Config } from '#src/platform/config/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import { canonicalJson } from '#src/protocol/canonical-json.ts';
import type { JsonValue } from '#src/protocol/json.ts';
import { tooLarge } from '#src/protocol/errors.ts';
import { parseSyncFilter, syncFilterOf } from '#src/filters/parse.ts';
import type { SyncFilter } from '#src/filters/parse.ts';
import { findFilter, insertFilter, readFilter } from '#src/filters/store.ts';

/** A user who stores more loses the oldest; clients then store theirs anew. */
const MAX_FILTERS = 1000;
const MAX_FILTER_BYTES = 65_536;
const MAX_CACHED_BYTES = 4_000_000;

export interface Filters {
  /** Stores a filter and answers its id; an equal one is stored once. Throws `M_BAD_JSON` or `M_TOO_LARGE`. */
  readonly add: (userNum: number, definition: JsonValue) => Promise<string>;
  /** The JSON of a user's filter. */
  readonly definition: (userNum: number, filterId: string) => Promise<string | undefined>;
  /** A user's filter, ready for use, by its id. */
  readonly get: (userNum: number, filterId: string) => Promise<SyncFilter | undefined>;
  /** A filter from its text, as in `/sync?filter={…}`; throws `M_NOT_JSON` or `M_BAD_JSON`. */
  readonly parse: (text: string) => Promise<SyncFilter>;
}

const clampTimeline = (definition: JsonValue, maxLimit: number): JsonValue => {
  const filter = definition as { room?: { timeline?: { limit?: number } } };
  const limit = filter.room?.timeline?.limit;
  if (limit === undefined || limit <= maxLimit) return definition;
  return { ...filter, room: { ...filter.room, timeline: { ...filter.room?.timeline, limit: maxLimit } } };
};

/** The filters that clients store for `/sync`. */
export const createFilters = ({ database, config }: { database: Database; config: Pick<Config, 'filter_timeline_limit'> }): Filters => {
  const maxTimelineLimit = config.filter_timeline_limit < 0 ? Infinity : config.filter_timeline_limit;
  // A stored filter never changes, so a cached one is never wrong. An inline one is cached by its text.
  const cache = new LRUCache<string, SyncFilter>({ maxSize: MAX_CACHED_BYTES });

  const parse = async (text: string, cacheKey: string): Promise<SyncFilter> => {
    const filter = await parseSyncFilter(text, maxTimelineLimit);
    cache.set(cacheKey, filter, { size: 1000 + cacheKey.length + 2 * text.length });
    return filter;
  };

  const definition = async (userNum: number, filterId: string): Promise<string | undefined> => {
    if (!/^\d{1,15}$/.test(filterId)) return undefined;
    return database.read('filter', (reader) => readFilter(reader, userNum, Number(filterId)));
  };

  return {
    add: async (userNum, given) => {
      await syncFilterOf(given, maxTimelineLimit);
      const text = canonicalJson(clampTimeline(given, maxTimelineLimit));
      if (Buffer.byteLength(text) > MAX_FILTER_BYTES) throw tooLarge(`The filter is larger than ${String(MAX_FILTER_BYTES)} bytes`);
      const digest = hash('sha256', text, 'buffer');
      const known = await database.read('filter by hash', (reader) => findFilter(reader, userNum, digest));
      if (known !== undefined) return String(known);
      return database.write('add filter', async (tx) => {
        const meanwhile = await findFilter(tx, userNum, digest);
        return String(meanwhile ?? (await insertFilter(tx, userNum, digest, text, MAX_FILTERS)));
      });
    },
    definition,
    get: async (userNum, filterId) => {
      const cacheKey = `${String(userNum)} ${filterId}`;
      const cached = cache.get(cacheKey);
      if (cached !== undefined) return cached;
      const text = await definition(userNum, filterId);
      return text === undefined ? undefined : parse(text, cacheKey);
    },
    parse: async (text) => cache.get(`=${text}`) ?? parse(text, `=${text}`),
  };
};
