import type { AccountAccess, Requester } from '#src/accounts/index.ts';
import type { Clock } from '#src/platform/clock.ts';
import { createRateLimiter } from '#src/platform/http/rate-limits.ts';
import { type Access, client, route, type Route } from '#src/platform/http/route.ts';
import { Type } from '#src/platform/schema.ts';
import { invalidParam, MatrixError } from '#src/protocol/errors.ts';
import type { Hierarchy } from '#src/spaces/hierarchy.ts';

export interface SpaceRouteTools {
  readonly access: Pick<AccountAccess, 'guest'>;
  readonly clock: Clock;
  readonly hierarchy: Hierarchy;
  /** A room's id, and servers that know it, by its id or an alias of any server. Throws `notFound`, `invalidParam`. */
  readonly locate: (roomIdOrAlias: string) => Promise<{ readonly roomId: string; readonly servers: readonly string[] }>;
}

/** A walk may ask many servers. Synapse's numbers, which no key of the configuration changes. */
const WALKS = { per_second: 5, burst_count: 10 };

/** Whoever has a token, and also those who have none. */
const anybody = (access: Access<Requester>): Access<Requester | undefined> => ({
  identify: async (request) => {
    try {
      return await access.identify(request);
    } catch (error) {
      if (error instanceof MatrixError && error.errcode === 'M_MISSING_TOKEN') return undefined;
      throw error;
    }
  },
});

const Via = Type.Optional(Type.Union([Type.String(), Type.Array(Type.String())]));
const listOf = (via: string | readonly string[] | undefined): readonly string[] => [via ?? []].flat();

const HierarchyQuery = Type.Object({
  suggested_only: Type.Optional(Type.Boolean()),
  max_depth: Type.Optional(Type.Integer()),
  limit: Type.Optional(Type.Integer()),
  from: Type.Optional(Type.String()),
  via: Via,
});

/** What is in spaces, and what rooms are before one has entered them. */
export const spaceRoutes = ({ access, clock, hierarchy, locate }: SpaceRouteTools): Route[] => {
  const limiter = createRateLimiter({ clock, key: 'spaces', settings: WALKS });

  const summary = (
    template: '/room_summary/:roomIdOrAlias' | '/summary/:roomIdOrAlias' | '/rooms/:roomIdOrAlias/summary',
    version: string,
  ): Route =>
    route({
      method: 'GET',
      path: client(template, [version]),
      access: anybody(access.guest),
      limit: limiter.by((caller, { ip }) => caller?.userId ?? ip),
      query: Type.Object({ via: Via }),
      handle: async ({ caller, params, query }) => {
        const { roomId, servers } = await locate(params.roomIdOrAlias);
        return hierarchy.summary(caller, roomId, [...listOf(query.via), ...servers]);
      },
    });

  return [
    route({
      method: 'GET',
      path: client('/rooms/:roomId/hierarchy', ['v1']),
      access: access.guest,
      limit: limiter.by(({ userId }) => userId),
      query: HierarchyQuery,
      handle: async ({ caller, params, query }) => {
        const { max_depth: maxDepth, limit, from } = query;
        if (maxDepth !== undefined && maxDepth < 0) throw invalidParam("'max_depth' must be a non-negative integer");
        if (limit !== undefined && limit <= 0) throw invalidParam("'limit' must be a positive integer");
        return hierarchy.walk(caller, params.roomId, {
          suggestedOnly: query.suggested_only ?? false,
          maxDepth,
          limit,
          from,
          via: listOf(query.via),
        });
      },
    }),
    summary('/room_summary/:roomIdOrAlias', 'v1'),
    summary('/summary/:roomIdOrAlias', 'unstable/im.nheko.summary'),
    summary('/rooms/:roomIdOrAlias/summary', 'unstable/im.nheko.summary'),
  ];
};
