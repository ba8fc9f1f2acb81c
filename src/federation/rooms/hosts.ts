import { entryCache } from '#src/platform/cache/index.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { NodeId, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';

/** Which servers are in a room: those of which at least one user has joined. */
export interface Hosts {
  /** The servers in a state of the room. Costs the number of members the first time, and then what has changed since the state last asked for. */
  at(room: RoomInfo, root: NodeId): Promise<ReadonlySet<string>>;
  /** Whether a server is in the room now. */
  isIn(room: RoomInfo, serverName: string): Promise<boolean>;
}

/** How many joined users each server has in a state, by the server's number. */
interface Counted {
  readonly root: NodeId;
  readonly joined: ReadonlyMap<number, number>;
  readonly servers: ReadonlySet<string>;
}

const MEMBER = 'm.room.member';
const MAX_ROOMS = 5000;
/** So many member events are read at a time. */
const SLICE = 1000;
/** A room without state. */
const NOBODY: Counted = { root: '', joined: new Map(), servers: new Set() };

type GraphReads = Pick<RoomGraph, 'states' | 'events' | 'currentRoot'>;

/** Counts servers along the differences of states: one membership that changes costs one step, whatever the size of the room. */
export const createHosts = ({ graph, strings }: { graph: GraphReads; strings: Pick<Strings, 'numOf' | 'textOf'> }): Hosts => {
  const counted = entryCache<number, Counted>(MAX_ROOMS);

  const joinedAmong = async (eventNums: readonly number[]): Promise<Set<number>> => {
    const joined = new Set<number>();
    for (let first = 0; first < eventNums.length; first += SLICE) {
      const events = await graph.events.byNums(eventNums.slice(first, first + SLICE));
      for (const event of events.values()) if (event.pdu.content.membership === 'join') joined.add(event.num);
    }
    return joined;
  };

  const count = async (room: RoomInfo, from: Counted, root: NodeId): Promise<Counted> => {
    const memberType = await strings.numOf(MEMBER);
    const changes = (await graph.states.diff(room.num, from.root, root)).filter(({ key }) => key.type === memberType);
    const isJoin = await joinedAmong(changes.flatMap(({ before, after }) => [before, after]).filter((num) => num !== undefined));
    const joined = new Map(from.joined);
    for (const { key, before, after } of changes) {
      const step = Number(after !== undefined && isJoin.has(after)) - Number(before !== undefined && isJoin.has(before));
      const now = (joined.get(key.server) ?? 0) + step;
      if (now > 0) joined.set(key.server, now);
      else joined.delete(key.server);
    }
    const names = await strings.textOf([...joined.keys()]);
    return { root, joined, servers: new Set(names.values()) };
  };

  const at: Hosts['at'] = async (room, root) => {
    const known = counted.get(room.num) ?? NOBODY;
    if (known.root === root) return known.servers;
    const found = await count(room, known, root);
    counted.set(room.num, found);
    return found.servers;
  };

  return { at, isIn: async (room, serverName) => (await at(room, await graph.currentRoot(room))).has(serverName) };
};
