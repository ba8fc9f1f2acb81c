import { isRoomId, domainOf } from '#src/protocol/identifiers.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { MatrixError } from '#src/protocol/errors.ts';
import type { FederationClient, PeerRequest } from '#src/federation/client.ts';
import { asClientError, FederationError } from '#src/federation/faults.ts';

/** Where a room is that an alias of another server stands for. */
export interface RemoteAlias {
  readonly roomId: string;
  /** Servers that are in the room, in the order in which to ask them. */
  readonly servers: readonly string[];
}

/** A search in another server's list of rooms; what is undefined is not restricted. */
export interface RemoteRoomsQuery {
  readonly limit: number;
  readonly since: string | undefined;
  readonly term: string | undefined;
  readonly types: readonly (string | null)[] | undefined;
}

/**
 * What local users want to know of other servers (server-server API, Queries and Public Room Directory). All throw `MatrixError`: what the other server said,
 * or 502 when it did not answer.
 */
export interface RemoteQueries {
  /** A profile, or one field of it, as an object. */
  profile(userId: string, field?: string): Promise<JsonObject>;
  /** Undefined where there is no such alias. */
  alias(alias: string): Promise<RemoteAlias | undefined>;
  /** Another server's list of public rooms, as it answers. */
  publicRooms(serverName: string, query: RemoteRoomsQuery): Promise<JsonObject>;
}

const TIMEOUT_MS = 10_000;

export const createRemoteQueries = ({ client }: { client: Pick<FederationClient, 'ask'> }): RemoteQueries => {
  const ask = async (destination: string, request: PeerRequest): Promise<JsonObject> => {
    try {
      return await client.ask(destination, { timeoutMs: TIMEOUT_MS, ...request });
    } catch (error) {
      throw error instanceof FederationError ? asClientError(error) : error;
    }
  };
  return {
    profile: (userId, field) =>
      ask(domainOf(userId) ?? '', {
        method: 'GET',
        path: '/_matrix/federation/v1/query/profile',
        query: { user_id: userId, ...(field !== undefined && { field }) },
        // Somebody looks at a name: better none than to wait for a server that is down.
        retries: 'none',
      }),
    alias: async (alias) => {
      try {
        const answer = await ask(domainOf(alias) ?? '', {
          method: 'GET',
          path: '/_matrix/federation/v1/query/directory',
          query: { room_alias: alias },
          retries: 'none',
          ignoresBackOff: true,
        });
        const { room_id: roomId, servers } = answer;
        if (!isRoomId(roomId) || !Array.isArray(servers)) return undefined;
        return { roomId, servers: (servers as unknown[]).filter((server) => typeof server === 'string') };
      } catch (error) {
        if (error instanceof MatrixError && error.status === 404) return undefined;
        throw error;
      }
    },
    publicRooms: (serverName, { limit, since, term, types }) => {
      const path = '/_matrix/federation/v1/publicRooms';
      if (term === undefined && types === undefined) {
        return ask(serverName, {
          method: 'GET',
          path,
          query: { limit: String(limit), ...(since !== undefined && { since }) },
          ignoresBackOff: true,
        });
      }
      const filter = { ...(term !== undefined && { generic_search_term: term }), ...(types !== undefined && { room_types: types }) };
      return ask(serverName, {
        method: 'POST',
        path,
        content: { limit, filter, ...(since !== undefined && { since }) },
        ignoresBackOff: true,
      });
    },
  };
};
