import { setTimeout as after } from 'node:timers/promises';
import { entryCache } from '#src/platform/cache/index.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import { prevEventIds } from '#src/protocol/events.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import { type CheckedEvent, type Gap, MissingEventsError, type RoomGraph, type RoomInfo } from '#src/rooms/graph/index.ts';
import type { FillGaps } from '#src/rooms/history/index.ts';
import { inOrderOfHistory, leadingTo } from '#src/federation/history/order.ts';
import { logNotTaken, receivePastEvent } from '#src/federation/history/past-events.ts';
import { objectsIn, type Questions, type Where } from '#src/federation/history/questions.ts';
import type { Hosts } from '#src/federation/rooms/hosts.ts';

/** What came to pass in rooms while this server was not there, or not reached, is asked for when somebody reads so far (server-server API, Backfilling). */
export interface Backfill {
  readonly fill: FillGaps;
  /** Ends after what is being done. */
  close(): Promise<void>;
}

/** As many events as are asked for at a time, which is the most that a server gives. */
const MAX_EVENTS = 100;
/** So many gaps are filled at a time. */
const MAX_GAPS = 20;
/** What is missing so much further back, by depth, is asked for before somebody reads it. */
const AHEAD = 50;
const MAX_SERVERS = 10;
const TIMEOUT_MS = 30_000;
const MAX_BYTES = 20 * 1024 * 1024;
/** What no server had is not asked for again for so long. */
const IN_VAIN_MS = 10 * 60_000;
const MAX_IN_VAIN = 10_000;

export interface BackfillTools {
  readonly graph: Pick<RoomGraph, 'events' | 'timeline' | 'receiveChecked' | 'currentRoot'>;
  readonly questions: Questions;
  readonly hosts: Hosts;
  readonly strings: Pick<Strings, 'textOf'>;
  readonly isAllowed: (serverName: string) => boolean;
  readonly serverName: string;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Logger;
}

export const createBackfill = (tools: BackfillTools): Backfill => {
  const { graph, questions, hosts, strings, isAllowed, serverName, clock, log } = tools;
  const running = new Map<number, Promise<void>>();
  const inVain = entryCache<string, number>(MAX_IN_VAIN);
  const stopping = new AbortController();

  const isWorthAsking = ({ missingId }: Gap): boolean => (inVain.get(missingId) ?? 0) <= clock.now();

  /** Those that have no place in the room's history. */
  const unplacedAmong = async (eventIds: readonly string[]): Promise<string[]> => {
    const known = await graph.events.byIds(eventIds);
    return eventIds.filter((eventId) => known.get(eventId)?.stateRoot === undefined);
  };

  /** Who may have it: the servers of those who went on from it, then whoever is in the room. */
  const serversFor = async (room: RoomInfo, gaps: readonly Gap[]): Promise<string[]> => {
    const senders = await strings.textOf(gaps.map(({ senderNum }) => senderNum));
    const inRoom = await hosts.at(room, await graph.currentRoot(room));
    const all = new Set([...[...senders.values()].map((userId) => domainOf(userId) ?? ''), ...inRoom]);
    return [...all].filter((name) => name !== '' && name !== serverName && isAllowed(name)).slice(0, MAX_SERVERS);
  };

  const receiveOne = async (where: Where, checked: CheckedEvent): Promise<void> => receivePastEvent(tools, where, checked);

  /** Receives events that follow what is here or each other, in one transaction; those that lack something one by one. */
  const receiveMany = async (where: Where, events: readonly CheckedEvent[]): Promise<void> => {
    const done = await Promise.allSettled(events.map(async (each) => graph.receiveChecked(where.room, each, { isPast: true })));
    for (const [index, each] of done.entries()) {
      const checked = events[index];
      if (each.status === 'fulfilled' || checked === undefined || where.signal.aborted) continue;
      if (each.reason instanceof MissingEventsError) await receiveOne(where, checked);
      else logNotTaken(log, where, checked, each.reason);
    }
  };

  /** Takes in what a server has before these events, and the events themselves. */
  const askOne = async (where: Where, missing: readonly string[]): Promise<void> => {
    const query = { v: missing, limit: String(MAX_EVENTS) };
    const answer = await questions.ask(where, 'backfill', [where.room.roomId], {
      method: 'GET',
      query,
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_BYTES,
    });
    const pdus = objectsIn(answer?.pdus).slice(0, MAX_EVENTS + missing.length);
    const events = inOrderOfHistory(leadingTo(await questions.check(where, pdus), missing));
    const given = new Set(events.map(({ parsed }) => parsed.eventId));
    const cited = events.flatMap(({ parsed }) => prevEventIds(parsed.pdu)).filter((eventId) => !given.has(eventId));
    const unknown = new Set(await unplacedAmong([...new Set(cited)]));
    const together: CheckedEvent[] = [];
    for (const each of events) {
      if (where.signal.aborted) return;
      if (!prevEventIds(each.parsed.pdu).some((eventId) => unknown.has(eventId))) together.push(each);
      else {
        await receiveMany(where, together.splice(0));
        await receiveOne(where, each);
      }
    }
    await receiveMany(where, together);
  };

  const ask = async (room: RoomInfo, gaps: readonly Gap[]): Promise<void> => {
    const missing = [...new Set(gaps.map(({ missingId }) => missingId))];
    for (const origin of await serversFor(room, gaps)) {
      if (stopping.signal.aborted) return;
      await askOne({ room, origin, signal: stopping.signal, ignoresBackOff: false }, missing);
      // What is still missing then is asked for with what has come to light before it.
      if ((await unplacedAmong(missing)).length < missing.length) return;
    }
    for (const missingId of missing) inVain.set(missingId, clock.now() + IN_VAIN_MS);
  };

  /** Asks for gaps of a room, unless some of it are being asked for. */
  const begin = (room: RoomInfo, gaps: readonly Gap[]): Promise<void> => {
    const known = running.get(room.num);
    if (known !== undefined) return known;
    const work = ask(room, gaps)
      .catch((error: unknown) => log.error({ err: error }, `What is missing of ${room.roomId} could not be asked for`))
      .finally(() => running.delete(room.num));
    running.set(room.num, work);
    return work;
  };

  return {
    fill: async (room, { after: from, upTo }, budgetMs) => {
      const gaps = (await graph.timeline.gaps(room.num, from - AHEAD, upTo, MAX_GAPS)).filter(isWorthAsking);
      if (gaps.length === 0 || stopping.signal.aborted) return 'whole';
      const wanted = gaps.filter(({ depth }) => depth > from);
      const work = begin(room, wanted.length === 0 ? gaps : wanted);
      if (wanted.length === 0) return 'whole';
      if (budgetMs <= 0) return 'waiting';
      const stop = new AbortController();
      const timeUp = after(budgetMs, 'waiting' as const, { signal: stop.signal, ref: false }).catch(() => 'waiting' as const);
      const filling = await Promise.race([work.then(() => 'asked' as const), timeUp]);
      stop.abort();
      return filling;
    },
    close: async () => {
      stopping.abort();
      await Promise.all(running.values());
    },
  };
};
