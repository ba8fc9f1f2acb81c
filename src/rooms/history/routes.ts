import { Type } from '#src/platform/schema.ts';
import type { AccountAccess } from '#src/accounts/index.ts';
import { SINCE_V1, client, RawJson, route, type Route } from '#src/platform/http/route.ts';
import { invalidParam } from '#src/protocol/errors.ts';
import type { FindByTime } from '#src/rooms/history/by-time.ts';
import type { ParseFilter } from '#src/rooms/history/filter.ts';
import type { Pagination } from '#src/rooms/history/pagination.ts';
import { RECURSION_DEPTH, type Relations } from '#src/rooms/history/relations.ts';
import type { StateReader } from '#src/rooms/history/state-reader.ts';
import { formatThreadsToken, type HistoryToken, parseHistoryToken, parseThreadsToken } from '#src/rooms/history/tokens.ts';

const DEFAULT_LIMIT = 10;
const DEFAULT_RELATIONS = 5;
const MAX_LIMIT = 1000;

const limitOf = (limit = DEFAULT_LIMIT): number => {
  if (limit < 0) throw invalidParam("'limit' parameter must be a positive integer");
  return Math.min(limit, MAX_LIMIT);
};

/** `END` was a token once and means the end. */
const tokenOf = (text: string | undefined, name: string): HistoryToken | undefined =>
  text === undefined || text === 'END' ? undefined : parseHistoryToken(text, name);

const array = (texts: readonly string[]): string => `[${texts.join(',')}]`;

export interface HistoryRouteTools {
  readonly access: Pick<AccountAccess, 'guest' | 'user'>;
  readonly pagination: Pagination;
  readonly stateReader: StateReader;
  readonly relations: Relations;
  readonly findByTime: FindByTime;
  readonly parseFilter: ParseFilter;
}

const pageRoutes = ({ access, pagination, parseFilter }: HistoryRouteTools): Route[] => [
  route({
    method: 'GET',
    path: client('/rooms/:roomId/messages', SINCE_V1),
    access: access.guest,
    query: Type.Object({
      from: Type.Optional(Type.String()),
      to: Type.Optional(Type.String()),
      dir: Type.Optional(Type.Union([Type.Literal('b'), Type.Literal('f')])),
      limit: Type.Optional(Type.Integer()),
      filter: Type.Optional(Type.String()),
    }),
    handle: async ({ caller, params, query }) => {
      const from = tokenOf(query.from, 'from');
      const page = await pagination.messages(caller, params.roomId, {
        from,
        fromText: from && query.from,
        to: tokenOf(query.to, 'to'),
        direction: query.dir ?? 'f',
        limit: limitOf(query.limit),
        filter: query.filter === undefined ? undefined : await parseFilter(query.filter),
      });
      const end = page.end === undefined ? '' : `,"end":${JSON.stringify(page.end)}`;
      const state = page.state.length === 0 ? '' : `,"state":${array(page.state)}`;
      return new RawJson(`{"start":${JSON.stringify(page.start)}${end},"chunk":${array(page.chunk)}${state}}`);
    },
  }),
  route({
    method: 'GET',
    path: client('/rooms/:roomId/context/:eventId', SINCE_V1),
    access: access.guest,
    query: Type.Object({ limit: Type.Optional(Type.Integer()), filter: Type.Optional(Type.String()) }),
    handle: async ({ caller, params, query }) => {
      const filter = query.filter === undefined ? undefined : await parseFilter(query.filter);
      const found = await pagination.context(caller, params.roomId, params.eventId, limitOf(query.limit), filter);
      return new RawJson(
        `{"start":"${found.start}","end":"${found.end}","event":${found.event},"events_before":${array(found.eventsBefore)},` +
          `"events_after":${array(found.eventsAfter)},"state":${array(found.state)}}`,
      );
    },
  }),
  route({
    method: 'GET',
    path: client('/rooms/:roomId/event/:eventId', SINCE_V1),
    access: access.guest,
    handle: async ({ caller, params }) => new RawJson(await pagination.event(caller, params.roomId, params.eventId)),
  }),
  route({
    method: 'GET',
    path: client('/events/:eventId', SINCE_V1),
    access: access.user,
    handle: async ({ caller, params }) => new RawJson(await pagination.eventAnywhere(caller, params.eventId)),
  }),
];

/** The state key may be missing, and the slash before it too. */
const stateEventRoutes = ({ access, stateReader }: HistoryRouteTools): Route[] =>
  (['/rooms/:roomId/state/:eventType', '/rooms/:roomId/state/:eventType/', '/rooms/:roomId/state/:eventType/:stateKey'] as const).map(
    (path) =>
      route({
        method: 'GET',
        path: client(path, SINCE_V1),
        access: access.guest,
        query: Type.Object({ format: Type.Optional(Type.Union([Type.Literal('content'), Type.Literal('event')])) }),
        handle: async ({ caller, params, query }) => {
          const { roomId, eventType, stateKey = '' } = params as { roomId: string; eventType: string; stateKey?: string };
          return new RawJson(await stateReader.stateEvent(caller, roomId, eventType, stateKey, query.format === 'event'));
        },
      }),
  );

const memberRoutes = ({ access, stateReader }: HistoryRouteTools): Route[] => [
  route({
    method: 'GET',
    path: client('/rooms/:roomId/members', SINCE_V1),
    access: access.guest,
    query: Type.Object({
      at: Type.Optional(Type.String()),
      membership: Type.Optional(Type.String()),
      not_membership: Type.Optional(Type.String()),
    }),
    handle: async ({ caller, params, query }) => {
      const members = await stateReader.memberEvents(caller, params.roomId, {
        at: tokenOf(query.at, 'at'),
        membership: query.membership,
        notMembership: query.not_membership,
      });
      return new RawJson(`{"chunk":${array(members)}}`);
    },
  }),
  route({
    method: 'GET',
    path: client('/rooms/:roomId/joined_members', SINCE_V1),
    access: access.user,
    handle: async ({ caller, params }) => ({ joined: await stateReader.joinedMembers(caller, params.roomId) }),
  }),
];

/** The relation type and the event type may be missing. */
const relationRoutes = ({ access, relations }: HistoryRouteTools): Route[] =>
  (
    [
      '/rooms/:roomId/relations/:eventId',
      '/rooms/:roomId/relations/:eventId/:relType',
      '/rooms/:roomId/relations/:eventId/:relType/:eventType',
    ] as const
  ).map((path) =>
    route({
      method: 'GET',
      path: client(path, ['v1', 'unstable']),
      access: access.guest,
      query: Type.Object({
        from: Type.Optional(Type.String()),
        to: Type.Optional(Type.String()),
        dir: Type.Optional(Type.Union([Type.Literal('b'), Type.Literal('f')])),
        limit: Type.Optional(Type.Integer()),
        recurse: Type.Optional(Type.Boolean()),
        'org.matrix.msc3981.recurse': Type.Optional(Type.Boolean()),
      }),
      handle: async ({ caller, params, query, request }) => {
        const { roomId, eventId, relType, eventType } = params as { roomId: string; eventId: string; relType?: string; eventType?: string };
        const recurse = query.recurse ?? query['org.matrix.msc3981.recurse'] ?? false;
        const { chunk, next, original } = await relations.page(caller, roomId, {
          eventId,
          relationType: relType,
          eventType,
          from: tokenOf(query.from, 'from'),
          to: tokenOf(query.to, 'to'),
          direction: query.dir ?? 'b',
          limit: limitOf(query.limit ?? DEFAULT_RELATIONS),
          recurse,
        });
        const members = [`"chunk":${array(chunk)}`];
        if (next !== undefined) members.push(`"next_batch":${JSON.stringify(next)}`);
        if (query.from !== undefined) members.push(`"prev_batch":${JSON.stringify(query.from)}`);
        if (recurse) members.push(`"recursion_depth":${String(RECURSION_DEPTH)}`);
        // Clients of the unstable path expect it there.
        if (request.url.startsWith('/_matrix/client/unstable/')) members.push(`"original_event":${original}`);
        return new RawJson(`{${members.join(',')}}`);
      },
    }),
  );

const threadsRoute = ({ access, relations }: HistoryRouteTools): Route =>
  route({
    method: 'GET',
    path: client('/rooms/:roomId/threads', ['v1']),
    access: access.user,
    query: Type.Object({
      from: Type.Optional(Type.String()),
      include: Type.Optional(Type.Union([Type.Literal('all'), Type.Literal('participated')])),
      limit: Type.Optional(Type.Integer()),
    }),
    handle: async ({ caller, params, query }) => {
      const { chunk, next } = await relations.threads(caller, params.roomId, {
        from: query.from === undefined ? undefined : parseThreadsToken(query.from),
        limit: limitOf(query.limit ?? DEFAULT_RELATIONS),
        onlyParticipated: query.include === 'participated',
      });
      return new RawJson(`{"chunk":${array(chunk)}${next === undefined ? '' : `,"next_batch":"${formatThreadsToken(next)}"`}}`);
    },
  });

const byTimeRoute = ({ access, findByTime }: HistoryRouteTools): Route =>
  route({
    method: 'GET',
    path: client('/rooms/:roomId/timestamp_to_event', ['v1']),
    access: access.user,
    query: Type.Object({
      ts: Type.Integer({ minimum: 0 }),
      dir: Type.Optional(Type.Union([Type.Literal('b'), Type.Literal('f')])),
    }),
    handle: async ({ caller, params, query }) => findByTime(caller, params.roomId, { ts: query.ts, direction: query.dir ?? 'f' }),
  });

/** Reading rooms (client-server API, "Getting events for a room"). */
export const historyRoutes = (tools: HistoryRouteTools): Route[] => [
  ...pageRoutes(tools),
  route({
    method: 'GET',
    path: client('/rooms/:roomId/state', SINCE_V1),
    access: tools.access.guest,
    handle: async ({ caller, params }) => new RawJson(array(await tools.stateReader.state(caller, params.roomId))),
  }),
  ...stateEventRoutes(tools),
  ...memberRoutes(tools),
  ...relationRoutes(tools),
  threadsRoute(tools),
  byTimeRoute(tools),
];
