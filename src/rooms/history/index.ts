import type { AccountAccess, ErasedUsers } from '#src/accounts/index.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Route } from '#src/platform/http/route.ts';
import type { RoomGraph } from '#src/rooms/graph/index.ts';
import { createReadAccess, type ReadAccess } from '#src/rooms/history/access.ts';
import { createBundles } from '#src/rooms/history/bundles.ts';
import { createFindByTime, type FetchByTime } from '#src/rooms/history/by-time.ts';
import type { ParseFilter } from '#src/rooms/history/filter.ts';
import type { FillGaps } from '#src/rooms/history/gaps.ts';
import { createPagination, type Pagination } from '#src/rooms/history/pagination.ts';
import { createPointOf } from '#src/rooms/history/points.ts';
import { createPresenter, type Presenter, type TransactionIdOf } from '#src/rooms/history/presenter.ts';
import { createRelations, type SiftRelated } from '#src/rooms/history/relations.ts';
import { createReplacedState, type ReplacedState } from '#src/rooms/history/replaced-state.ts';
import { historyRoutes } from '#src/rooms/history/routes.ts';
import { createStateReader, type StateReader } from '#src/rooms/history/state-reader.ts';
import { createVisibility, type IgnoredUsers, type Visibility } from '#src/rooms/history/visibility.ts';

export { eventAtTime, nearestEvent } from '#src/rooms/history/by-time.ts';
export type { EventAtTime, FetchByTime, Moment } from '#src/rooms/history/by-time.ts';
export { shownPdu } from '#src/rooms/history/client-event.ts';
export type { EventFormat } from '#src/rooms/history/client-event.ts';
export type { ReadAccess, Reading } from '#src/rooms/history/access.ts';
export type { EventFilter, ParseFilter } from '#src/rooms/history/filter.ts';
export type { DepthSpan, FillGaps, Filling } from '#src/rooms/history/gaps.ts';
export type { Presenter, RoomReader, Shown, TransactionIdOf } from '#src/rooms/history/presenter.ts';
export type { SiftRelated } from '#src/rooms/history/relations.ts';
export type { ReplacedState } from '#src/rooms/history/replaced-state.ts';
export type { IgnoredUsers, Visibility } from '#src/rooms/history/visibility.ts';

/** A room's events and its state for those who may read them, as JSON texts, and what stands beside an event. */
export type ReadHistory = Pick<Pagination, 'messages' | 'around'> & Pick<StateReader, 'state'>;

/** Reading what happened in rooms: what a reader may see, and how it is written. */
export interface History {
  readonly visibility: Visibility;
  readonly presenter: Presenter;
  readonly replacedState: ReplacedState;
  readonly access: ReadAccess;
  readonly reading: ReadHistory;
  readonly siftRelated: SiftRelated;
  /** From now on what is missing where somebody reads is asked for in this way; until then it stays missing. */
  fillGapsBy(fill: FillGaps): void;
  /** The same where somebody jumps to a moment that lies where something is missing. */
  fetchMomentsBy(fetch: FetchByTime): void;
  readonly routes: readonly Route[];
}

export interface HistoryTools {
  readonly database: Pick<Database, 'read'>;
  readonly graph: RoomGraph;
  readonly clock: Clock;
  readonly access: Pick<AccountAccess, 'guest' | 'user'>;
  readonly transactionIdOf: TransactionIdOf;
  readonly ignoredUsers: IgnoredUsers;
  readonly erasedUsers: Pick<ErasedUsers, 'has'>;
  readonly parseFilter: ParseFilter;
}

export const createHistory = (tools: HistoryTools): History => {
  const { graph, access, ignoredUsers, parseFilter } = tools;
  const replacedState = createReplacedState(graph);
  const visibility = createVisibility({ ...tools, replacedState });
  const readBundles = createBundles({ ...tools, events: graph.events, visibility, ignoredUsers });
  const presenter = createPresenter({ ...tools, events: graph.events, replacedState, readBundles });
  const readAccess = createReadAccess(graph, visibility);
  const stateReader = createStateReader({ graph, access: readAccess, visibility, presenter });
  const pointOf = createPointOf(graph);
  const relations = createRelations({ ...tools, access: readAccess, visibility, presenter, readBundles, pointOf });
  const { siftRelated } = relations;
  let fillGaps: FillGaps = async () => Promise.resolve('whole');
  let fetchByTime: FetchByTime = async () => Promise.resolve(false);
  const pagination = createPagination({
    graph,
    clock: tools.clock,
    access: readAccess,
    visibility,
    presenter,
    stateReader,
    pointOf,
    siftRelated,
    fillGaps: async (...asked) => fillGaps(...asked),
  });
  return {
    visibility,
    presenter,
    replacedState,
    access: readAccess,
    reading: { messages: pagination.messages, around: pagination.around, state: stateReader.state },
    siftRelated,
    fillGapsBy: (fill) => {
      fillGaps = fill;
    },
    fetchMomentsBy: (fetch) => {
      fetchByTime = fetch;
    },
    routes: historyRoutes({
      access,
      pagination,
      stateReader,
      relations,
      findByTime: createFindByTime({ graph, access: readAccess, visibility, fetchByTime: async (...asked) => fetchByTime(...asked) }),
      parseFilter,
    }),
  };
};
