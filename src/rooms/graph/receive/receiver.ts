import { domainOf } from '#src/protocol/identifiers.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Events } from '#src/rooms/graph/event-cache.ts';
import type { RoomEvent, RoomInfo } from '#src/rooms/graph/events.ts';
import type { HotRooms } from '#src/rooms/graph/hot-rooms.ts';
import type { Numbers } from '#src/rooms/graph/numbers.ts';
import { judgeAgain } from '#src/rooms/graph/receive/again.ts';
import { checkIncoming, checkManyIncoming, type Incoming, type PduSource } from '#src/rooms/graph/receive/incoming.ts';
import { receiveEvent, type ReceiveOptions } from '#src/rooms/graph/receive/index.ts';
import { receiveOutliers } from '#src/rooms/graph/receive/outliers.ts';
import type { ServerKeys } from '#src/rooms/graph/receive/server-keys.ts';
import { receiveWholeRoom, type WholeRoom } from '#src/rooms/graph/receive/whole-room.ts';
import type { RoomWriter } from '#src/rooms/graph/writer.ts';

/** How events that other servers made come into the rooms. */
export interface Receiver {
  /**
   * Receives an event of a room (server-server API, "Checks performed on receipt of a PDU"). Resolves once it is durable, to the event with what became of it
   * in `facts`, or to undefined when it was here already. Throws `DroppedEventError` for what is no event of the room or not its sender's, and
   * `MissingEventsError` when it cites what is not here; with `isLetIn` also `RefusedEventError`.
   */
  receive(room: RoomInfo, source: PduSource, options?: ReceiveOptions): Promise<RoomEvent | undefined>;
  /** Receives auth events that others cite, in any order; they have no place in the timeline. Those that are no events of the room are left out. */
  receiveAuthEvents(room: RoomInfo, sources: readonly PduSource[]): Promise<readonly RoomEvent[]>;
  /**
   * Judges an event again, because a key or an auth event that it lacked has come or the policy thinks otherwise now; and those that stand on it. An event that
   * lacked an auth event is judged again by itself when that is received. Answers the event as it is now; undefined when it is not here.
   */
  judgeAgain(eventId: string): Promise<RoomEvent | undefined>;
  /**
   * Makes a room known that another server has let a user of this one into, or brings one that was left up to date. Throws `DroppedEventError`
   * when what is given is no room that the join is allowed in.
   */
  receiveRoom(given: WholeRoom): Promise<{ readonly room: RoomInfo; readonly join: RoomEvent }>;
}

export interface ReceiverTools {
  readonly writer: RoomWriter;
  readonly events: Events;
  readonly hotRooms: HotRooms;
  readonly strings: Strings;
  readonly roomNumbers: Numbers;
  readonly serverKeys: ServerKeys;
}

/** The strings of an event that are numbered. */
const stringsOf = ({ parsed: { pdu } }: Incoming): string[] => {
  const server = pdu.type === 'm.room.member' ? domainOf(pdu.state_key ?? '') : undefined;
  return [pdu.type, pdu.sender, ...(pdu.state_key === undefined ? [] : [pdu.state_key]), ...(server === undefined ? [] : [server])];
};

export const createReceiver = ({ writer, events, hotRooms, strings, roomNumbers, serverKeys }: ReceiverTools): Receiver => {
  // Two servers may let us into one room at a time, but it is made once.
  const making = new Map<string, Promise<unknown>>();

  const roomOf = async (roomNum: number): Promise<RoomInfo | undefined> => (await hotRooms.byNums([roomNum])).get(roomNum);

  /** What memory has of the event now; it is there since it was written. */
  const asItIs = async (eventId: string): Promise<RoomEvent> => (await events.byId(eventId)) as RoomEvent;

  const takeRoom = async (roomId: string, room: WholeRoom<Incoming>): Promise<{ room: RoomInfo; join: RoomEvent }> => {
    await strings.intern([...new Set([...room.authChain, ...room.state].flatMap(stringsOf))]);
    const known = await hotRooms.byId(roomId);
    const info = known ?? { num: await roomNumbers.next(), roomId, version: room.version };
    await (known === undefined ? writer.create : writer.write)(info, async (draft) =>
      draft.make(async (bench, head) => receiveWholeRoom(bench, head, room)),
    );
    return { room: info, join: await asItIs(room.join.parsed.eventId) };
  };

  return {
    receive: async (room, source, options) => {
      const incoming = await checkIncoming(room, source, serverKeys);
      const made = await writer.write(room, async (draft) =>
        draft.make(async (bench, head) => receiveEvent(bench, head, incoming, options)),
      );
      return made && asItIs(incoming.parsed.eventId);
    },
    receiveAuthEvents: async (room, sources) => {
      const incoming = await checkManyIncoming(room, sources, serverKeys);
      const made = await writer.write(room, async (draft) =>
        draft.make(async (bench, head) => ({ drafted: await receiveOutliers(bench, head, incoming), revised: [], head })),
      );
      return Promise.all((made?.drafted ?? []).map(async ({ event }) => asItIs(event.eventId)));
    },
    judgeAgain: async (eventId) => {
      const event = await events.byId(eventId);
      const room = event && (await roomOf(event.roomNum));
      if (event === undefined || room === undefined) return undefined;
      const fresh = await checkIncoming(room, event.json, serverKeys);
      await writer.write(room, async (draft) =>
        draft.make(async (bench, head) => judgeAgain(bench, head, (await bench.reads.eventById(eventId)) as RoomEvent, fresh)),
      );
      return asItIs(eventId);
    },
    receiveRoom: async ({ version, state, authChain, join }) => {
      const joining = await checkIncoming({ version }, join, serverKeys);
      const { roomId } = joining.parsed;
      const room = {
        version,
        join: joining,
        state: await checkManyIncoming({ version, roomId }, state, serverKeys),
        authChain: await checkManyIncoming({ version, roomId }, authChain, serverKeys),
      };
      while (making.has(roomId)) await making.get(roomId)?.catch(() => undefined);
      const taking = takeRoom(roomId, room);
      making.set(roomId, taking);
      try {
        return await taking;
      } finally {
        making.delete(roomId);
      }
    },
  };
};
