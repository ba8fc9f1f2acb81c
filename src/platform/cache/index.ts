import { LRUCache } from 'lru-cache';

/**
 * The `maxEntries` most recently used entries. Takes memory as it fills: lru-cache's own `max` would take it for all of them at once, ten megabytes
 * for the caches of a server that has nothing to do yet.
 */
export const entryCache = <Key extends {}, Value extends {}>(maxEntries: number): LRUCache<Key, Value> =>
  new LRUCache<Key, Value>({ maxSize: maxEntries, sizeCalculation: () => 1 });

/** The most recently used entries that together take `maxBytes`, as `bytesOf` estimates them. */
export const byteCache = <Key extends {}, Value extends {}>(maxBytes: number, bytesOf: (value: Value) => number): LRUCache<Key, Value> =>
  new LRUCache<Key, Value>({ maxSize: maxBytes, sizeCalculation: bytesOf });
