import { Type } from '#src/platform/schema.ts';
import type { AccountAccess, Requester } from '#src/accounts/index.ts';
import { type Access, client, route, type Route, SINCE_V1 } from '#src/platform/http/route.ts';
import type { Book } from '#src/presence/book.ts';
import type { Presence } from '#src/presence/service.ts';

/** Client-server API, "Presence". */
export const presenceRoutes = ({ access, presence }: { access: Pick<AccountAccess, 'user'>; presence: Presence }): Route[] => [
  route({
    method: 'GET',
    path: client('/presence/:userId/status', SINCE_V1),
    access: access.user,
    handle: async ({ caller, params }) => presence.of(caller, params.userId),
  }),
  route({
    method: 'PUT',
    path: client('/presence/:userId/status', SINCE_V1),
    access: access.user,
    body: Type.Object({ presence: Type.String(), status_msg: Type.Optional(Type.String()) }),
    handle: async ({ caller, params, body }) => {
      await presence.set(caller, params.userId, body.presence, body.status_msg);
      return {};
    },
  }),
];

/** The same access, for what counts as activity of who does it: sending, reading, typing. */
export const activeAccess = <Given extends Pick<AccountAccess, 'user' | 'guest'>>(access: Given, book: Pick<Book, 'active'>): Given => {
  const noting = ({ identify }: Access<Requester>): Access<Requester> => ({
    identify: async (request) => {
      const requester = await identify(request);
      book.active(requester);
      return requester;
    },
  });
  return { ...access, user: noting(access.user), guest: noting(access.guest) };
};
