import { forbidden, invalidParam, notFound } from '#src/protocol/errors.ts';
import { prevEventIds } from '#src/protocol/events.ts';
import { isRejected, type RoomEvent, type RoomGraph, type RoomInfo } from '#src/rooms/graph/index.ts';
import { type EventAtTime, eventAtTime, type Moment, nearestEvent, type ReplacedState } from '#src/rooms/history/index.ts';
import { checkServerAcl } from '#src/federation/rooms/acl.ts';
import type { Hosts } from '#src/federation/rooms/hosts.ts';
import { stateBefore } from '#src/federation/rooms/state-before.ts';
import type { ServerVisibility } from '#src/federation/rooms/visibility.ts';

/** The state before an event, and all that authorises it. */
export interface StateBefore {
  readonly state: readonly RoomEvent[];
  readonly authChain: readonly RoomEvent[];
}

/** Which events a server lacks, of those that some of the latest follow. */
export interface Gap {
  /** The events that it has. */
  readonly earliest: readonly string[];
  /** The events whose history it lacks. */
  readonly latest: readonly string[];
  readonly limit: number;
  readonly minDepth: number;
}

/** What servers read of rooms that they are in. All throw `forbidden` for servers that are not, or that the room's server ACL keeps out. */
export interface PeerReading {
  /** The room, for who may take part in it; also throws `notFound` for one that is not known. */
  enter(origin: string, roomId: string): Promise<RoomInfo>;
  /** One event as a PDU in JSON. Throws `notFound`. */
  event(origin: string, eventId: string): Promise<string>;
  /** Throws `notFound` for an event that is not of the room. */
  stateBefore(origin: string, roomId: string, eventId: string): Promise<StateBefore>;
  authChain(origin: string, roomId: string, eventId: string): Promise<readonly RoomEvent[]>;
  /** Events before some, the newest first, those included; PDUs in JSON. `limit` is at most 100. */
  backfill(origin: string, roomId: string, from: readonly string[], limit: number): Promise<string[]>;
  /** The event that the server may read nearest to a moment. Throws `notFound`. */
  byTime(origin: string, roomId: string, moment: Moment): Promise<EventAtTime>;
  /** Events between those that the server has and those that it has heard of, oldest first; at most 20. */
  missing(origin: string, roomId: string, gap: Gap): Promise<string[]>;
}

const MAX_BACKFILL = 100;
const MAX_MISSING = 20;

const isDeeper = (a: RoomEvent, b: RoomEvent): boolean =>
  a.depth > b.depth || (a.depth === b.depth && (a.position ?? 0) > (b.position ?? 0));

export const createPeerReading = ({
  graph,
  hosts,
  visibility,
  replacedState,
}: {
  graph: Pick<RoomGraph, 'room' | 'rooms' | 'events' | 'timeline' | 'stateEvents' | 'currentState' | 'authChain'>;
  hosts: Hosts;
  visibility: ServerVisibility;
  replacedState: ReplacedState;
}): PeerReading => {
  const enter: PeerReading['enter'] = async (origin, roomId) => {
    const room = await graph.room(roomId);
    if (room === undefined) throw notFound(`Room ${roomId} is not known to this server`);
    await checkServerAcl(graph, room, origin);
    if (!(await hosts.isIn(room, origin))) throw forbidden('Host not in room.');
    return room;
  };

  const eventOf = async (room: RoomInfo, eventId: string): Promise<RoomEvent> => {
    const event = await graph.events.byId(eventId);
    if (event?.roomNum !== room.num || isRejected(event)) throw notFound(`Could not find event ${eventId}`);
    return event;
  };

  /** Events that some follow, the deepest first, as far as they are here and pass. */
  const walkBack = async (
    room: RoomInfo,
    from: readonly string[],
    limit: number,
    passes: (event: RoomEvent) => boolean,
  ): Promise<RoomEvent[]> => {
    const seen = new Set(from);
    const ahead: RoomEvent[] = [];
    const found: RoomEvent[] = [];
    const add = async (ids: readonly string[]): Promise<void> => {
      for (const event of (await graph.events.byIds(ids)).values()) {
        if (event.roomNum === room.num && event.stateRoot !== undefined && passes(event)) ahead.push(event);
      }
    };
    await add(from);
    while (ahead.length > 0 && found.length < limit) {
      const next = ahead.reduce((deepest, each) => (isDeeper(each, deepest) ? each : deepest));
      ahead.splice(ahead.indexOf(next), 1);
      found.push(next);
      const unseen = prevEventIds(next.pdu).filter((id) => !seen.has(id));
      for (const id of unseen) seen.add(id);
      await add(unseen);
    }
    return found;
  };

  return {
    enter,
    event: async (origin, eventId) => {
      const event = await graph.events.byId(eventId);
      const room = event && (await graph.rooms([event.roomNum])).get(event.roomNum);
      if (event === undefined || room === undefined || isRejected(event)) throw notFound('Event not found.');
      await enter(origin, room.roomId);
      const [text] = await visibility.shown(origin, room, [event]);
      return text as string;
    },
    stateBefore: async (origin, roomId, eventId) => {
      const room = await enter(origin, roomId);
      const event = await eventOf(room, eventId);
      if (event.stateRoot === undefined) throw notFound(`The state at event ${eventId} is not known`);
      const state = await stateBefore({ graph, replacedState }, room, event);
      return { state, authChain: await graph.authChain(state) };
    },
    authChain: async (origin, roomId, eventId) => {
      const room = await enter(origin, roomId);
      return graph.authChain([await eventOf(room, eventId)]);
    },
    byTime: async (origin, roomId, moment) => {
      const room = await enter(origin, roomId);
      const found = await nearestEvent(graph.timeline, room, moment, async (events) => visibility.readable(origin, room, events));
      return eventAtTime(found, moment);
    },
    backfill: async (origin, roomId, from, limit) => {
      const room = await enter(origin, roomId);
      const events = await walkBack(room, from, Math.min(limit, MAX_BACKFILL), (event) => !isRejected(event));
      return visibility.shown(origin, room, events);
    },
    missing: async (origin, roomId, { earliest, latest, limit, minDepth }) => {
      if (limit < 0) throw invalidParam("'limit' must not be negative");
      const room = await enter(origin, roomId);
      const has = new Set(earliest);
      const before = [...(await graph.events.byIds(latest)).values()]
        .filter((event) => event.roomNum === room.num)
        .flatMap((event) => prevEventIds(event.pdu));
      const isLacking = (event: RoomEvent): boolean => !has.has(event.eventId) && event.depth >= minDepth && !isRejected(event);
      const events = await walkBack(room, [...new Set(before)], Math.min(limit, MAX_MISSING), isLacking);
      return visibility.shown(origin, room, events.toReversed());
    },
  };
};
