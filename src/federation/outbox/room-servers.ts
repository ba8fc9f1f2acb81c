import type { Logger } from '#src/platform/logging/index.ts';
import type { RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { Hosts } from '#src/federation/rooms/hosts.ts';

/** The servers of a room; undefined for a room in which nobody but this server is. Costs what has changed in the room since it was last asked for. */
export type ServersOf = (roomNum: number) => Promise<{ readonly room: RoomInfo; readonly servers: ReadonlySet<string> } | undefined>;

/** Tells all servers of a room, once it is known who they are. */
export type ToServersOf = (roomNum: number, tell: (room: RoomInfo, servers: ReadonlySet<string>) => void) => void;

export const createServersOf =
  ({
    graph,
    hosts,
    serverName,
  }: {
    graph: Pick<RoomGraph, 'rooms' | 'currentRoot'>;
    hosts: Pick<Hosts, 'at'>;
    serverName: string;
  }): ServersOf =>
  async (roomNum) => {
    const room = (await graph.rooms([roomNum])).get(roomNum);
    if (room === undefined) return undefined;
    const servers = await hosts.at(room, await graph.currentRoot(room));
    return servers.size > (servers.has(serverName) ? 1 : 0) ? { room, servers } : undefined;
  };

/** Rooms in which nobody but this server is are left out. */
export const createToServersOf = ({ serversOf, log }: { serversOf: ServersOf; log: Logger }): ToServersOf => {
  const find = async (roomNum: number, tell: Parameters<ToServersOf>[1]): Promise<void> => {
    const found = await serversOf(roomNum);
    if (found !== undefined) tell(found.room, found.servers);
  };
  return (roomNum, tell) => {
    find(roomNum, tell).catch((error: unknown) => log.warn({ err: error }, 'Other servers could not be told of what goes on in a room'));
  };
};
