import { domainOf } from '#src/protocol/identifiers.ts';
import type { ParsedEvent } from '#src/protocol/events.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Transaction } from '#src/platform/database/types.ts';
import type { Events } from '#src/rooms/graph/event-cache.ts';
import { type RoomEvent, type RoomInfo, UNVERIFIED } from '#src/rooms/graph/events.ts';
import type { HotRooms } from '#src/rooms/graph/hot-rooms.ts';
import type { Numbers } from '#src/rooms/graph/numbers.ts';
import { judgeAgain } from '#src/rooms/graph/receive/again.ts';
import { checkIncoming, checkManyIncoming, type Incoming, type PduSource } from '#src/rooms/graph/receive/incoming.ts';
import { receiveEvent, type ReceiveOptions } from '#src/rooms/graph/receive/index.ts';
import { DroppedEventError } from '#src/rooms/graph/receive/missing.ts';
import { receiveOutliers } from '#src/rooms/graph/receive/outliers.ts';
import { receiveOutside } from '#src/rooms/graph/receive/outside.ts';
import type { ServerKeys } from '#src/rooms/graph/receive/server-keys.ts';
import { receiveWholeRoom, type WholeRoom } from '#src/rooms/graph/receive/whole-room.ts';
import type { RoomWriter } from '#src/rooms/graph/writer.ts';

/** A room of which this server may know nothing yet. */
export interface RoomName {
  readonly roomId: string;
  /** The room's version id, as another server says; that of a room that this server has been in is known. */
  readonly version: string;
}

/** An event from elsewhere whose form and signatures are in order. */
export type CheckedEvent = Incoming;

/** A room that is about to be taken in. */
export interface ExpectedRoom {
  /** As it will be: it has its number, by which what comes before it can be kept. Nothing can be read of it or written to it. */
  readonly room: RoomInfo;
  /** It is expected no more. */
  done(): void;
}

/** How events that other servers made come into the rooms. */
export interface Receiver {
  /** Checks an event by itself: form, signatures, content hash. Throws `DroppedEventError` for one that is not wholly in order. */
  checkEvent(room: RoomName, source: PduSource): Promise<ParsedEvent>;
  /**
   * Checks what can be checked of an event without its room's history, for `receiveChecked`: its form and signatures; one whose content hash does not match is kept in its
   * redacted form. May take as long as asking for keys takes. Throws `DroppedEventError`, also when a key cannot be had.
   */
  check(room: RoomInfo, source: PduSource): Promise<CheckedEvent>;
  /**
   * Takes in what became of a user of this server in a room that this server is not in: an invite, a knock, or the end of one. The user alone is shown it, and it changes no
   * state. `alongside` writes in the same transaction, which may run twice. Resolves once it is durable, to the event. Throws `DroppedEventError`.
   */
  receiveOutside(
    room: RoomName,
    source: PduSource,
    alongside: (tx: Transaction, room: RoomInfo, event: RoomEvent) => Promise<void> | void,
  ): Promise<RoomEvent>;
  /**
   * Receives an event of a room (server-server API, "Checks performed on receipt of a PDU"). Resolves once it is durable, to the event with what became of it
   * in `facts`, or to undefined when it was here already. Throws `DroppedEventError` for what is no event of the room or not its sender's, and
   * `MissingEventsError` when it cites what is not here; with `isLetIn` also `RefusedEventError`.
   */
  receive(room: RoomInfo, source: PduSource, options?: ReceiveOptions): Promise<RoomEvent | undefined>;
  /** The same for an event that is checked already. Events of one room that are given in one turn are received in that order, and share a transaction. */
  receiveChecked(room: RoomInfo, checked: CheckedEvent, options?: ReceiveOptions): Promise<RoomEvent | undefined>;
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
  /** Gives a room that is about to be taken in, and may not be known yet, the number that it will have. One at a time for each room. */
  expectRoom(name: RoomName): Promise<ExpectedRoom>;
}

export interface ReceiverTools {
  readonly writer: RoomWriter;
  readonly events: Events;
  readonly hotRooms: HotRooms;
  readonly strings: Strings;
  readonly roomNumbers: Numbers;
  readonly serverKeys: ServerKeys;
  /** Writes down that a room which nobody here has been in is of another version than was said of it. */
  readonly reviseVersion: (room: RoomInfo) => Promise<void>;
}

/** The strings of an event that are numbered. */
const stringsOf = ({ parsed: { pdu } }: Incoming): string[] => {
  const server = pdu.type === 'm.room.member' ? domainOf(pdu.state_key ?? '') : undefined;
  return [pdu.type, pdu.sender, ...(pdu.state_key === undefined ? [] : [pdu.state_key]), ...(server === undefined ? [] : [server])];
};

export const createReceiver = ({ writer, events, hotRooms, strings, roomNumbers, serverKeys, reviseVersion }: ReceiverTools): Receiver => {
  // Two servers may let us into one room at a time, but it is made once.
  const making = new Map<string, Promise<unknown>>();
  const expected = new Map<string, number>();

  const oneByOne = async <T>(roomId: string, make: () => Promise<T>): Promise<T> => {
    while (making.has(roomId)) await making.get(roomId)?.catch(() => undefined);
    const made = make();
    making.set(roomId, made);
    try {
      return await made;
    } finally {
      making.delete(roomId);
    }
  };

  const roomOf = async (roomNum: number): Promise<RoomInfo | undefined> => (await hotRooms.byNums([roomNum])).get(roomNum);

  /** What memory has of the event now; it is there since it was written. */
  const asItIs = async (eventId: string): Promise<RoomEvent> => (await events.byId(eventId)) as RoomEvent;

  /** The room as it is known, or one that is to be made. */
  const knownOrNew = async ({ roomId, version }: RoomName): Promise<{ info: RoomInfo; write: RoomWriter['write'] }> => {
    const known = await hotRooms.byId(roomId);
    if (known !== undefined) return { info: known, write: writer.write };
    return { info: { num: expected.get(roomId) ?? (await roomNumbers.next()), roomId, version }, write: writer.create };
  };

  const takeRoom = async (roomId: string, room: WholeRoom<Incoming>): Promise<{ room: RoomInfo; join: RoomEvent }> => {
    await strings.intern([...new Set([...room.authChain, ...room.state].flatMap(stringsOf))]);
    let { info, write } = await knownOrNew({ roomId, version: room.version });
    if (info.version !== room.version && (await writer.head(info)).extremities.length === 0) {
      info = { ...info, version: room.version };
      await reviseVersion(info);
    }
    await write(info, async (draft) => draft.make(async (bench, head) => receiveWholeRoom(bench, head, room)));
    return { room: info, join: await asItIs(room.join.parsed.eventId) };
  };

  const checkWhole = async (room: RoomName, source: PduSource): Promise<Incoming> => {
    const incoming = await checkIncoming(room, source, serverKeys);
    const rejection = incoming.fault ?? incoming.parsed.rejection;
    if (rejection !== undefined) throw new DroppedEventError(`${incoming.parsed.eventId}: ${rejection}`);
    return incoming;
  };

  const receiveChecked: Receiver['receiveChecked'] = async (room, checked, options) => {
    const made = await writer.write(room, async (draft) => draft.make(async (bench, head) => receiveEvent(bench, head, checked, options)));
    return made && asItIs(checked.parsed.eventId);
  };

  return {
    check: async (room, source) => {
      const incoming = await checkIncoming(room, source, serverKeys);
      if ((incoming.facts & UNVERIFIED) !== 0) throw new DroppedEventError(`${incoming.parsed.eventId}: ${incoming.fault ?? ''}`);
      return incoming;
    },
    receiveChecked,
    checkEvent: async (room, source) => (await checkWhole(room, source)).parsed,
    receiveOutside: async (room, source, alongside) => {
      const incoming = await checkWhole(room, source);
      return oneByOne(room.roomId, async () => {
        const { info, write } = await knownOrNew(room);
        await write(info, async (draft) => {
          const made = await draft.make(async (bench, head) => receiveOutside(bench, head, incoming));
          const event = made?.drafted[0]?.event;
          if (event !== undefined) draft.alongside((tx) => alongside(tx, info, event));
        });
        return asItIs(incoming.parsed.eventId);
      });
    },
    receive: async (room, source, options) => receiveChecked(room, await checkIncoming(room, source, serverKeys), options),
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
      return oneByOne(roomId, async () => takeRoom(roomId, room));
    },
    expectRoom: async ({ roomId, version }) =>
      oneByOne(roomId, async () => {
        const num = (await hotRooms.byId(roomId))?.num ?? (await roomNumbers.next());
        expected.set(roomId, num);
        return { room: { num, roomId, version }, done: () => void expected.delete(roomId) };
      }),
  };
};
