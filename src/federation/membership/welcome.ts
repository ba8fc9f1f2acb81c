import { prevEventIds } from '#src/protocol/events.ts';
import { STRIPPED_STATE_TYPES } from '#src/protocol/stripped-state.ts';
import type { RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { ReplacedState } from '#src/rooms/history/index.ts';
import type { LetIn } from '#src/federation/membership/letting-in.ts';
import type { Hosts } from '#src/federation/rooms/hosts.ts';
import { stateBefore } from '#src/federation/rooms/state-before.ts';

const MEMBER = 'm.room.member';
/** So many members stand for a room without a name (client-server API, `m.heroes`). */
const MAX_HEROES = 5;

/** What a server is told that has come into a room. */
export interface Welcome {
  readonly state: readonly RoomEvent[];
  readonly authChain: readonly RoomEvent[];
  /** The servers that were in the room before; told where members are left out. */
  readonly servers: readonly string[] | undefined;
}

export interface Welcomes {
  /** The room before a join: all of its state, or without the members that are not needed for the beginning. Costs the size of the state. */
  afterJoin(joined: LetIn, omitMembers: boolean): Promise<Welcome>;
  /** The state by which one who knocks may tell what room it is. */
  afterKnock(knocked: LetIn): Promise<readonly RoomEvent[]>;
}

const isPresent = ({ pdu }: RoomEvent): boolean => pdu.content.membership === 'join' || pdu.content.membership === 'invite';

/** The members by whom a room without name and alias is known: some of those who are there, else of those who were. */
const heroesAmong = (members: readonly RoomEvent[]): readonly RoomEvent[] => {
  const inOrder = members.toSorted((a, b) => a.num - b.num);
  const present = inOrder.filter(isPresent);
  return (present.length > 0 ? present : inOrder).slice(0, MAX_HEROES);
};

/** The state without its members but for those that who joins needs at once (server-server API, `omit_members`). */
const withoutMembers = (state: readonly RoomEvent[], { pdu: { sender } }: RoomEvent): RoomEvent[] => {
  const isNamed = state.some(({ pdu }) => pdu.state_key === '' && (pdu.type === 'm.room.name' || pdu.type === 'm.room.canonical_alias'));
  const others = state.filter(({ pdu }) => pdu.type === MEMBER && pdu.state_key !== sender);
  const kept = new Set(isNamed ? [] : heroesAmong(others));
  return state.filter((event) => event.pdu.type !== MEMBER || event.pdu.state_key === sender || kept.has(event));
};

export const createWelcomes = ({
  graph,
  hosts,
  replacedState,
}: {
  graph: Pick<RoomGraph, 'events' | 'states' | 'stateEvents' | 'authChain'>;
  hosts: Hosts;
  replacedState: ReplacedState;
}): Welcomes => {
  const serversBefore = async (room: RoomInfo, event: RoomEvent): Promise<string[]> => {
    const servers = new Set<string>();
    for (const prev of (await graph.events.byIds(prevEventIds(event.pdu))).values())
      if (prev.stateRoot !== undefined) for (const server of await hosts.at(room, prev.stateRoot)) servers.add(server);
    return [...servers];
  };

  return {
    afterJoin: async ({ room, event }, omitMembers) => {
      const whole = await stateBefore({ graph, replacedState }, room, event);
      if (!omitMembers) return { state: whole, authChain: await graph.authChain([...whole, event]), servers: undefined };
      const state = withoutMembers(whole, event);
      const told = new Set(state.map(({ num }) => num));
      const authChain = (await graph.authChain([...state, event])).filter(({ num }) => !told.has(num));
      return { state, authChain, servers: await serversBefore(room, event) };
    },
    afterKnock: async ({ room, event }) => {
      const nums = await Promise.all(STRIPPED_STATE_TYPES.map(async (type) => graph.states.get(room.num, event.stateRoot ?? '', type, '')));
      return graph.events.list(nums.filter((num) => num !== undefined));
    },
  };
};
