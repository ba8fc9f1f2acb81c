import type { JsonObject } from '#src/protocol/json.ts';
import type { SpaceEntry } from '#src/spaces/entries.ts';

/** What another server tells of a room and, for a space, of its children. */
export interface RemoteSpace extends SpaceEntry {
  /** Entries of children, without theirs. */
  readonly known: ReadonlyMap<string, JsonObject>;
  /** Children that are not for anybody here. */
  readonly inaccessible: ReadonlySet<string>;
}

/** Rooms that this server is not in, as others tell of them. */
export interface RemoteSpaces {
  /** Asks the servers in turn; undefined where none tells of the room. */
  ask(roomId: string, via: readonly string[], suggestedOnly: boolean): Promise<RemoteSpace | undefined>;
}
