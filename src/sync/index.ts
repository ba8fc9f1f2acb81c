import type { AccountAccess } from '#src/accounts/index.ts';
import type { Filters } from '#src/filters/index.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Route } from '#src/platform/http/route.ts';
import { createNotifier } from '#src/platform/streams/wait.ts';
import type { RoomGraph } from '#src/rooms/graph/index.ts';
import type { IgnoredUsers, Presenter, ReadAccess, ReadHistory, ReplacedState, Visibility, SiftRelated } from '#src/rooms/history/index.ts';
import type { Config } from '#src/platform/config/index.ts';
import { createAudience } from '#src/sync/engine/audience.ts';
import { createEngine } from '#src/sync/engine/index.ts';
import { preJoinState } from '#src/sync/engine/stripped.ts';
import type { SyncPorts } from '#src/sync/ports.ts';
import { createEventStream } from '#src/sync/v1/event-stream.ts';
import { firstVersionRoutes } from '#src/sync/v1/routes.ts';
import { createSnapshots } from '#src/sync/v1/snapshots.ts';
import { createAnswers } from '#src/sync/v3/answer.ts';
import { createResponseCache } from '#src/sync/v3/response-cache.ts';
import { syncRoutes } from '#src/sync/v3/routes.ts';
import { createSyncService } from '#src/sync/v3/service.ts';

export type {
  ByRoom,
  Counts,
  DeviceKeys,
  DeviceListSource,
  LostTime,
  PresenceState,
  RoomCounts,
  RoomMoves,
  SmallEvent,
  Span,
  SyncPorts,
  SyncSource,
  SyncStream,
  ToDeviceSource,
  UnreadCounts,
  Wake,
} from '#src/sync/ports.ts';

export { parseToken } from '#src/sync/token.ts';

export interface Sync {
  readonly routes: readonly Route[];
  /** Stops following the streams. */
  close(): void;
}

export interface SyncTools {
  readonly database: Database;
  readonly strings: Strings;
  readonly clock: Clock;
  readonly graph: RoomGraph;
  readonly history: {
    readonly visibility: Visibility;
    readonly presenter: Presenter;
    readonly replacedState: ReplacedState;
    readonly access: ReadAccess;
    readonly reading: ReadHistory;
    readonly siftRelated: SiftRelated;
  };
  readonly access: Pick<AccountAccess, 'guest' | 'user'>;
  readonly filters: Pick<Filters, 'get' | 'parse'>;
  readonly ignoredUsers: IgnoredUsers;
  readonly config: Pick<Config, 'exclude_rooms_from_sync' | 'caches' | 'room_prejoin_state' | 'room_invite_state_types'>;
  readonly ports: SyncPorts;
  /** Those of some rooms that are on the server's list. */
  readonly published: (roomNums: readonly number[]) => Promise<ReadonlySet<number>>;
}

/** What clients poll: the reading of all streams for one user, and its presentations. */
export const createSync = async (tools: SyncTools): Promise<Sync> => {
  const { database, strings, clock, graph, history, access, filters, ignoredUsers, config, ports } = tools;
  const notifier = createNotifier();
  const audience = createAudience({ database, graph, clock, notifier });
  const engine = await createEngine({
    database,
    strings,
    graph,
    audience,
    visibility: history.visibility,
    siftRelated: history.siftRelated,
    replacedState: history.replacedState,
    ignoredUsers,
    excludedRooms: new Set(config.exclude_rooms_from_sync),
    preJoinState: preJoinState(config),
  });
  for (const source of [...ports.sources, ports.toDevice, ports.deviceLists]) source?.follow(audience);
  const service = createSyncService({
    clock,
    notifier,
    cache: createResponseCache(clock, config.caches.sync_response_cache_duration),
    answer: createAnswers({ engine, presenter: history.presenter, ports }),
  });
  const { presenter, visibility } = history;
  const eventStream = createEventStream({ clock, notifier, audience, engine, graph, visibility, presenter, filters, ports });
  const snapshots = createSnapshots({ ...tools, audience, engine, presenter });
  return {
    routes: [
      ...syncRoutes({ access, filters, service, seen: ports.seen }),
      ...firstVersionRoutes({ access, eventStream, snapshots, seen: ports.seen }),
    ],
    close: audience.stop,
  };
};
