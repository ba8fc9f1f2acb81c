import { entryCache } from '#src/platform/cache/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import { readEnds } from '#src/to-device/store.ts';

/** Between which positions a device may have messages; undefined where it has none. */
export interface Inbox {
  oldest: number | undefined;
  newest: number | undefined;
}

/** What memory knows of devices' messages, so that a device that has none costs no query. */
export interface Inboxes {
  of(userNum: number, deviceId: string): Promise<Inbox>;
  /** Takes in a message that has just become durable. */
  noteMessage(userNum: number, deviceId: string, position: number): void;
  /** Takes in that messages up to a position were deleted. */
  noteDeleted(userNum: number, deviceId: string, upTo: number): void;
  /** Forgets devices that were deleted. */
  forget(userNum: number, deviceIds: readonly string[]): void;
}

const MAX_DEVICES = 100_000;

interface Entry extends Inbox {
  readonly ready: Promise<void>;
}

const nameOf = (userNum: number, deviceId: string): string => `${String(userNum)} ${deviceId}`;

const widen = (inbox: Inbox, from: number, to: number): void => {
  inbox.oldest = Math.min(inbox.oldest ?? from, from);
  inbox.newest = Math.max(inbox.newest ?? to, to);
};

export const createInboxes = (database: Pick<Database, 'read'>): Inboxes => {
  const cache = entryCache<string, Entry>(MAX_DEVICES);

  const load = (userNum: number, deviceId: string): Entry => {
    const name = nameOf(userNum, deviceId);
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    // In its place before it is read, so that it learns of messages that come meanwhile.
    const entry: Entry = { oldest: undefined, newest: undefined, ready };
    cache.set(name, entry);
    const read = async (): Promise<void> => {
      const ends = await database.read('to-device inbox', (reader) => readEnds(reader, userNum, deviceId));
      if (typeof ends?.oldest === 'number' && typeof ends.newest === 'number') widen(entry, ends.oldest, ends.newest);
    };
    read().then(resolve, (error: unknown) => {
      cache.delete(name);
      reject(error);
    });
    return entry;
  };

  return {
    of: async (userNum, deviceId) => {
      const entry = cache.get(nameOf(userNum, deviceId)) ?? load(userNum, deviceId);
      await entry.ready;
      return entry;
    },
    noteMessage: (userNum, deviceId, position) => {
      const entry = cache.peek(nameOf(userNum, deviceId));
      if (entry !== undefined) widen(entry, position, position);
    },
    noteDeleted: (userNum, deviceId, upTo) => {
      const entry = cache.peek(nameOf(userNum, deviceId));
      if (entry === undefined) return;
      const isEmpty = entry.newest === undefined || entry.newest <= upTo;
      entry.oldest = isEmpty ? undefined : Math.max(entry.oldest ?? 0, upTo + 1);
      if (isEmpty) entry.newest = undefined;
    },
    forget: (userNum, deviceIds) => {
      for (const deviceId of deviceIds) cache.delete(nameOf(userNum, deviceId));
    },
  };
};
