import { entryCache } from '#src/platform/cache/index.ts';
import type { Config } from '#src/platform/config/index.ts';
import { MatrixError, notFound } from '#src/protocol/errors.ts';
import type { NodeId, RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { FederationClient } from '#src/federation/client.ts';
import { FederationError } from '#src/federation/faults.ts';

/** How large rooms are: as Synapse measures it, by the number of their state events divided by 500. */
export interface Complexity {
  /** For other servers, of a room that everybody may join or read. Throws `notFound` for any other. */
  told(roomId: string): Promise<number>;
  /**
   * Whether a server says that the room is within `limit_remote_rooms`, or need not be. False where none of the first few says anything. Throws `M_RESOURCE_LIMIT_EXCEEDED` for
   * one that is too large.
   */
  isSmall(servers: readonly string[], roomId: string, isAdmin: boolean, signal: AbortSignal): Promise<boolean>;
  /** Lets a user leave a room that has turned out to be too large; then throws as above. */
  leaveLarge(join: RoomEvent): Promise<void>;
}

const PER_UNIT = 500;
const TIMEOUT_MS = 10_000;
const MAX_ASKED = 3;
const MAX_REMEMBERED = 1000;

export const createComplexity = ({
  graph,
  client,
  config,
}: {
  graph: Pick<RoomGraph, 'room' | 'rooms' | 'currentRoot' | 'currentState' | 'states' | 'memberships' | 'write'>;
  client: Pick<FederationClient, 'ask'>;
  config: Config['limit_remote_rooms'];
}): Complexity => {
  const counted = entryCache<number, { readonly root: NodeId; readonly complexity: number }>(MAX_REMEMBERED);

  const of = async (room: RoomInfo): Promise<number> => {
    const root = await graph.currentRoot(room);
    const known = counted.get(room.num);
    if (known?.root === root) return known.complexity;
    const complexity = Math.round(((await graph.states.entries(room.num, root)).length / PER_UNIT) * 100) / 100;
    counted.set(room.num, { root, complexity });
    return complexity;
  };

  const isForAll = async (room: RoomInfo): Promise<boolean> => {
    const rules = await graph.currentState(room, 'm.room.join_rules', '');
    const history = await graph.currentState(room, 'm.room.history_visibility', '');
    return rules?.pdu.content.join_rule === 'public' || history?.pdu.content.history_visibility === 'world_readable';
  };

  const tooLarge = (): MatrixError => new MatrixError(400, 'M_RESOURCE_LIMIT_EXCEEDED', config.complexity_error);

  return {
    told: async (roomId) => {
      const room = await graph.room(roomId);
      if (room === undefined || !(await graph.memberships.isHere(room.num)) || !(await isForAll(room))) throw notFound('Room not found');
      return of(room);
    },
    isSmall: async (servers, roomId, isAdmin, signal) => {
      if (!config.enabled || (isAdmin && config.admins_can_join)) return true;
      for (const server of servers.slice(0, MAX_ASKED)) {
        try {
          const path = `/_matrix/federation/unstable/rooms/${encodeURIComponent(roomId)}/complexity`;
          const { v1 } = await client.ask(server, { method: 'GET', path, timeoutMs: TIMEOUT_MS, ignoresBackOff: true, signal });
          if (typeof v1 !== 'number') continue;
          if (v1 > config.complexity) throw tooLarge();
          return true;
        } catch (error) {
          if (!(error instanceof FederationError)) throw error;
        }
      }
      return false;
    },
    leaveLarge: async ({ roomNum, pdu: { sender } }) => {
      const room = (await graph.rooms([roomNum])).get(roomNum);
      if (room === undefined || (await of(room)) <= config.complexity) return;
      await graph.write(room, (draft) =>
        draft.append({ sender, type: 'm.room.member', stateKey: sender, content: { membership: 'leave' } }),
      );
      throw tooLarge();
    },
  };
};
