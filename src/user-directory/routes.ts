import type { AccountAccess } from '#src/accounts/index.ts';
import { client, route, UNSTABLE_TOO, type Route } from '#src/platform/http/route.ts';
import { Type } from '#src/platform/schema.ts';
import type { UserDirectory } from '#src/user-directory/service.ts';

const SearchBody = Type.Object({ search_term: Type.String(), limit: Type.Optional(Type.Integer()) });

/** Finding users (client-server API, "User Directory"). */
export const userDirectoryRoutes = ({ access, userDirectory }: { access: AccountAccess; userDirectory: UserDirectory }): Route[] => [
  route({
    method: 'POST',
    path: client('/user_directory/search', UNSTABLE_TOO),
    access: access.user,
    body: SearchBody,
    handle: ({ caller, body }) => userDirectory.search(caller, body.search_term, body.limit),
  }),
];
