import { type Access, RawJson, type Route, route } from '#src/platform/http/route.ts';
import type { Peer } from '#src/federation/access.ts';
import type { Transactions } from '#src/federation/inbox/transactions.ts';
import { federationPath } from '#src/federation/paths.ts';

/** What other servers send (server-server API, "Transactions"). */
export const inboxRoutes = ({ peer, transactions }: { peer: Access<Peer>; transactions: Transactions }): Route[] => [
  route({
    method: 'PUT',
    path: federationPath('v1', '/send/:txnId'),
    access: peer,
    handle: async ({ caller: { origin, content }, params }) => new RawJson(await transactions.take(origin, params.txnId, content)),
  }),
];
