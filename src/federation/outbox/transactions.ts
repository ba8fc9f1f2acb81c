import type { Clock } from '#src/platform/clock.ts';
import type { RoomEvent, RoomGraph } from '#src/rooms/graph/index.ts';
import { type Addressees, isAmong } from '#src/federation/outbox/addressees.ts';
import type { EduSource, TakenEdus } from '#src/federation/outbox/edus.ts';
import type { Queue, Waiting } from '#src/federation/outbox/queue.ts';

/** A transaction for one server (server-server API, Transactions). */
export interface HeldTransaction {
  /** The same however often it is sent. */
  readonly id: string;
  /** The body, as canonical JSON. */
  readonly text: string;
  readonly events: readonly Waiting[];
  /** The rooms in which the server has caught up with it, up to a position. */
  readonly caughtUp: ReadonlyMap<number, number>;
  readonly edus: readonly TakenEdus[];
  readonly pduCount: number;
  /** There is nothing to send after all. */
  readonly isEmpty: boolean;
}

const MAX_PDUS = 50;
const MAX_EDUS = 100;
/** A transaction is closed when it is larger than this, so that many at once stay in memory. */
const MAX_BYTES = 1024 * 1024;
/** So many events of a room are looked at together. */
const PAGE = 100;

interface Pdus {
  readonly texts: string[];
  readonly events: readonly Waiting[];
  readonly caughtUp: ReadonlyMap<number, number>;
}

/** Makes transactions of what servers have yet to be sent. */
export const createTransactions = ({
  graph,
  addressees,
  sources,
  clock,
  serverName,
}: {
  graph: Pick<RoomGraph, 'events' | 'timeline'>;
  addressees: Addressees;
  sources: readonly EduSource[];
  clock: Clock;
  serverName: string;
}): { next(queue: Queue): Promise<HeldTransaction | undefined> } => {
  const startedMs = clock.now();
  let made = 0;

  /** The last event of a room that a server has to be sent, of those after a position. */
  const latest = async (name: string, roomNum: number, after: number): Promise<RoomEvent | undefined> => {
    for (let upTo = Number.MAX_SAFE_INTEGER; ;) {
      const { events, limited } = await graph.timeline.newest(roomNum, after, upTo, PAGE);
      for (const event of events.toReversed()) {
        const servers = await addressees.of(event);
        if (servers !== undefined && isAmong(servers, name)) return event;
      }
      const oldest = events[0]?.position;
      if (!limited || oldest === undefined) return undefined;
      upTo = oldest - 1;
    }
  };

  const fromGaps = async ({ name, gaps }: Queue): Promise<Pdus> => {
    const caughtUp = new Map<number, number>();
    const found: RoomEvent[] = [];
    for (const [roomNum, { from, last }] of gaps) {
      if (found.length === MAX_PDUS) break;
      const event = await latest(name, roomNum, from - 1);
      caughtUp.set(roomNum, event?.position ?? last);
      if (event !== undefined) found.push(event);
    }
    found.sort((a, b) => (a.position ?? 0) - (b.position ?? 0));
    return { texts: found.map(({ json }) => json), events: [], caughtUp };
  };

  const fromEvents = async ({ events }: Queue): Promise<Pdus> => {
    const first = events.slice(0, MAX_PDUS);
    const held = await graph.events.byNums(first.map(({ num }) => num));
    const texts: string[] = [];
    const taken: Waiting[] = [];
    let bytes = 0;
    for (const event of first) {
      if (bytes > MAX_BYTES) break;
      taken.push(event);
      // One that was purged meanwhile is not missed.
      const json = held.get(event.num)?.json;
      if (json === undefined) continue;
      texts.push(json);
      bytes += json.length;
    }
    return { texts, events: taken, caughtUp: new Map() };
  };

  return {
    next: async (queue) => {
      const pdus = await (queue.gaps.size > 0 ? fromGaps(queue) : fromEvents(queue));
      const edus: TakenEdus[] = [];
      let [left, bytes] = [MAX_EDUS, 0];
      for (const source of sources) {
        if (left === 0 || bytes > MAX_BYTES || !source.isWaiting(queue.name)) continue;
        const taken = await source.take(queue.name, { count: left, bytes: MAX_BYTES - bytes });
        if (taken === undefined) continue;
        edus.push(taken);
        left -= taken.texts.length;
        for (const text of taken.texts) bytes += text.length;
      }
      if (pdus.events.length === 0 && pdus.caughtUp.size === 0 && edus.length === 0) return undefined;
      made += 1;
      const eduText = edus.flatMap(({ texts }) => texts).join(',');
      const head = `"origin":${JSON.stringify(serverName)},"origin_server_ts":${String(clock.now())}`;
      return {
        id: `${String(startedMs)}-${String(made)}`,
        text: `{${eduText === '' ? '' : `"edus":[${eduText}],`}${head},"pdus":[${pdus.texts.join(',')}]}`,
        events: pdus.events,
        caughtUp: pdus.caughtUp,
        edus,
        pduCount: pdus.texts.length,
        isEmpty: pdus.texts.length === 0 && edus.length === 0,
      };
    },
  };
};
