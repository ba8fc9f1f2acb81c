import type { Logger } from '#src/platform/logging/index.ts';
import { isEventId } from '#src/protocol/identifiers.ts';
import type { RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { FetchByTime, Moment } from '#src/rooms/history/index.ts';
import { receivePastEvent } from '#src/federation/history/past-events.ts';
import { objectsIn, type Questions, type Where } from '#src/federation/history/questions.ts';
import type { Hosts } from '#src/federation/rooms/hosts.ts';

/** Brings in the event nearest to a moment from a server that has more of a room's history (server-server API, `timestamp_to_event`). */
export interface ByTime {
  readonly fetch: FetchByTime;
  /** Ends after what is being done. */
  close(): Promise<void>;
}

/** Somebody waits for the answer. */
const TIMEOUT_MS = 5000;
const MAX_SERVERS = 4;
const MAX_BYTES = 1024 * 1024;

export interface ByTimeTools {
  readonly graph: Pick<RoomGraph, 'events' | 'currentRoot'>;
  readonly questions: Questions;
  readonly hosts: Hosts;
  readonly isAllowed: (serverName: string) => boolean;
  readonly serverName: string;
  readonly log: Logger;
}

export const createByTime = (tools: ByTimeTools): ByTime => {
  const { graph, questions, hosts, isAllowed, serverName } = tools;
  const running = new Map<number, Promise<boolean>>();
  const stopping = new AbortController();

  const isHere = async (room: RoomInfo, eventId: string): Promise<boolean> => {
    const event = await graph.events.byId(eventId);
    return event?.roomNum === room.num && event.stateRoot !== undefined;
  };

  /** Takes in what one server says is nearest, if it is not here yet; answers whether it is here now. */
  const fetchFrom = async (where: Where, { ts, direction }: Moment): Promise<boolean> => {
    const { room } = where;
    const query = { ts: String(ts), dir: direction };
    const found = await questions.ask(where, 'timestamp_to_event', [room.roomId], { method: 'GET', query, timeoutMs: TIMEOUT_MS });
    const eventId = found?.event_id;
    if (!isEventId(eventId) || (await isHere(room, eventId))) return false;
    const answer = await questions.ask(where, 'event', [eventId], { method: 'GET', timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES });
    const checked = await questions.check(where, objectsIn(answer?.pdus).slice(0, 1));
    const wanted = checked.find(({ parsed }) => parsed.eventId === eventId);
    if (wanted === undefined) return false;
    await receivePastEvent(tools, where, wanted);
    return isHere(room, eventId);
  };

  const fetch = async (room: RoomInfo, moment: Moment): Promise<boolean> => {
    const inRoom = await hosts.at(room, await graph.currentRoot(room));
    const others = [...inRoom].filter((name) => name !== serverName && isAllowed(name)).slice(0, MAX_SERVERS);
    for (const origin of others) {
      if (stopping.signal.aborted) return false;
      if (await fetchFrom({ room, origin, signal: stopping.signal, ignoresBackOff: false }, moment)) return true;
    }
    return false;
  };

  return {
    fetch: async (room, moment) => {
      // One at a time for each room, so that nobody can have many asked; who comes meanwhile is answered with what is here afterwards.
      const known = running.get(room.num);
      if (known !== undefined) return known;
      const work = fetch(room, moment).finally(() => running.delete(room.num));
      running.set(room.num, work);
      return work;
    },
    close: async () => {
      stopping.abort();
      await Promise.allSettled(running.values());
    },
  };
};
