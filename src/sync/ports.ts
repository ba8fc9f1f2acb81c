import type { JsonObject } from '#src/protocol/json.ts';
import type { StrippedEvent } from '#src/protocol/stripped-state.ts';
import type { RoomEvent } from '#src/rooms/graph/index.ts';
import type { RoomReader } from '#src/rooms/history/index.ts';
import type { Place, TokenPart } from '#src/sync/token.ts';

/** A stretch of a stream: what came after `after` (undefined: everything that is in force) up to and with `upTo`. */
export interface Span {
  readonly after: number | undefined;
  readonly upTo: number;
}

/** How a stream says whom a change concerns. Cheap to call; those who do not wait are not told. */
export interface Wake {
  users(userNums: Iterable<number>): void;
  /** Everybody in a room. */
  room(roomNum: number): void;
}

/** An event outside rooms' timelines. */
export type SmallEvent = {
  readonly type: string;
  readonly content: JsonObject;
  readonly sender?: string;
};

export type ByRoom<T> = ReadonlyMap<number, T>;

/** A stream that moves tokens. */
export interface SyncStream {
  readonly part: TokenPart;
  /** Where the stream stands; what is at or before it can be read. */
  now(): Place;
  /** Called once, before anybody syncs. */
  follow(wake: Wake): void;
}

/** A stream beside the events, with what it adds to the sections of `/sync`. Asked only when it has moved, rooms in batches. */
export interface SyncSource extends SyncStream {
  accountData?(reader: RoomReader, span: Span): Promise<readonly SmallEvent[]>;
  /** Told without a look at rooms; `newlyJoined` are those that the reader has come into, whose members are new to the reader. */
  presence?(reader: RoomReader, span: Span, newlyJoined: readonly number[]): Promise<readonly SmallEvent[]>;
  roomAccountData?(reader: RoomReader, roomNums: readonly number[], span: Span): Promise<ByRoom<readonly SmallEvent[]>>;
  ephemeral?(reader: RoomReader, roomNums: readonly number[], span: Span): Promise<ByRoom<readonly SmallEvent[]>>;
}

/** Messages from device to device. */
export interface ToDeviceSource extends SyncStream {
  /**
   * The next messages of a device as JSON texts, oldest first, and the position up to which those are all. What is at or before `span.after` has
   * arrived and is deleted. Asked at each reading, moved or not.
   */
  take(reader: RoomReader, span: Span, limit: number): Promise<{ readonly events: readonly string[]; readonly upTo: number }>;
}

/** Rooms that a user came to share, or no longer shares, with others. */
export interface RoomMoves {
  readonly newlyJoined: readonly number[];
  readonly newlyLeft: readonly number[];
  /** Rooms in which the user stayed, and in which there were member events between the positions `after` and `upTo`. */
  readonly stayedIn: { readonly roomNums: readonly number[]; readonly after: number; readonly upTo: number };
}

/** Whose devices have changed among those with whom the reader shares rooms. */
export interface DeviceListSource extends SyncStream {
  /** Takes note up to where a reader has been told, as its token shows. */
  stands(reader: RoomReader, position: number): void;
  changes(
    reader: RoomReader,
    span: Span,
    moves: RoomMoves,
  ): Promise<{ readonly changed: readonly string[]; readonly left: readonly string[] }>;
}

/** The keys that others may still claim of a device. */
export interface DeviceKeys {
  remaining(reader: RoomReader): Promise<{
    readonly oneTimeKeys: Readonly<Record<string, number>>;
    readonly unusedFallbackTypes: readonly string[];
  }>;
}

export interface Counts {
  readonly notifications: number;
  readonly highlights: number;
}

export interface RoomCounts extends Counts {
  /** By the id of the thread's root event. */
  readonly threads: ReadonlyMap<string, Counts>;
}

/** How much of rooms a user has not read. */
export interface UnreadCounts {
  /** Rooms without an entry have nothing unread. `byThread` keeps threads' counts apart. */
  of(reader: RoomReader, roomNums: readonly number[], byThread: boolean): Promise<ByRoom<RoomCounts>>;
}

export type PresenceState = 'online' | 'offline' | 'unavailable';

/** What a database knows of its having been put back from an older copy. */
export interface LostTime {
  /** Whether a reader comes from a time that is lost, by where it stands in streams of these names; and whether nobody has told the database so (`ahead`). */
  judge(stand: Readonly<Record<string, number | undefined>>): 'sound' | 'lost' | 'ahead';
  /** The keys of a reader's device may have been handed out in that time. */
  renewKeys(reader: RoomReader): Promise<void>;
}

/** What the slices above the rooms give to sync. Those that are not there have nothing to say. */
export interface SyncPorts {
  readonly sources: readonly SyncSource[];
  readonly toDevice?: ToDeviceSource;
  readonly deviceLists?: DeviceListSource;
  readonly deviceKeys?: DeviceKeys;
  readonly unreadCounts?: UnreadCounts;
  readonly lostTime?: LostTime;
  /** What another server has told of a room with an invite or a knock whose room this server is not in. */
  readonly outsideState?: (event: RoomEvent) => Promise<readonly StrippedEvent[]>;
  /** Takes note that somebody syncs, with the state that the client asks for, until what this answers is called. */
  readonly seen?: (reader: RoomReader, state: PresenceState) => Promise<() => void>;
}
