import { prevEventIds } from '#src/protocol/events.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import { DUMMY_EVENT, isAccepted, LET_IN, type RoomEvent, type RoomGraph, type RoomInfo } from '#src/rooms/graph/index.ts';
import type { Hosts } from '#src/federation/rooms/hosts.ts';

/** Which servers an event is sent to. */
export interface Addressees {
  /**
   * The servers of an event that this server has to send: those that were in the room before it, and for a membership the server of its user. May have this
   * server in it. Undefined for events that are not for this server to send.
   */
  of(event: RoomEvent): Promise<Servers | undefined>;
}

/** Servers of a room, which many events share, with one more and one less. */
export interface Servers {
  readonly inRoom: ReadonlySet<string>;
  /** The server of the user whose membership it is. */
  readonly concerned: string | undefined;
  /** The server whose user made it: it has it. */
  readonly maker: string;
}

/** Whether a server is among them. */
export const isAmong = ({ inRoom, concerned, maker }: Servers, name: string): boolean =>
  name !== maker && (name === concerned || inRoom.has(name));

/** All of them. */
export const namesOf = function* ({ inRoom, concerned, maker }: Servers): Generator<string> {
  for (const name of inRoom) if (name !== maker) yield name;
  if (concerned !== undefined && concerned !== maker && !inRoom.has(concerned)) yield concerned;
};

export const createAddressees = ({
  graph,
  hosts,
  serverName,
}: {
  graph: Pick<RoomGraph, 'rooms' | 'events'>;
  hosts: Pick<Hosts, 'at'>;
  serverName: string;
}): Addressees => {
  /** This server's own events, and memberships of others that it has let in or out; but no servers' own bookkeeping. */
  const isForUs = ({ facts, pdu, stateRoot }: RoomEvent, maker: string): boolean =>
    stateRoot !== undefined && isAccepted({ facts }) && pdu.type !== DUMMY_EVENT && (maker === serverName || (facts & LET_IN) !== 0);

  /** Joins that another server took in are passed on by that server. What they follow has no place here. */
  const isToldByAnother = async (event: RoomEvent): Promise<boolean> => {
    const before = prevEventIds(event.pdu);
    const known = await graph.events.byIds(before);
    return before.length > 0 && [...known.values()].every(({ stateRoot }) => stateRoot === undefined);
  };

  return {
    of: async (event) => {
      const { pdu, stateRoot, roomNum } = event;
      const maker = domainOf(pdu.sender) ?? '';
      if (stateRoot === undefined || !isForUs(event, maker)) return undefined;
      const isMembership = pdu.type === 'm.room.member' && pdu.state_key !== undefined;
      if (isMembership && (await isToldByAnother(event))) return undefined;
      const room: RoomInfo | undefined = (await graph.rooms([roomNum])).get(roomNum);
      if (room === undefined) return undefined;
      // The state after it has the same servers as the one before, but for the server of the user whose membership it is.
      const inRoom = await hosts.at(room, stateRoot);
      return { inRoom, concerned: isMembership ? domainOf(pdu.state_key ?? '') : undefined, maker };
    },
  };
};
