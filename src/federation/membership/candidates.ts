import type { Database } from '#src/platform/database/types.ts';
import { domainOf, isServerName } from '#src/protocol/identifiers.ts';
import type { RoomEvent, RoomGraph } from '#src/rooms/graph/index.ts';
import { federationDenied } from '#src/federation/faults.ts';
import type { Candidates } from '#src/federation/membership/in-turn.ts';
import { readOutsideState } from '#src/federation/membership/store.ts';
import type { Hosts } from '#src/federation/rooms/hosts.ts';

/** Who wants into which room. */
interface Wish {
  readonly roomId: string;
  readonly userNum: number;
  /** Servers that the user names. */
  readonly servers: readonly string[];
}

/** Finds out which servers may let somebody into a room, the likeliest first. Throws `forbidden` where this server talks with none of them. */
export type FindCandidates = (wish: Wish) => Promise<Candidates>;

/** So many are asked. */
const MAX_ASKED = 20;
/** So many of those that were in the room when this server was. */
const MAX_FORMER = 10;

export const createFindCandidates = ({
  graph,
  database,
  hosts,
  serverName,
  isAllowed,
}: {
  graph: Pick<RoomGraph, 'room' | 'memberships' | 'events' | 'currentRoot'>;
  database: Pick<Database, 'read'>;
  hosts: Hosts;
  serverName: string;
  isAllowed: (serverName: string) => boolean;
}): FindCandidates => {
  /** Servers of which it is known here that they have to do with the room: that of an invite and the one that told of it, else those that were in it. */
  const known = async ({ roomId, userNum, servers }: Wish): Promise<{ told: string[]; former: string[] }> => {
    const room = await graph.room(roomId);
    if (room === undefined) return { told: [], former: [] };
    const row = await graph.memberships.in(room.num, userNum);
    const held: RoomEvent | undefined = row?.membership === 'invite' ? await graph.events.byNum(row.eventNum) : undefined;
    const from = await database.read('outside state', (reader) => readOutsideState(reader, room.num, userNum));
    const told = [held && domainOf(held.pdu.sender), from?.server_name].filter((name) => name !== undefined);
    if (servers.length > 0 || told.length > 0) return { told, former: [] };
    const former = [...(await hosts.at(room, await graph.currentRoot(room)))].filter((name) => name !== serverName);
    return { told, former: former.slice(0, MAX_FORMER) };
  };

  return async (wish) => {
    const isOther = (name: string): boolean => isServerName(name) && name !== serverName;
    const servers = wish.servers.filter(isOther);
    const { told, former } = await known({ ...wish, servers });
    const named = new Set([...servers, ...told, ...former].filter(isOther));
    // A room's id says who made it, which is better than nothing.
    const others = named.size > 0 ? [...named] : [domainOf(wish.roomId) ?? ''].filter(isOther);
    const allowed = others.filter((name) => isAllowed(name));
    if (allowed.length === 0 && others[0] !== undefined) throw federationDenied(others[0]);
    return { servers: allowed.slice(0, MAX_ASKED), areGuessed: named.size === 0 };
  };
};
