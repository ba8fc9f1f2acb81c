import type { JsonObject } from '#src/protocol/json.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import type { Book } from '#src/presence/book.ts';
import type { PresenceMetrics } from '#src/presence/metrics.ts';
import { contentOf } from '#src/presence/states.ts';
import { roomsWithOthers } from '#src/presence/store.ts';

/** How a user of this server is, for other servers to know. */
export interface OwnPresence {
  readonly userId: string;
  /** As it stands in the list `push` of an EDU `m.presence`. */
  readonly content: JsonObject;
  /** The servers in these rooms are to know it; users of other servers are in each. */
  readonly roomNums: readonly number[];
  /** These as well. */
  readonly servers: readonly string[];
}

/** Collects what other servers are to be told of this server's users. */
export interface ToServers {
  onOwn(listener: (news: readonly OwnPresence[]) => void): void;
  /** The servers in rooms are to know how a user is. */
  add(userNum: number, roomNums: Iterable<number>): void;
  /** One server is. */
  addServer(userNum: number, server: string): void;
  close(): Promise<void>;
}

interface Gathered {
  readonly roomNums: Set<number>;
  readonly servers: Set<string>;
}

/** So long is collected, and of each user the last is told. */
const GATHER_MS = 1000;
/** In so many rooms at a time it is looked for users of other servers. */
const AT_ONCE = 500;

export const createToServers = ({
  database,
  clock,
  book,
  metrics,
  log,
}: {
  database: Pick<Database, 'read'>;
  clock: Pick<Clock, 'now'>;
  book: Pick<Book, 'of'>;
  metrics: Pick<PresenceMetrics, 'sent'>;
  log: Logger;
}): ToServers => {
  const listeners: ((news: readonly OwnPresence[]) => void)[] = [];
  let gathered = new Map<number, Gathered>();
  let timer: NodeJS.Timeout | undefined;
  let working = Promise.resolve();

  const shared = async (roomNums: readonly number[]): Promise<Set<number>> => {
    const found = new Set<number>();
    for (let first = 0; first < roomNums.length; first += AT_ONCE) {
      const some = roomNums.slice(first, first + AT_ONCE);
      for (const row of await database.read('rooms with others', (reader) => roomsWithOthers(reader, some))) found.add(row.room_num);
    }
    return found;
  };

  const tell = async (all: ReadonlyMap<number, Gathered>): Promise<void> => {
    const withOthers = await shared([...new Set([...all.values()].flatMap(({ roomNums }) => [...roomNums]))]);
    const news: OwnPresence[] = [];
    for (const [userNum, { roomNums, servers }] of all) {
      const user = book.of(userNum);
      const inRooms = [...roomNums].filter((roomNum) => withOthers.has(roomNum));
      if (user === undefined || (inRooms.length === 0 && servers.size === 0)) continue;
      const content = { ...contentOf(user, clock.now()), user_id: user.userId };
      news.push({ userId: user.userId, content, roomNums: inRooms, servers: [...servers] });
    }
    if (news.length === 0) return;
    metrics.sent(news.length);
    for (const listener of listeners) listener(news);
  };

  const flush = (): void => {
    timer = undefined;
    const all = gathered;
    gathered = new Map();
    working = working
      .then(() => tell(all))
      .catch((error: unknown) => log.warn({ err: error }, 'Other servers could not be told who is online'));
  };

  const gather = (userNum: number): Gathered => {
    timer ??= setTimeout(flush, GATHER_MS).unref();
    return gathered.getOrInsertComputed(userNum, () => ({ roomNums: new Set(), servers: new Set() }));
  };

  return {
    onOwn: (listener) => void listeners.push(listener),
    add: (userNum, roomNums) => {
      const { roomNums: known } = gather(userNum);
      for (const roomNum of roomNums) known.add(roomNum);
    },
    addServer: (userNum, server) => void gather(userNum).servers.add(server),
    close: async () => {
      clearTimeout(timer);
      await working;
    },
  };
};
