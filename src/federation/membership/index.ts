import type { Strings } from '#src/platform/database/strings.ts';
import type { RateLimiters } from '#src/platform/http/rate-limits.ts';
import type { Access, Route } from '#src/platform/http/route.ts';
import type { SigningKey } from '#src/protocol/signatures.ts';
import type { RoomGraph } from '#src/rooms/graph/index.ts';
import type { History } from '#src/rooms/history/index.ts';
import type { Peer } from '#src/federation/access.ts';
import { createLettingIn } from '#src/federation/membership/letting-in.ts';
import { peerMembershipRoutes } from '#src/federation/membership/routes.ts';
import { createTemplates } from '#src/federation/membership/templates.ts';
import { createWelcomes } from '#src/federation/membership/welcome.ts';
import type { Hosts } from '#src/federation/rooms/hosts.ts';

/** How users of other servers come into rooms of this one. */
export const createPeerMembership = ({
  graph,
  strings,
  hosts,
  history,
  peer,
  signingKey,
  serverName,
  limiters,
}: {
  graph: RoomGraph;
  strings: Strings;
  hosts: Hosts;
  history: Pick<History, 'replacedState'>;
  peer: Access<Peer>;
  signingKey: SigningKey;
  serverName: string;
  limiters: Pick<RateLimiters, 'of'>;
}): { readonly routes: readonly Route[] } => {
  const reads = { graph, strings, serverName };
  const joinsPerRoom = limiters.of('rc_joins_per_room');
  const templates = createTemplates({ graph, reads });
  const lettingIn = createLettingIn({ graph, reads, serverName, signingKey, limitJoins: (roomId) => joinsPerRoom.check(roomId) });
  const welcomes = createWelcomes({ graph, hosts, replacedState: history.replacedState });
  return { routes: peerMembershipRoutes({ peer, templates, lettingIn, welcomes, serverName }) };
};
