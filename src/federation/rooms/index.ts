import type { ErasedUsers } from '#src/accounts/index.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Access, Route } from '#src/platform/http/route.ts';
import type { RoomGraph } from '#src/rooms/graph/index.ts';
import type { History } from '#src/rooms/history/index.ts';
import type { Peer } from '#src/federation/access.ts';
import { createHosts, type Hosts } from '#src/federation/rooms/hosts.ts';
import { createPeerReading } from '#src/federation/rooms/reading.ts';
import { peerReadingRoutes } from '#src/federation/rooms/routes.ts';
import { createServerVisibility } from '#src/federation/rooms/visibility.ts';

/** Rooms as other servers take part in them. */
export const createRoomPeers = ({
  graph,
  strings,
  clock,
  history,
  erasedUsers,
  peer,
  serverName,
}: {
  graph: RoomGraph;
  strings: Strings;
  clock: Clock;
  history: Pick<History, 'visibility' | 'replacedState'>;
  erasedUsers: Pick<ErasedUsers, 'has'>;
  peer: Access<Peer>;
  serverName: string;
}): { readonly routes: readonly Route[]; readonly hosts: Hosts } => {
  const hosts = createHosts({ graph, strings });
  const visibility = createServerVisibility({ graph, visibility: history.visibility, erasedUsers });
  const reading = createPeerReading({ graph, hosts, visibility, replacedState: history.replacedState });
  return { routes: peerReadingRoutes({ peer, reading, clock, serverName }), hosts };
};
