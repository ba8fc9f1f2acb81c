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
  /** The servers that an invite, or what was told with it, names; and those that were in the room. */
  const known = async (roomId: string, userNum: number): Promise<string[]> => {
    const room = await graph.room(roomId);
    if (room === undefined) return [];
    const row = await graph.memberships.in(room.num, userNum);
    const held: RoomEvent | undefined = row?.membership === 'invite' ? await graph.events.byNum(row.eventNum) : undefined;
    const told = await database.read('outside state', (reader) => readOutsideState(reader, room.num, userNum));
    const former = [...(await hosts.at(room, await graph.currentRoot(room)))].filter((name) => name !== serverName);
    return [...(held === undefined ? [] : [domainOf(held.pdu.sender) ?? '']), told?.server_name ?? '', ...former.slice(0, MAX_FORMER)];
  };

  return async ({ roomId, userNum, servers }) => {
    const named = [...servers, ...(await known(roomId, userNum))];
    const others = [...new Set([...named, domainOf(roomId) ?? ''])].filter((name) => isServerName(name) && name !== serverName);
    const allowed = others.filter((name) => isAllowed(name));
    if (allowed.length === 0 && others[0] !== undefined) throw federationDenied(others[0]);
    return { servers: allowed.slice(0, MAX_ASKED), areGuessed: !named.some((name) => allowed.includes(name)) };
  };
};
