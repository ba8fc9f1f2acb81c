import type { Config } from '#src/platform/config/index.ts';
import { anyone, route, type Access, type Route } from '#src/platform/http/route.ts';
import { Type } from '#src/platform/schema.ts';
import type { Profiles } from '#src/profiles/index.ts';
import { forbidden, invalidParam, notFound, unknown } from '#src/protocol/errors.ts';
import { domainOf, isRoomAlias, isUserId } from '#src/protocol/identifiers.ts';
import { type Directory, PublicRoomsList, publicRoomsQuery, PublicRoomsSearch, type PublicRooms } from '#src/rooms/directory/index.ts';
import type { Peer } from '#src/federation/access.ts';
import { federationDenied } from '#src/federation/faults.ts';
import { federationPath } from '#src/federation/paths.ts';

/** What other servers may ask about this one, its users and its rooms (server-server API, Queries and Public Room Directory). */
export const queryRoutes = ({
  peer,
  profiles,
  directory,
  publicRooms,
  config,
  version,
}: {
  peer: Access<Peer>;
  profiles: Pick<Profiles, 'all' | 'field'>;
  directory: Pick<Directory, 'resolve'>;
  publicRooms: PublicRooms;
  config: Pick<Config, 'server_name' | 'allow_profile_lookup_over_federation' | 'allow_public_rooms_over_federation'>;
  version: string;
}): Route[] => {
  const { server_name: serverName } = config;

  const checkMayList = ({ origin }: Peer): void => {
    if (!config.allow_public_rooms_over_federation) throw federationDenied(origin);
  };

  return [
    route({
      method: 'GET',
      path: federationPath('v1', '/version'),
      access: anyone,
      handle: () => Promise.resolve({ server: { name: 'Myelin', version } }),
    }),
    route({
      method: 'GET',
      path: federationPath('v1', '/query/profile'),
      access: peer,
      query: Type.Object({ user_id: Type.String(), field: Type.Optional(Type.String()) }),
      handle: async ({ query: { user_id: userId, field } }) => {
        if (!config.allow_profile_lookup_over_federation) throw forbidden('Profile lookup over federation is disabled on this homeserver');
        if (!isUserId(userId)) throw invalidParam('Invalid user id');
        if (domainOf(userId) !== serverName) throw unknown('User is not hosted on this homeserver');
        return field === undefined ? profiles.all(userId) : profiles.field(userId, field);
      },
    }),
    route({
      method: 'GET',
      path: federationPath('v1', '/query/directory'),
      access: peer,
      query: Type.Object({ room_alias: Type.String() }),
      handle: async ({ query: { room_alias: alias } }) => {
        if (!isRoomAlias(alias)) throw invalidParam('Room alias invalid');
        if (domainOf(alias) !== serverName) throw unknown('Room Alias is not hosted on this homeserver');
        const room = await directory.resolve(alias);
        if (room === undefined) throw notFound(`Room alias ${alias} not found`);
        return { room_id: room.roomId, servers: [serverName] };
      },
    }),
    route({
      method: 'GET',
      path: federationPath('v1', '/publicRooms'),
      access: peer,
      query: PublicRoomsList,
      handle: async ({ caller, query }) => {
        checkMayList(caller);
        return publicRooms.list(publicRoomsQuery(query));
      },
    }),
    route({
      method: 'POST',
      path: federationPath('v1', '/publicRooms'),
      access: peer,
      body: PublicRoomsSearch,
      handle: async ({ caller, body }) => {
        checkMayList(caller);
        return publicRooms.list(publicRoomsQuery(body));
      },
    }),
  ];
};
