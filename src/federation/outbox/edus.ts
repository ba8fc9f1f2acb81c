import type { Followers } from '#src/platform/streams/followers.ts';

/** EDUs on their way to a server. */
export interface TakenEdus {
  readonly type: string;
  /** Each as canonical JSON: `{"content":…,"edu_type":…}`. */
  readonly texts: readonly string[];
  /** The server has them. */
  readonly sent: () => Promise<void>;
}

/** Something that servers are told by EDUs of one kind. */
export interface EduSource {
  /** Whether there may be some for a server. */
  isWaiting(destination: string): boolean;
  /** So many at most, or one that is larger. Undefined when there are none after all. */
  take(destination: string, limit: { readonly count: number; readonly bytes: number }): Promise<TakenEdus | undefined>;
  /** The servers for which there may be some now. */
  waiting(): Iterable<string>;
  /** How many wait, roughly. */
  count(): number;
  /** Calls when there are some for servers. */
  onWaiting(listener: (destinations: Iterable<string>) => void): void;
  /** Follows the streams from which it learns what servers are to be told. */
  follow?(followers: Followers): Promise<void>;
}
