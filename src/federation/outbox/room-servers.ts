import type { Logger } from '#src/platform/logging/index.ts';
import type { RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { Hosts } from '#src/federation/rooms/hosts.ts';

/** Tells all servers of a room, once it is known who they are. */
export type ToServersOf = (roomNum: number, tell: (room: RoomInfo, servers: ReadonlySet<string>) => void) => void;

/** Rooms in which nobody but this server is are left out. Costs what has changed in the room since it was last asked for. */
export const createToServersOf = ({
  graph,
  hosts,
  serverName,
  log,
}: {
  graph: Pick<RoomGraph, 'rooms' | 'currentRoot'>;
  hosts: Pick<Hosts, 'at'>;
  serverName: string;
  log: Logger;
}): ToServersOf => {
  const find = async (roomNum: number, tell: Parameters<ToServersOf>[1]): Promise<void> => {
    const room = (await graph.rooms([roomNum])).get(roomNum);
    if (room === undefined) return;
    const servers = await hosts.at(room, await graph.currentRoot(room));
    if (servers.size > (servers.has(serverName) ? 1 : 0)) tell(room, servers);
  };
  return (roomNum, tell) => {
    find(roomNum, tell).catch((error: unknown) => log.warn({ err: error }, 'Other servers could not be told of what goes on in a room'));
  };
};
