import { Type } from '#src/platform/schema.ts';
import type { AccountAccess } from '#src/accounts/index.ts';
import { SINCE_V1, anyone, client, route } from '#src/platform/http/route.ts';
import type { Route } from '#src/platform/http/route.ts';
import { invalidParam, notFound } from '#src/protocol/errors.ts';
import { domainOf, isRoomAlias } from '#src/protocol/identifiers.ts';
import type { RemoteDirectory } from '#src/rooms/directory/remote.ts';
import type { Directory } from '#src/rooms/directory/service.ts';

const ALIAS = client('/directory/room/:roomAlias', SINCE_V1);
const LISTING = client('/directory/list/room/:roomId', SINCE_V1);

const AliasBody = Type.Object({ room_id: Type.String(), servers: Type.Optional(Type.Array(Type.String())) });
const VisibilityBody = Type.Optional(
  Type.Object({ visibility: Type.Optional(Type.Union([Type.Literal('public'), Type.Literal('private')])) }),
);

/** Room aliases and the visibility of rooms (client-server API, "Room aliases" and "Published room directory"). */
export const directoryRoutes = ({
  access,
  directory,
  remote,
  serverName,
}: {
  access: AccountAccess;
  directory: Directory;
  remote: RemoteDirectory;
  serverName: string;
}): Route[] => [
  route({
    method: 'GET',
    path: ALIAS,
    access: anyone,
    handle: async ({ params: { roomAlias } }) => {
      if (!isRoomAlias(roomAlias)) throw invalidParam('Room alias invalid');
      if (domainOf(roomAlias) !== serverName) {
        const found = await remote.alias(roomAlias);
        if (found === undefined) throw notFound(`Room alias ${roomAlias} not found`);
        return { room_id: found.roomId, servers: found.servers };
      }
      const room = await directory.resolve(roomAlias);
      if (room === undefined) throw notFound(`Room alias ${roomAlias} not found`);
      return { room_id: room.roomId, servers: [serverName] };
    },
  }),
  route({
    method: 'PUT',
    path: ALIAS,
    access: access.user,
    body: AliasBody,
    handle: async ({ caller, params, body }) => {
      await directory.createAlias(caller, params.roomAlias, body.room_id);
      return {};
    },
  }),
  route({
    method: 'DELETE',
    path: ALIAS,
    access: access.user,
    handle: async ({ caller, params }) => {
      await directory.removeAlias(caller, params.roomAlias);
      return {};
    },
  }),
  route({
    method: 'GET',
    path: client('/rooms/:roomId/aliases', ['v3', 'r0', 'unstable/org.matrix.msc2432']),
    access: access.user,
    handle: async ({ caller, params }) => ({ aliases: await directory.aliasesFor(caller, params.roomId) }),
  }),
  route({
    method: 'GET',
    path: LISTING,
    access: anyone,
    handle: async ({ params }) => ({ visibility: await directory.visibility(params.roomId) }),
  }),
  route({
    method: 'PUT',
    path: LISTING,
    access: access.user,
    body: VisibilityBody,
    handle: async ({ caller, params, body }) => {
      await directory.setVisibility(caller, params.roomId, body?.visibility ?? 'public');
      return {};
    },
  }),
];
