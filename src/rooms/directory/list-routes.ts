import type { AccountAccess } from '#src/accounts/index.ts';
import { client, route, type Route } from '#src/platform/http/route.ts';
import { Type } from '#src/platform/schema.ts';
import { invalidParam, notFound } from '#src/protocol/errors.ts';
import type { PublicRooms } from '#src/rooms/directory/public-rooms.ts';

const PATH = client('/publicRooms', ['v3', 'r0', 'api/v1', 'unstable']);
const MAX_LIMIT = 100;

const OrNull = Type.Null();
const ServerQuery = Type.Object({ server: Type.Optional(Type.String()) });
const ListQuery = Type.Object({
  server: Type.Optional(Type.String()),
  limit: Type.Optional(Type.Integer()),
  since: Type.Optional(Type.String()),
});
const SearchBody = Type.Optional(
  Type.Object({
    limit: Type.Optional(Type.Integer()),
    since: Type.Optional(Type.Union([Type.String(), OrNull])),
    filter: Type.Optional(
      Type.Union([
        Type.Object({
          generic_search_term: Type.Optional(Type.Union([Type.String(), OrNull])),
          room_types: Type.Optional(Type.Union([Type.Array(Type.Union([Type.String(), OrNull])), OrNull])),
        }),
        OrNull,
      ]),
    ),
    include_all_networks: Type.Optional(Type.Boolean()),
    third_party_instance_id: Type.Optional(Type.Union([Type.String(), OrNull])),
  }),
);

/** 0 is as good as none. */
const limitOf = (limit = 0): number => {
  if (limit < 0) throw invalidParam("'limit' must be a positive integer");
  return limit === 0 ? MAX_LIMIT : Math.min(limit, MAX_LIMIT);
};

const orNone = <T>(value: T | '' | null | undefined): T | undefined => (value === '' || value === null ? undefined : value);

/** Finding rooms (client-server API, "Published room directory"). */
export const publicRoomsRoutes = ({
  access,
  publicRooms,
  serverName,
}: {
  access: AccountAccess;
  publicRooms: PublicRooms;
  serverName: string;
}): Route[] => {
  const checkServer = (server: string | undefined): void => {
    if (server !== undefined && server !== serverName) {
      throw notFound(`The rooms of ${server} cannot be listed: this server does not reach other servers`);
    }
  };
  return [
    route({
      method: 'GET',
      path: PATH,
      access: access.guest,
      query: ListQuery,
      handle: async ({ query }) => {
        checkServer(query.server);
        return publicRooms.list({ limit: limitOf(query.limit), since: orNone(query.since), term: undefined, types: undefined });
      },
    }),
    route({
      method: 'POST',
      path: PATH,
      access: access.guest,
      query: ServerQuery,
      body: SearchBody,
      handle: async ({ query, body }) => {
        checkServer(query.server);
        const { generic_search_term: term, room_types: types } = body.filter ?? {};
        const wanted = { limit: limitOf(body.limit), since: orNone(body.since), term: orNone(term) };
        // There are no bridged networks whose rooms could be listed.
        if (orNone(body.third_party_instance_id) !== undefined) return { chunk: [], total_room_count_estimate: 0 };
        const typeSet =
          types === undefined || types === null || types.length === 0 ? undefined : new Set(types.map((type) => type ?? undefined));
        return publicRooms.list({ ...wanted, types: typeSet });
      },
    }),
  ];
};
