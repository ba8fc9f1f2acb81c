import type { JsonObject } from '#src/protocol/json.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Book } from '#src/presence/book.ts';
import type { Changes, Rooms } from '#src/presence/changes.ts';
import type { PresenceMetrics } from '#src/presence/metrics.ts';
import { contentOf, type UserPresence } from '#src/presence/states.ts';
import { joinedRoomsOf, membersOf, type PresenceRow, readChangedSince, readPresence } from '#src/presence/store.ts';
import type { Wake } from '#src/presence/wakes.ts';

export interface PresenceEvent {
  readonly type: 'm.presence';
  readonly sender: string;
  readonly content: JsonObject;
}

interface Reader {
  readonly userNum: number;
}

interface Span {
  readonly after: number | undefined;
  readonly upTo: number;
}

/** Presence as a stream of `/sync`. */
export interface PresenceSource {
  readonly part: 'presence';
  now(): { readonly position: number; readonly epoch: undefined };
  follow(wake: Wake): void;
  /** What a reader is told of those in the reader's rooms; of those in rooms that are new to the reader all that is known. */
  presence(reader: Reader, span: Span, newlyJoined: readonly number[]): Promise<readonly PresenceEvent[]>;
}

export interface SourceTools {
  readonly database: Pick<Database, 'read'>;
  readonly strings: Pick<Strings, 'textOf'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly book: Pick<Book, 'of' | 'all' | 'userOf'>;
  readonly changes: Pick<Changes, 'position' | 'concerning'>;
  /** The rooms that a user is in, of those that count. */
  readonly roomsOf: (userNum: number) => Promise<ReadonlySet<number>>;
  /** The same without making a set of them. */
  readonly viewOf: (userNum: number) => Promise<Rooms>;
  /** Whether a first sync tells of those who are offline too (`include_offline_users_on_sync`). */
  readonly includesOffline: boolean;
  readonly metrics: Pick<PresenceMetrics, 'read'>;
  readonly follow: (wake: Wake) => void;
}

/** So many users are looked up at a time; of so few the rooms are read, of more the rooms' members. */
const FEW = 500;
/** Who comes from long ago is told the latest so many changes that this server knows of. */
const MAX_CHANGES = 10_000;

/** Those of the candidates who are in one of the rooms. Costs the candidates' rooms where they are few, else the rooms' members. */
export const thoseIn = async (
  database: Pick<Database, 'read'>,
  roomNums: ReadonlySet<number>,
  candidates: readonly number[],
): Promise<number[]> => {
  if (roomNums.size === 0 || candidates.length === 0) return [];
  if (candidates.length <= FEW) {
    const rows = await database.read('rooms of those present', (reader) => joinedRoomsOf(reader, candidates));
    return [...new Set(rows.filter((row) => roomNums.has(row.room_num)).map((row) => row.user_num))];
  }
  const members = await database.read('members of rooms', (reader) => membersOf(reader, [...roomNums]));
  const wanted = new Set(candidates);
  return members.map((row) => row.user_num).filter((num) => wanted.has(num));
};

export const createPresenceSource = (tools: SourceTools): PresenceSource => {
  const { database, strings, clock, book, changes, roomsOf, viewOf, includesOffline, metrics } = tools;

  const present = (): number[] => [...book.all()].filter(({ user }) => user.presence !== 'offline').map(({ user }) => user.userNum);

  const known = (userNums: Iterable<number>): UserPresence[] => [...new Set(userNums)].flatMap((num) => book.of(num) ?? []);

  const usersOf = async (rows: readonly PresenceRow[]): Promise<UserPresence[]> => {
    const userIds = await strings.textOf(rows.map((row) => row.user_num));
    return rows.flatMap((row) => {
      const userId = userIds.get(row.user_num);
      return userId === undefined ? [] : [book.of(row.user_num) ?? book.userOf(row, userId)];
    });
  };

  /** Everybody in the rooms of whom anything is known. */
  const evenOffline = async (roomNums: ReadonlySet<number>, readerNum: number): Promise<UserPresence[]> => {
    const members = await database.read('members of rooms', (reader) => membersOf(reader, [...roomNums]));
    const userNums = [...new Set([...members.map((row) => row.user_num), readerNum])];
    const found = new Map(known(userNums).map((user) => [user.userNum, user]));
    for (let first = 0; first < userNums.length; first += FEW) {
      const some = userNums.slice(first, first + FEW).filter((num) => !found.has(num));
      const rows = some.length === 0 ? [] : await database.read('presence', (reader) => readPresence(reader, some));
      for (const user of await usersOf(rows)) found.set(user.userNum, user);
    }
    return [...found.values()];
  };

  const atFirst = async ({ userNum }: Reader): Promise<UserPresence[]> => {
    const candidates = present();
    if (candidates.length === 0 && !includesOffline) return [];
    const rooms = await roomsOf(userNum);
    if (includesOffline) return evenOffline(rooms, userNum);
    return known([...(await thoseIn(database, rooms, candidates)), userNum]).filter(({ presence }) => presence !== 'offline');
  };

  /** For who comes from before what memory reaches back to: offline is told as well, as it may be news. */
  const sinceLongAgo = async ({ userNum }: Reader, after: number): Promise<UserPresence[]> => {
    const rows = await database.read('changed presence', (reader) => readChangedSince(reader, after, MAX_CHANGES));
    const changed = [...book.all()].filter(({ changedMs }) => changedMs > after).map(({ user }) => user.userNum);
    const candidates = [...new Set([...rows.map((row) => row.user_num), ...changed])];
    const shown = new Set(await thoseIn(database, await roomsOf(userNum), candidates));
    if (candidates.includes(userNum)) shown.add(userNum);
    const stored = await usersOf(rows.filter((row) => shown.has(row.user_num) && book.of(row.user_num) === undefined));
    return [...known(shown), ...stored];
  };

  const changed = async (reader: Reader, after: number, upTo: number): Promise<UserPresence[]> => {
    if (after >= upTo) return [];
    const found = changes.concerning(reader.userNum, await viewOf(reader.userNum), { after, upTo });
    metrics.read(found === undefined ? 'full' : 'stream');
    return found === undefined ? sinceLongAgo(reader, after) : known(found);
  };

  return {
    part: 'presence',
    now: () => ({ position: changes.position(), epoch: undefined }),
    follow: tools.follow,
    presence: async (reader, { after, upTo }, newlyJoined) => {
      const users = after === undefined ? await atFirst(reader) : await changed(reader, after, upTo);
      if (after !== undefined && newlyJoined.length > 0) {
        const rooms = await roomsOf(reader.userNum);
        const met = await thoseIn(database, new Set(newlyJoined.filter((num) => rooms.has(num))), present());
        users.push(...known(met.filter((num) => num !== reader.userNum)));
      }
      const byNum = new Map(users.map((user) => [user.userNum, user]));
      const nowMs = clock.now();
      return [...byNum.values()].map((user) => ({ type: 'm.presence', sender: user.userId, content: contentOf(user, nowMs) }));
    },
  };
};
