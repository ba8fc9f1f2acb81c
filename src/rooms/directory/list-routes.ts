import type { AccountAccess } from '#src/accounts/index.ts';
import { client, route, type Route } from '#src/platform/http/route.ts';
import { type Static, Type } from '#src/platform/schema.ts';
import { invalidParam } from '#src/protocol/errors.ts';
import { isServerName } from '#src/protocol/identifiers.ts';
import type { PublicRooms, PublicRoomsQuery } from '#src/rooms/directory/public-rooms.ts';
import type { RemoteDirectory } from '#src/rooms/directory/remote.ts';

const PATH = client('/publicRooms', ['v3', 'r0', 'api/v1', 'unstable']);
const MAX_LIMIT = 100;

const OrNull = Type.Null();
const ServerQuery = Type.Object({ server: Type.Optional(Type.String()) });

/** How the list is asked for by `GET`, of clients and of servers. */
export const PublicRoomsList = Type.Object({
  server: Type.Optional(Type.String()),
  limit: Type.Optional(Type.Integer()),
  since: Type.Optional(Type.String()),
});

/** How it is searched by `POST`. */
export const PublicRoomsSearch = Type.Optional(
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

type Asked = Static<typeof PublicRoomsList> | Static<typeof PublicRoomsSearch>;

/** What a request for the list asks for. Throws `M_INVALID_PARAM` for a limit below 0. */
export const publicRoomsQuery = (asked: Asked): PublicRoomsQuery => {
  const { generic_search_term: term, room_types: types } = ('filter' in asked ? asked.filter : undefined) ?? {};
  return {
    limit: limitOf(asked.limit),
    since: orNone(asked.since),
    term: orNone(term),
    types: types === undefined || types === null || types.length === 0 ? undefined : new Set(types.map((type) => type ?? undefined)),
  };
};

/** Finding rooms (client-server API, "Published room directory"). */
export const publicRoomsRoutes = ({
  access,
  publicRooms,
  remote,
  serverName,
}: {
  access: AccountAccess;
  publicRooms: PublicRooms;
  remote: RemoteDirectory;
  serverName: string;
}): Route[] => {
  const listOf = (server: string | undefined, query: PublicRoomsQuery): Promise<object> => {
    if (server === undefined || server === serverName) return publicRooms.list(query);
    if (!isServerName(server)) throw invalidParam(`${server} is not a server name`);
    return remote.publicRooms(server, { ...query, types: query.types && [...query.types].map((type) => type ?? null) });
  };
  return [
    route({
      method: 'GET',
      path: PATH,
      access: access.guest,
      query: PublicRoomsList,
      handle: ({ query }) => listOf(query.server, publicRoomsQuery(query)),
    }),
    route({
      method: 'POST',
      path: PATH,
      access: access.guest,
      query: ServerQuery,
      body: PublicRoomsSearch,
      handle: async ({ query, body }) => {
        const wanted = publicRoomsQuery(body);
        // There are no bridged networks whose rooms could be listed.
        if (orNone(body.third_party_instance_id) !== undefined) return { chunk: [], total_room_count_estimate: 0 };
        return listOf(query.server, wanted);
      },
    }),
  ];
};
