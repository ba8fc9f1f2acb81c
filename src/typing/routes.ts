import { Type } from '#src/platform/schema.ts';
import type { AccountAccess } from '#src/accounts/index.ts';
import { client, route, type Route } from '#src/platform/http/route.ts';
import type { Typing } from '#src/typing/service.ts';

const DEFAULT_TIMEOUT_MS = 30_000;

/** Client-server API, "Typing Notifications". */
export const typingRoutes = ({ access, typing }: { access: Pick<AccountAccess, 'user'>; typing: Typing }): Route[] => [
  route({
    method: 'PUT',
    path: client('/rooms/:roomId/typing/:userId', ['v3', 'r0', 'api/v1', 'unstable']),
    access: access.user,
    body: Type.Object({ typing: Type.Boolean(), timeout: Type.Optional(Type.Number()) }),
    handle: async ({ caller, params, body }) => {
      await typing.set(caller, params.roomId, params.userId, body.typing, body.timeout ?? DEFAULT_TIMEOUT_MS);
      return {};
    },
  }),
];
