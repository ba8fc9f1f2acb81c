import { route, type Access, type Route } from '#src/platform/http/route.ts';
import { Type } from '#src/platform/schema.ts';
import type { Hierarchy } from '#src/spaces/index.ts';
import type { Peer } from '#src/federation/access.ts';
import { federationPath } from '#src/federation/paths.ts';

/** What other servers ask about spaces (server-server API, Querying the space hierarchy). */
export const peerSpaceRoutes = ({ peer, hierarchy }: { peer: Access<Peer>; hierarchy: Pick<Hierarchy, 'forServer'> }): Route[] => [
  route({
    method: 'GET',
    path: federationPath('v1', '/hierarchy/:roomId'),
    access: peer,
    query: Type.Object({ suggested_only: Type.Optional(Type.Boolean()) }),
    handle: async ({ caller, params, query }) => hierarchy.forServer(caller.origin, params.roomId, query.suggested_only ?? false),
  }),
];
