import type { AccountAccess } from '#src/accounts/index.ts';
import { client, RawJson, route, SINCE_V1, type Route } from '#src/platform/http/route.ts';
import { type Static, Type } from '#src/platform/schema.ts';
import type { Criteria, Search } from '#src/search/service.ts';
import { SEARCH_KEYS } from '#src/search/texts.ts';

const Context = Type.Object({
  before_limit: Type.Optional(Type.Integer()),
  after_limit: Type.Optional(Type.Integer()),
  include_profile: Type.Optional(Type.Boolean()),
});
const RoomEvents = Type.Object({
  search_term: Type.String(),
  keys: Type.Optional(Type.Array(Type.Union([Type.Literal('content.body'), Type.Literal('content.name'), Type.Literal('content.topic')]))),
  filter: Type.Optional(Type.Object({})),
  order_by: Type.Optional(Type.Union([Type.Literal('rank'), Type.Literal('recent')])),
  event_context: Type.Optional(Type.Union([Context, Type.Null()])),
  include_state: Type.Optional(Type.Boolean()),
  groupings: Type.Optional(
    Type.Object({
      group_by: Type.Optional(Type.Array(Type.Object({ key: Type.Union([Type.Literal('room_id'), Type.Literal('sender')]) }))),
    }),
  ),
});
const SearchBody = Type.Object({ search_categories: Type.Object({ room_events: Type.Optional(RoomEvents) }) });
const SearchParameters = Type.Object({ next_batch: Type.Optional(Type.String()) });

const DEFAULT_BESIDE = 5;
const MAX_BESIDE = 100;

const besideOf = (limit = DEFAULT_BESIDE): number => Math.max(0, Math.min(limit, MAX_BESIDE));

const criteriaOf = (body: Static<typeof RoomEvents>): Criteria => {
  const { event_context: context, groupings } = body;
  return {
    term: body.search_term,
    keys: body.keys ?? SEARCH_KEYS,
    filter: body.filter ?? {},
    orderBy: body.order_by ?? 'rank',
    context:
      context === undefined || context === null
        ? undefined
        : {
            before: besideOf(context.before_limit),
            after: besideOf(context.after_limit),
            withProfiles: context.include_profile ?? false,
          },
    withState: body.include_state ?? false,
    groups: new Set(groupings?.group_by?.map(({ key }) => key)),
  };
};

/** Searching messages (client-server API, "Server Side Search"). */
export const searchRoutes = ({ access, search }: { access: AccountAccess; search: Search }): Route[] => [
  route({
    method: 'POST',
    path: client('/search', SINCE_V1),
    access: access.user,
    query: SearchParameters,
    body: SearchBody,
    handle: async ({ caller, query, body }) => {
      const { room_events: wanted } = body.search_categories;
      // There is no other category.
      if (wanted === undefined) return { search_categories: {} };
      return new RawJson(await search.search(caller, criteriaOf(wanted), query.next_batch));
    },
  }),
];
