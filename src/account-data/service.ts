import { entryCache } from '#src/platform/cache/index.ts';
import { invalidParam, MatrixError } from '#src/protocol/errors.ts';
import { byteLength, isUserId } from '#src/protocol/identifiers.ts';
import { isJsonObject, type JsonObject, member } from '#src/protocol/json.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import { createRecentRows } from '#src/platform/streams/recent-rows.ts';
import { withDirectRoom, withTags } from '#src/account-data/carry-over.ts';
import { type DataRow, deleteData, NO_ROOM, putData, readChanges, readData } from '#src/account-data/store.ts';

export const ACCOUNT_DATA_STREAM = 'account_data';

/** An entry as clients get it. */
export interface AccountDataEvent {
  readonly type: string;
  readonly content: JsonObject;
}

interface Span {
  readonly after: number | undefined;
  readonly upTo: number;
}

/** Account data as a stream of `/sync`. */
export interface AccountDataSource {
  readonly part: 'accountData';
  now(): { readonly position: number; readonly epoch: undefined };
  follow(wake: { users(userNums: Iterable<number>): void }): void;
  accountData(reader: { readonly userNum: number }, span: Span): Promise<readonly AccountDataEvent[]>;
  roomAccountData(
    reader: { readonly userNum: number },
    roomNums: readonly number[],
    span: Span,
  ): Promise<ReadonlyMap<number, readonly AccountDataEvent[]>>;
}

/** Where an entry belongs: to a room, or to none. */
export interface DataPlace {
  readonly userNum: number;
  readonly roomNum: number | undefined;
  readonly type: string;
}

/** A room, by both names. */
interface RoomName {
  readonly num: number;
  readonly roomId: string;
}

export interface AccountData {
  /** The JSON of an entry. */
  get(place: DataPlace): Promise<string | undefined>;
  /** Sets an entry. Throws `M_BAD_JSON` (405) for the types that only the server sets, `M_INVALID_PARAM` for a type that is too long
   * and for ignoring oneself. */
  set(place: DataPlace, content: JsonObject): Promise<void>;
  /**
   * Changes an entry by what it holds now, the server's own types too; `undefined` from `change` leaves it. `change` may run twice and awaits
   * nothing.
   */
  update(place: DataPlace, change: (content: JsonObject | undefined) => JsonObject | undefined): Promise<void>;
  /** Gives a room's successor the tags of the room, and a place beside it among the direct chats. */
  carryOver(userNum: number, from: RoomName, to: RoomName): Promise<void>;
  /** Whom the user has chosen not to hear (`m.ignored_user_list`). */
  ignoredUsers(userNum: number): Promise<ReadonlySet<number>>;
  /** Lets another slice write with each change of whom a user ignores, in the transaction of that change. */
  onIgnored(participant: IgnoredParticipant): void;
  readonly source: AccountDataSource;
}

/** Told whom a user ignores from now on. May run twice, and awaits nothing but the transaction. */
export type IgnoredParticipant = (tx: Transaction, userNum: number, ignored: readonly number[]) => Promise<void>;

/** Types that clients change by other ways (client-server API, "Client Config"). */
const SERVER_TYPES: ReadonlySet<string> = new Set(['m.fully_read', 'm.push_rules']);
const IGNORED = 'm.ignored_user_list';
const DIRECT = 'm.direct';
export const TAGS = 'm.tag';
const MAX_TYPE_BYTES = 255;
const MAX_IGNORE_LISTS = 50_000;
const MAX_IGNORED = 5000;

const checkType = (type: string): void => {
  if (SERVER_TYPES.has(type)) throw new MatrixError(405, 'M_BAD_JSON', `Cannot set ${type} through this API`);
  if (byteLength(type) > MAX_TYPE_BYTES) throw invalidParam(`The type is longer than ${String(MAX_TYPE_BYTES)} bytes`);
};

const parse = (text: string): JsonObject => JSON.parse(text) as JsonObject;

/** The tags that an `m.tag` holds. */
export const tagsOf = (content: JsonObject | undefined): JsonObject => (isJsonObject(content?.tags) ? content.tags : {});

const eventOf = (row: DataRow): AccountDataEvent => ({ type: row.data_type, content: parse(row.content) });

const ignoredIds = (content: string | undefined): string[] => {
  const users = content === undefined ? undefined : member(parse(content), 'ignored_users');
  return isJsonObject(users) ? Object.keys(users).filter(isUserId).slice(0, MAX_IGNORED) : [];
};

/** What clients keep for their users, by type, for themselves or for a room. */
export const createAccountData = ({ database, strings }: { database: Database; strings: Strings }): AccountData => {
  const position = (): number => database.positions.current(ACCOUNT_DATA_STREAM).min;
  const recent = createRecentRows<{ position: number; row: DataRow }>(position());
  const ignoreLists = entryCache<number, Promise<ReadonlySet<number>>>(MAX_IGNORE_LISTS);
  const listeners: ((userNum: number) => void)[] = [];
  const participants: IgnoredParticipant[] = [];

  const noteChange = (row: DataRow): void => {
    recent.note({ position: row.stream_position, row });
    if (row.data_type === IGNORED && row.room_num === NO_ROOM) ignoreLists.delete(row.user_num);
  };

  const write = async (
    { userNum, roomNum = NO_ROOM, type }: DataPlace,
    change: (content: JsonObject | undefined) => JsonObject | undefined,
    alongside?: (tx: Transaction) => Promise<void>,
  ): Promise<void> => {
    await database.write('account data', async (tx) => {
      const before = await readData(tx, userNum, roomNum, type);
      const content = change(before === undefined ? undefined : parse(before));
      if (content === undefined) return;
      const row: DataRow = {
        user_num: userNum,
        room_num: roomNum,
        data_type: type,
        content: JSON.stringify(content),
        stream_position: await tx.nextPositions(ACCOUNT_DATA_STREAM),
      };
      putData(tx, row);
      await alongside?.(tx);
      tx.onCommit(() => noteChange(row));
    });
    for (const listener of listeners) listener(userNum);
  };

  /** The last change of each entry in a stretch. */
  const changes = async (userNum: number, { after = 0, upTo }: Span): Promise<Iterable<DataRow>> => {
    const known = recent.between(after, upTo);
    if (known === undefined) return database.read('account data changes', async (reader) => readChanges(reader, userNum, after, upTo));
    const last = new Map<string, DataRow>();
    for (const { row } of known) if (row.user_num === userNum) last.set(`${String(row.room_num)}/${row.data_type}`, row);
    return last.values();
  };

  const loadIgnored = async (userNum: number): Promise<ReadonlySet<number>> => {
    const userIds = ignoredIds(await database.read('ignored users', async (reader) => readData(reader, userNum, NO_ROOM, IGNORED)));
    return userIds.length === 0 ? new Set<number>() : new Set((await strings.intern(userIds)).values());
  };

  const get: AccountData['get'] = async ({ userNum, roomNum = NO_ROOM, type }) =>
    database.read('account data', async (reader) => readData(reader, userNum, roomNum, type));

  const carryOver: AccountData['carryOver'] = async (userNum, from, to) => {
    const direct = { userNum, roomNum: undefined, type: DIRECT };
    const lists = await get(direct);
    if (lists !== undefined && withDirectRoom(parse(lists), from.roomId, to.roomId) !== undefined)
      await write(direct, (content) => withDirectRoom(content, from.roomId, to.roomId));
    const text = await get({ userNum, roomNum: from.num, type: TAGS });
    const tags = text === undefined ? {} : tagsOf(parse(text));
    if (Object.keys(tags).length > 0) await write({ userNum, roomNum: to.num, type: TAGS }, (content) => withTags(content, tags));
  };

  return {
    get,
    carryOver,
    set: async (place, content) => {
      checkType(place.type);
      if (place.type !== IGNORED || place.roomNum !== undefined) return write(place, () => content);
      const ignored = [...(await strings.intern(ignoredIds(JSON.stringify(content)))).values()];
      if (ignored.includes(place.userNum)) throw invalidParam('You cannot ignore yourself');
      await write(
        place,
        () => content,
        async (tx) => {
          for (const participant of participants) await participant(tx, place.userNum, ignored);
        },
      );
    },
    update: async (place, change) => write(place, change),
    onIgnored: (participant) => void participants.push(participant),
    ignoredUsers: async (userNum) => {
      const known = ignoreLists.get(userNum);
      if (known !== undefined) return known;
      const loading = loadIgnored(userNum);
      ignoreLists.set(userNum, loading);
      loading.catch(() => ignoreLists.delete(userNum));
      return loading;
    },
    source: {
      part: 'accountData',
      now: () => ({ position: position(), epoch: undefined }),
      follow: (wake) => {
        listeners.push((userNum) => wake.users([userNum]));
      },
      accountData: async ({ userNum }, span) => {
        const rows = [...(await changes(userNum, span))];
        return rows.filter((row) => row.room_num === NO_ROOM).map(eventOf);
      },
      roomAccountData: async ({ userNum }, roomNums, span) => {
        const wanted = new Set(roomNums);
        const byRoom = new Map<number, AccountDataEvent[]>();
        for (const row of await changes(userNum, span)) {
          if (!wanted.has(row.room_num)) continue;
          const events = byRoom.get(row.room_num) ?? [];
          events.push(eventOf(row));
          byRoom.set(row.room_num, events);
        }
        return byRoom;
      },
    },
  };
};

/** Deletes all that a user's clients kept. */
export const deleteAccountDataOf = async (tx: Transaction, userNum: number): Promise<void> => deleteData(tx, userNum);
