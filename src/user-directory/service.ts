import type { Requester } from '#src/accounts/index.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { BackgroundUpdates } from '#src/platform/database/background-updates.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { RateLimiter } from '#src/platform/http/rate-limits.ts';
import type { Jobs } from '#src/platform/jobs/index.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import type { Follower, Followers } from '#src/platform/streams/followers.ts';
import { termsOf } from '#src/platform/text/words.ts';
import type { Profiles } from '#src/profiles/index.ts';
import { EVENTS_STREAM, type RoomGraph } from '#src/rooms/graph/index.ts';
import { createOwnProfiles } from '#src/user-directory/profile-changes.ts';
import { createRegenerate, REGENERATE_DIRECTORY } from '#src/user-directory/rebuild.ts';
import { type AskProfile, createRefreshRemote } from '#src/user-directory/remote-profiles.ts';
import { createRoomChanges } from '#src/user-directory/room-changes.ts';
import { findUsers, type FoundRow } from '#src/user-directory/views.ts';

/** A user who was found, as the specification has it. */
export interface FoundUser {
  readonly user_id: string;
  readonly display_name?: string;
  readonly avatar_url?: string;
}

export interface FoundUsers {
  readonly limited: boolean;
  readonly results: readonly FoundUser[];
}

export interface UserDirectory {
  /** Users whose names or ids have all the words of the term, or words that begin with them, the best first. Throws `M_LIMIT_EXCEEDED`. */
  search(requester: Requester, term: string, limit: number | undefined): Promise<FoundUsers>;
  /** Follows profiles and rooms from now on. */
  follow(followers: Followers): Promise<void>;
}

export interface UserDirectoryTools {
  readonly database: Database;
  readonly strings: Strings;
  readonly clock: Clock;
  readonly jobs: Jobs;
  readonly backgroundUpdates: Pick<BackgroundUpdates, 'register'>;
  readonly graph: RoomGraph;
  readonly profiles: Pick<Profiles, 'changesSince'>;
  readonly askProfile: AskProfile;
  readonly limiter: Pick<RateLimiter, 'check'>;
  readonly config: Pick<Config, 'server_name' | 'user_directory'>;
  readonly log: Logger;
}

const DEFAULT_LIMIT = 10;
const MAX_LIMIT = 50;
/** Changes are gathered for so long, unless somebody searches. */
const GATHER_MS = 500;
/** Whoever searches waits no longer for the directory to be current. */
const MAX_WAIT_MS = 2000;
const BATCH = 500;
const REFRESH_MS = 15_000;

/** `@alice:example.org`, also unfinished. */
const USER_ID = /^@?(?<localpart>[^\s:]+)(?<server>:\S*)$/u;

/** The words that are looked for, and what the user id has after its colon. */
const parseTerm = (term: string): { words: readonly string[]; server: string } => {
  const { localpart = term, server = '' } = USER_ID.exec(term.trim())?.groups ?? {};
  return { words: termsOf(localpart).words, server: server === ':' ? '' : server.replaceAll('\0', '').toWellFormed() };
};

const shown = (row: FoundRow): FoundUser => ({
  user_id: row.user_id,
  ...(row.display_name !== null && { display_name: row.display_name }),
  ...(row.avatar_url !== null && { avatar_url: row.avatar_url }),
});

/** The user directory (client-server API, "User Directory"). */
export const createUserDirectory = (tools: UserDirectoryTools): UserDirectory => {
  const { database, clock, jobs, backgroundUpdates, limiter } = tools;
  const { server_name: serverName, user_directory: settings } = tools.config;
  const roomChanges = createRoomChanges({ ...tools, serverName });
  const ownProfiles = createOwnProfiles(tools);
  const following: Follower[] = [];
  backgroundUpdates.register(REGENERATE_DIRECTORY, createRegenerate(clock));
  jobs.every('refresh of remote profiles', REFRESH_MS, createRefreshRemote({ ...tools, ask: tools.askProfile }));

  return {
    search: async (requester, term, wanted = DEFAULT_LIMIT) => {
      if (!settings.enabled) return { limited: false, results: [] };
      limiter.check(requester.userId);
      const limit = Math.max(0, Math.min(wanted, MAX_LIMIT));
      const { words, server } = parseTerm(term);
      if (words.length === 0) return { limited: false, results: [] };
      await Promise.all(following.map((follower) => follower.caughtUp(MAX_WAIT_MS)));
      const rows = await database.readLong<FoundRow>(
        'search users',
        findUsers({
          asker: requester.userNum,
          words,
          server,
          findsAll: settings.search_all_users,
          prefersLocal: settings.prefer_local_users,
          excludesRemote: settings.exclude_remote_users,
          limit: limit + 1,
        }),
      );
      return { limited: rows.length > limit, results: rows.slice(0, limit).map(shown) };
    },
    follow: async (followers) => {
      const plan = { start: 'beginning', batch: BATCH, gatherMs: GATHER_MS } as const;
      following.push(
        await followers.follow({
          ...plan,
          name: 'user directory: profiles',
          stream: 'profiles',
          handle: async ({ from, to }) => ownProfiles(from.min, to.min),
        }),
        await followers.follow({
          ...plan,
          name: 'user directory: rooms',
          stream: EVENTS_STREAM,
          start: 'now',
          handle: async ({ from, to }) => roomChanges.handle(from.min, to.min),
        }),
      );
    },
  };
};
