import type { Logger } from '#src/platform/logging/index.ts';
import { authEventIds, prevEventIds } from '#src/protocol/events.ts';
import { clampedInteger, isJsonObject, type JsonObject, type JsonValue } from '#src/protocol/json.ts';
import {
  type CheckedEvent,
  DroppedEventError,
  isRejected,
  MissingEventsError,
  type ReceiveOptions,
  type RoomGraph,
  type RoomInfo,
} from '#src/rooms/graph/index.ts';
import type { FederationClient, PeerRequest } from '#src/federation/client.ts';
import { FederationError } from '#src/federation/faults.ts';

/** Takes in events whose history is not here, by asking the server that sent them for it. */
export interface Gaps {
  /**
   * Receives an event that was pushed to this server. What it follows is asked for, and before that the state; an event about whose history the server does not
   * speak is not taken in. Throws `DroppedEventError`, `MissingEventsError`.
   */
  receive(room: RoomInfo, origin: string, checked: CheckedEvent, signal: AbortSignal): Promise<void>;
}

/** As many events as are asked for before an event, as Synapse does. */
const MAX_MISSING = 10;
const TIMEOUT_MS = 60_000;
/** For one event or a list of ids. */
const SHORT_TIMEOUT_MS = 10_000;
const MEBIBYTE = 1024 * 1024;
/** Of the events that the room ends in so many are named. */
const MAX_EARLIEST = 20;
/** Events asked for one by one at the same time. */
const AT_A_TIME = 5;
/** After so many that cannot be had the others are not asked for. */
const MAX_FAILURES = 20;
/** So many outliers share a transaction. */
const CHUNK = 200;

const listOf = (value: JsonValue | undefined): readonly JsonObject[] =>
  Array.isArray(value) ? (value as readonly JsonValue[]).filter((each) => isJsonObject(each)) : [];

const idsOf = (value: JsonValue | undefined): readonly string[] =>
  Array.isArray(value) ? (value as readonly JsonValue[]).filter((each) => typeof each === 'string') : [];

const depthOf = ({ depth }: JsonObject): number => (typeof depth === 'number' ? depth : 0);

/** Where an event's history is asked for. */
interface Where {
  readonly room: RoomInfo;
  readonly origin: string;
  readonly signal: AbortSignal;
}

/** Events after those that they follow and that authorise them, whatever they claim of their depth. */
const inOrderOfHistory = (events: readonly CheckedEvent[]): CheckedEvent[] => {
  const byId = new Map(events.map((event) => [event.parsed.eventId, event]));
  const ordered = new Set<CheckedEvent>();
  const visit = (event: CheckedEvent, above: ReadonlySet<string>): void => {
    const { pdu, eventId } = event.parsed;
    if (ordered.has(event) || above.has(eventId)) return;
    const path = new Set(above).add(eventId);
    for (const cited of [...prevEventIds(pdu), ...authEventIds(pdu)]) {
      const before = byId.get(cited);
      if (before !== undefined) visit(before, path);
    }
    ordered.add(event);
  };
  for (const event of events.toSorted((a, b) => clampedInteger(a.parsed.pdu.depth) - clampedInteger(b.parsed.pdu.depth)))
    visit(event, new Set());
  return [...ordered];
};

export const createGaps = ({
  graph,
  client,
  log,
}: {
  graph: Pick<RoomGraph, 'check' | 'receiveChecked' | 'receiveAuthEvents' | 'events' | 'head'>;
  client: Pick<FederationClient, 'ask'>;
  log: Logger;
}): Gaps => {
  const path = (kind: string, ...parts: readonly string[]): string =>
    `/_matrix/federation/v1/${kind}/${parts.map((part) => encodeURIComponent(part)).join('/')}`;

  /** What the server answers; undefined where it does not, and then what is asked for stays missing. */
  const ask = async ({ origin, signal }: Where, request: PeerRequest): Promise<JsonObject | undefined> => {
    try {
      // It has just spoken, so that it can be asked, even if it could not be reached before.
      return await client.ask(origin, { timeoutMs: SHORT_TIMEOUT_MS, ignoresBackOff: true, ...request, signal });
    } catch (error) {
      if (!(error instanceof FederationError)) throw error;
      log.info(`What is missing of ${request.path} could not be had: ${error.message}`);
      return undefined;
    }
  };

  const lackingAmong = async ({ num }: RoomInfo, eventIds: readonly string[]): Promise<string[]> => {
    const known = await graph.events.byIds(eventIds);
    return eventIds.filter((eventId) => known.get(eventId)?.roomNum !== num);
  };

  /** Takes in events that others cite, those that authorise before those that they authorise. */
  const takeOutliers = async ({ room, signal }: Where, pdus: readonly JsonObject[]): Promise<void> => {
    const inOrder = pdus.toSorted((a, b) => depthOf(a) - depthOf(b));
    for (let first = 0; first < inOrder.length && !signal.aborted; first += CHUNK)
      await graph.receiveAuthEvents(room, inOrder.slice(first, first + CHUNK));
  };

  const askEvents = async (where: Where, eventIds: readonly string[]): Promise<JsonObject[]> => {
    const found: JsonObject[] = [];
    const open = [...eventIds];
    let failures = 0;
    const one = async (): Promise<void> => {
      for (let eventId = open.shift(); eventId !== undefined && !where.signal.aborted; eventId = open.shift()) {
        const answer = await ask(where, { method: 'GET', path: path('event', eventId), maxBytes: MEBIBYTE });
        found.push(...listOf(answer?.pdus).slice(0, 1));
        if (answer === undefined) failures += 1;
        if (failures > MAX_FAILURES) return;
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, one));
    return found;
  };

  /** Asks for what authorises an event. */
  const fetchAuthEvents = async (where: Where, eventId: string, missing: readonly string[]): Promise<void> => {
    const answer = await ask(where, { method: 'GET', path: path('event_auth', where.room.roomId, eventId), timeoutMs: TIMEOUT_MS });
    await takeOutliers(where, listOf(answer?.auth_chain));
    const still = await lackingAmong(where.room, missing);
    if (still.length > 0) await takeOutliers(where, await askEvents(where, still));
  };

  /** The state after an event that has no place here, as the server tells: ids of state events. Undefined where it does not. */
  const stateAfter = async (where: Where, eventId: string): Promise<readonly string[] | undefined> => {
    const { room } = where;
    const query = { event_id: eventId };
    const answer = await ask(where, { method: 'GET', path: path('state_ids', room.roomId), query, timeoutMs: TIMEOUT_MS });
    if (answer === undefined) return undefined;
    const [state, authChain] = [idsOf(answer.pdu_ids), idsOf(answer.auth_chain_ids)];
    const wanted = [...new Set([...authChain, ...state])];
    const missing = await lackingAmong(room, wanted);
    if (missing.length * 10 > wanted.length && missing.length > AT_A_TIME) {
      const whole = await ask(where, { method: 'GET', path: path('state', room.roomId), query, timeoutMs: TIMEOUT_MS });
      await takeOutliers(where, [...listOf(whole?.auth_chain), ...listOf(whole?.pdus)]);
    }
    await takeOutliers(where, await askEvents(where, [...(await lackingAmong(room, wanted)), ...(await lackingAmong(room, [eventId]))]));
    const event = await graph.events.byId(eventId);
    if (event === undefined) return undefined;
    return event.pdu.state_key === undefined || isRejected(event) ? state : [...state, eventId];
  };

  /** Receives an event, filling gaps in what it cites by `onMissingPrev`, once. */
  const receiveFilling = async (
    where: Where,
    checked: CheckedEvent,
    onMissingPrev: (prev: readonly string[]) => Promise<ReceiveOptions['statesAfter']>,
  ): Promise<void> => {
    const { eventId } = checked.parsed;
    let statesAfter: ReceiveOptions['statesAfter'];
    let withoutAuthEvents = false;
    let [isAuthAsked, isPrevAsked] = [false, false];
    for (;;) {
      try {
        await graph.receiveChecked(where.room, checked, { withoutAuthEvents, ...(statesAfter !== undefined && { statesAfter }) });
        return;
      } catch (error) {
        if (!(error instanceof MissingEventsError) || where.signal.aborted) throw error;
        if (error.prev.length > 0 && isPrevAsked) throw error;
        withoutAuthEvents = isAuthAsked;
        if (error.auth.length > 0 && !isAuthAsked) {
          isAuthAsked = true;
          await fetchAuthEvents(where, eventId, error.auth);
        }
        if (error.prev.length > 0) {
          isPrevAsked = true;
          statesAfter = await onMissingPrev(error.prev);
        }
      }
    }
  };

  /** Receives an event that was asked for: where what it follows is missing in turn, upon the state that the server tells. */
  const receivePulled = async (where: Where, checked: CheckedEvent): Promise<void> =>
    receiveFilling(where, checked, async (prev) => {
      const states = new Map<string, readonly string[]>();
      for (const eventId of prev) {
        const state = await stateAfter(where, eventId);
        if (state !== undefined) states.set(eventId, state);
      }
      return states;
    });

  const fetchMissing = async (where: Where, eventId: string): Promise<void> => {
    const { extremities } = await graph.head(where.room);
    const answer = await ask(where, {
      method: 'POST',
      path: path('get_missing_events', where.room.roomId),
      content: {
        earliest_events: extremities.slice(0, MAX_EARLIEST).map((event) => event.eventId),
        latest_events: [eventId],
        limit: MAX_MISSING,
        min_depth: 0,
      },
      timeoutMs: TIMEOUT_MS,
      maxBytes: 2 * MEBIBYTE,
    });
    const pulled: CheckedEvent[] = [];
    for (const pdu of listOf(answer?.events).slice(0, 2 * MAX_MISSING)) {
      try {
        pulled.push(await graph.check(where.room, pdu));
      } catch (error) {
        if (!(error instanceof DroppedEventError)) throw error;
        log.info(`An event that ${where.origin} gave is not in order: ${error.message}`);
      }
    }
    for (const checked of inOrderOfHistory(pulled)) {
      if (where.signal.aborted) return;
      try {
        await receivePulled(where, checked);
      } catch (error) {
        if (!(error instanceof DroppedEventError) && !(error instanceof MissingEventsError)) throw error;
        log.info(`${checked.parsed.eventId}, which ${where.origin} gave, is not taken in: ${error.message}`);
      }
    }
  };

  return {
    receive: async (room, origin, checked, signal) => {
      const where = { room, origin, signal };
      await receiveFilling(where, checked, async () => {
        await fetchMissing(where, checked.parsed.eventId);
        return undefined;
      });
    },
  };
};
