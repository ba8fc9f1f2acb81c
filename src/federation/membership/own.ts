import type { Clock } from '#src/platform/clock.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import { type Access, type Route, route } from '#src/platform/http/route.ts';
import type { Jobs } from '#src/platform/jobs/index.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import type { Random } from '#src/platform/random.ts';
import type { SigningKey } from '#src/protocol/signatures.ts';
import type { RoomGraph } from '#src/rooms/graph/index.ts';
import type { RemoteMembership } from '#src/rooms/membership/index.ts';
import type { Peer } from '#src/federation/access.ts';
import type { Inbox } from '#src/federation/inbox/index.ts';
import { createFindCandidates } from '#src/federation/membership/candidates.ts';
import { createComplexity } from '#src/federation/membership/complexity.ts';
import { createInviting } from '#src/federation/membership/inviting.ts';
import { createJoining, isServersWord } from '#src/federation/membership/joining.ts';
import { createKnocking } from '#src/federation/membership/knocking.ts';
import { createLeaving, isUnheard, tellLeave } from '#src/federation/membership/leaving.ts';
import { createOwnSteps } from '#src/federation/membership/own-steps.ts';
import { sweepOutsideStates } from '#src/federation/membership/store.ts';
import { createUntoldLeaves } from '#src/federation/membership/untold-leaves.ts';
import { federationPath } from '#src/federation/paths.ts';
import type { Arrivals } from '#src/federation/rooms/arrivals.ts';
import type { Hosts } from '#src/federation/rooms/hosts.ts';
import type { Peers } from '#src/federation/service.ts';

/** How this server's users come into rooms of others. */
export interface OwnMembership {
  readonly remote: RemoteMembership;
  readonly routes: readonly Route[];
  /** Gives up what is being asked. */
  close(): void;
}

const UNTOLD_INTERVAL_MS = 2500;
const SWEEP_INTERVAL_MS = 60 * 60 * 1000;

export const createOwnMembership = (tools: {
  graph: RoomGraph;
  database: Database;
  strings: Strings;
  clock: Clock;
  random: Random;
  jobs: Jobs;
  hosts: Hosts;
  arrivals: Arrivals;
  inbox: Pick<Inbox, 'takeIn'>;
  peers: Pick<Peers, 'client' | 'keys' | 'isAllowed'>;
  peer: Access<Peer>;
  signingKey: SigningKey;
  config: Pick<Config, 'server_name' | 'limit_remote_rooms'>;
  log: Logger;
}): OwnMembership => {
  const { graph, database, strings, clock, jobs, hosts, arrivals, inbox, peers, peer, config, log } = tools;
  const { server_name: serverName, limit_remote_rooms: remoteRooms } = config;
  const stopping = new AbortController();
  const usual = { ...tools, ...peers, serverName, signal: stopping.signal };
  const steps = createOwnSteps(usual);
  const candidates = createFindCandidates(usual);
  const complexity = createComplexity({ graph, client: peers.client, config: remoteRooms });
  const tell: Parameters<typeof createUntoldLeaves>[0]['tell'] = async (servers, step, version) =>
    tellLeave({ ...usual, steps }, servers, step, version);
  jobs.every('tell leaves', UNTOLD_INTERVAL_MS, createUntoldLeaves({ graph, database, strings, clock, tell, isUnheard, log }));
  jobs.every('sweep told rooms', SWEEP_INTERVAL_MS, async () => {
    await database.write('sweep told rooms', sweepOutsideStates);
  });
  return {
    remote: {
      serversIn: async (room) => {
        const servers = new Set(await hosts.at(room, await graph.currentRoot(room)));
        servers.delete(serverName);
        return servers;
      },
      join: createJoining({ ...usual, steps, candidates, arrivals, complexity, takeIn: inbox.takeIn }),
      knock: createKnocking({ ...usual, steps, candidates, isServersWord }),
      leave: createLeaving({ ...usual, steps }),
      invite: createInviting(usual),
    },
    routes: [
      route({
        method: 'GET',
        path: federationPath('unstable', '/rooms/:roomId/complexity'),
        access: peer,
        handle: async ({ params }) => ({ v1: await complexity.told(params.roomId) }),
      }),
    ],
    close: () => stopping.abort(),
  };
};
