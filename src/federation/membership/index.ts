import type { Config } from '#src/platform/config/index.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { RateLimiters } from '#src/platform/http/rate-limits.ts';
import type { Access, Route } from '#src/platform/http/route.ts';
import type { SigningKey } from '#src/protocol/signatures.ts';
import type { StrippedEvent } from '#src/protocol/stripped-state.ts';
import type { RoomEvent, RoomGraph } from '#src/rooms/graph/index.ts';
import type { History } from '#src/rooms/history/index.ts';
import type { Peer } from '#src/federation/access.ts';
import { createInvites } from '#src/federation/membership/invites.ts';
import { createLettingIn } from '#src/federation/membership/letting-in.ts';
import { createOutsideState } from '#src/federation/membership/outside-state.ts';
import { peerMembershipRoutes } from '#src/federation/membership/routes.ts';
import { createTemplates } from '#src/federation/membership/templates.ts';
import { createWelcomes } from '#src/federation/membership/welcome.ts';
import type { Hosts } from '#src/federation/rooms/hosts.ts';

export { createOwnMembership } from '#src/federation/membership/own.ts';

/** How users of other servers come into rooms of this one. */
export const createPeerMembership = ({
  graph,
  database,
  strings,
  hosts,
  history,
  peer,
  signingKey,
  config,
  limiters,
}: {
  database: Pick<Database, 'read'>;
  graph: RoomGraph;
  strings: Strings;
  hosts: Hosts;
  history: Pick<History, 'replacedState'>;
  peer: Access<Peer>;
  signingKey: SigningKey;
  config: Pick<Config, 'server_name' | 'block_non_admin_invites'>;
  limiters: Pick<RateLimiters, 'of'>;
}): {
  readonly routes: readonly Route[];
  /** What another server has told of a room with an invite or a knock whose room this server is not in. */
  readonly outsideState: (event: RoomEvent) => Promise<readonly StrippedEvent[]>;
} => {
  const { server_name: serverName } = config;
  const reads = { graph, strings, serverName };
  const joinsPerRoom = limiters.of('rc_joins_per_room');
  const templates = createTemplates({ graph, reads });
  const lettingIn = createLettingIn({ graph, reads, serverName, signingKey, limitJoins: (roomId) => joinsPerRoom.check(roomId) });
  const invitesPerUser = limiters.of('rc_invites.per_user');
  const invites = createInvites({ graph, serverName, signingKey, config, limitInvites: (userId) => invitesPerUser.check(userId) });
  const welcomes = createWelcomes({ graph, hosts, replacedState: history.replacedState });
  return {
    routes: peerMembershipRoutes({ peer, templates, lettingIn, invites, welcomes, serverName }),
    outsideState: createOutsideState(database),
  };
};
