import { MatrixError } from '#src/protocol/errors.ts';
import { authEventIds, type Pdu } from '#src/protocol/events.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '#src/protocol/json.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import { parsePdu } from '#src/protocol/events.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import { DroppedEventError, type RoomGraph, type RoomInfo } from '#src/rooms/graph/index.ts';
import type { StagedPdu } from '#src/federation/inbox/room-queues.ts';
import { checkServerAcl } from '#src/federation/rooms/acl.ts';
import type { Arrivals } from '#src/federation/rooms/arrivals.ts';

/** What becomes of an event of a transaction before it is judged: it is to be staged, or done with already; `error` says why it is not taken in. */
export interface Sorted {
  readonly eventId: string;
  readonly error?: string;
  readonly staged?: Pick<StagedPdu, 'room' | 'checked' | 'isEarly'>;
}

/** Looks which events of a transaction are for a room of this server, and in order by themselves; events of unknown rooms, and what is no event, are left out. */
export type SortPdus = (origin: string, pdus: readonly JsonValue[]) => Promise<readonly Sorted[]>;

interface Tools {
  readonly graph: Pick<RoomGraph, 'room' | 'currentState' | 'memberships' | 'events' | 'check' | 'receiveOutside'>;
  readonly strings: Pick<Strings, 'numOf'>;
  readonly serverName: string;
  /** The rooms that this server is coming into. */
  readonly arrivals: Pick<Arrivals, 'room'>;
  /** Whether an event waits to be judged. */
  readonly isStaged: (eventId: string) => boolean;
}

const eventIdOf = (room: RoomInfo, pdu: JsonObject): string | undefined => {
  try {
    return parsePdu(pdu, roomVersion(room.version)).eventId;
  } catch (error) {
    if (error instanceof MatrixError) return undefined;
    throw error;
  }
};

export const createSortPdus = ({ graph, strings, serverName, arrivals, isStaged }: Tools): SortPdus => {
  /**
   * Whether an event ends what a user of this server is in a room that this server is not in: an invite is taken back by whom it was sent, a knock is answered by somebody who
   * has seen it. Whether the room lets them cannot be told here.
   */
  const endsOutside = async (room: RoomInfo, pdu: Pdu): Promise<boolean> => {
    const { type, state_key: userId, sender, content } = pdu;
    const isEnd = content.membership === 'leave' || content.membership === 'ban';
    if (type !== 'm.room.member' || !isEnd || userId === undefined || userId === sender) return false;
    const userNum = domainOf(userId) === serverName ? await strings.numOf(userId) : undefined;
    const held = userNum === undefined ? undefined : await graph.memberships.in(room.num, userNum);
    if (held?.membership !== 'invite' && held?.membership !== 'knock') return false;
    const before = await graph.events.byNum(held.eventNum);
    if (before === undefined || !authEventIds(pdu).includes(before.eventId)) return false;
    return held.membership === 'knock' || before.pdu.sender === sender;
  };

  /** `where` this server is as for the room: in it, coming into it, or neither. */
  const sortOne = async (room: RoomInfo, where: 'in' | 'arriving' | 'out', pdu: JsonObject): Promise<Sorted | undefined> => {
    const eventId = eventIdOf(room, pdu);
    if (eventId === undefined) return undefined;
    const known = await graph.events.byId(eventId);
    if (known?.stateRoot !== undefined || isStaged(eventId)) return { eventId };
    try {
      const checked = await graph.check(room, pdu);
      if (where !== 'out') return { eventId, staged: { room, checked, isEarly: where === 'arriving' } };
      // A server that has been away may think that this one is still in the room.
      if (await endsOutside(room, checked.parsed.pdu)) await graph.receiveOutside(room, pdu, () => undefined);
      return { eventId };
    } catch (error) {
      if (error instanceof DroppedEventError) return { eventId, error: error.message };
      throw error;
    }
  };

  const sortAll = async (room: RoomInfo, where: 'in' | 'arriving' | 'out', pdus: readonly JsonObject[]): Promise<Sorted[]> => {
    const sorted: Sorted[] = [];
    const seen = new Set<string>();
    for (const pdu of pdus) {
      const one = await sortOne(room, where, pdu);
      if (one === undefined || seen.has(one.eventId)) continue;
      seen.add(one.eventId);
      sorted.push(one);
    }
    return sorted;
  };

  const sortOfRoom = async (origin: string, room: RoomInfo, pdus: readonly JsonObject[]): Promise<Sorted[]> => {
    try {
      await checkServerAcl(graph, room, origin);
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error;
      return pdus.flatMap((pdu) => ({ eventId: eventIdOf(room, pdu) ?? '', error: error.message })).filter(({ eventId }) => eventId !== '');
    }
    return sortAll(room, (await graph.memberships.isHere(room.num)) ? 'in' : 'out', pdus);
  };

  return async (origin, pdus) => {
    const byRoom = Map.groupBy(
      pdus.filter((pdu) => isJsonObject(pdu)),
      ({ room_id: roomId }) => roomId,
    );
    const rooms = await Promise.all(
      [...byRoom].map(async ([roomId, ofRoom]) => {
        if (typeof roomId !== 'string') return [];
        // Of a room that is being entered not even the server ACL is known yet.
        const arriving = arrivals.room(roomId);
        if (arriving !== undefined) return sortAll(arriving, 'arriving', ofRoom);
        const room = await graph.room(roomId);
        return room === undefined ? [] : sortOfRoom(origin, room, ofRoom);
      }),
    );
    return rooms.flat();
  };
};
