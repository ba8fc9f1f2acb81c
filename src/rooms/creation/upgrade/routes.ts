import { Type } from '#src/platform/schema.ts';
import type { AccountAccess } from '#src/accounts/index.ts';
import { client, route, UNSTABLE_TOO } from '#src/platform/http/route.ts';
import type { Route } from '#src/platform/http/route.ts';
import type { Upgrades } from '#src/rooms/creation/upgrade/service.ts';

/** `POST /rooms/{roomId}/upgrade` (client-server API, "Room Upgrades"). */
export const upgradeRoutes = ({ access, upgrades }: { access: Pick<AccountAccess, 'user'>; upgrades: Upgrades }): Route[] => [
  route({
    method: 'POST',
    path: client('/rooms/:roomId/upgrade', UNSTABLE_TOO),
    access: access.user,
    body: Type.Object({ new_version: Type.String(), additional_creators: Type.Optional(Type.Unknown()) }),
    handle: async ({ caller, params, body }) => ({ replacement_room: await upgrades.upgrade(caller, params.roomId, body) }),
  }),
];
