import { LRUCache } from 'lru-cache';
import { entryCache } from '#src/platform/cache/index.ts';
import type { RoomReader } from '#src/rooms/history/index.ts';

/**
 * Which member events a device has been sent, so that lazy loading does not send them with each message (client-server API, "Lazy-loading room
 * members"). An event counts as known only once the device asks on from the answer that had it: an answer that was lost is made again whole.
 */
export interface KnownMembers {
  isKnown(reader: RoomReader, eventNum: number, since: number | undefined): boolean;
  /** Who knew nothing (`since` undefined) knows only this now. */
  sent(reader: RoomReader, eventNums: Iterable<number>, since: number | undefined, upTo: number): void;
}

const MAX_DEVICES = 10_000;
const MAX_PER_DEVICE = 500;
const TTL_MS = 30 * 60_000;

export const createKnownMembers = (): KnownMembers => {
  const devices = new LRUCache<string, LRUCache<number, number>>({ max: MAX_DEVICES, ttl: TTL_MS });
  const nameOf = (reader: RoomReader): string => `${String(reader.userNum)}/${reader.deviceId ?? ''}`;
  return {
    isKnown: (reader, eventNum, since) => {
      const sentAt = since === undefined ? undefined : devices.get(nameOf(reader))?.get(eventNum);
      return sentAt !== undefined && sentAt <= (since as number);
    },
    sent: (reader, eventNums, since, upTo) => {
      const name = nameOf(reader);
      const before = since === undefined ? undefined : devices.get(name);
      const known = before ?? entryCache<number, number>(MAX_PER_DEVICE);
      for (const num of eventNums) known.set(num, upTo);
      devices.set(name, known);
    },
  };
};
