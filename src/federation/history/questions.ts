import type { Logger } from '#src/platform/logging/index.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '#src/protocol/json.ts';
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

/** Of which room which server is asked. */
export interface Where {
  readonly room: RoomInfo;
  readonly origin: string;
  readonly signal: AbortSignal;
  /** It has just spoken, so that it can be asked, even if it could not be reached before. */
  readonly ignoresBackOff: boolean;
}

/** What an event is received with, beside the auth events that are asked for. */
type Receiving = Pick<ReceiveOptions, 'isPast' | 'statesAfter'>;

/** Questions about a room's history to one server. What it does not answer stays missing. */
export interface Questions {
  /** What the server answers; undefined where it does not. */
  ask(where: Where, kind: string, parts: readonly string[], request: Omit<PeerRequest, 'path'>): Promise<JsonObject | undefined>;
  /** Those of the PDUs that are in order. */
  check(where: Where, pdus: readonly JsonObject[]): Promise<CheckedEvent[]>;
  /** The state before an event, as the server tells: ids of state events, which are here now. */
  stateBefore(where: Where, eventId: string): Promise<readonly string[] | undefined>;
  /** The state after an event that has no place here, in the same way. */
  stateAfter(where: Where, eventId: string): Promise<readonly string[] | undefined>;
  /**
   * Receives an event; what authorises it is asked for, and what it follows by `onMissingPrev`, once: the answer is what is told of the states after it. Throws
   * `DroppedEventError`, `MissingEventsError`.
   */
  receive(
    where: Where,
    checked: CheckedEvent,
    onMissingPrev: (prev: readonly string[]) => Promise<ReceiveOptions['statesAfter']>,
    receiving?: Receiving,
  ): Promise<void>;
}

const TIMEOUT_MS = 60_000;
/** For one event or a list of ids. */
const SHORT_TIMEOUT_MS = 10_000;
const MEBIBYTE = 1024 * 1024;
/** Events asked for one by one at the same time. */
const AT_A_TIME = 5;
/** After so many that cannot be had the others are not asked for. */
const MAX_FAILURES = 20;
/** So many outliers share a transaction. */
const CHUNK = 200;

/** The objects in a list that a server has given. */
export const objectsIn = (value: JsonValue | undefined): readonly JsonObject[] =>
  Array.isArray(value) ? (value as readonly JsonValue[]).filter((each) => isJsonObject(each)) : [];

const idsIn = (value: JsonValue | undefined): readonly string[] =>
  Array.isArray(value) ? (value as readonly JsonValue[]).filter((each) => typeof each === 'string') : [];

const depthOf = ({ depth }: JsonObject): number => (typeof depth === 'number' ? depth : 0);

export const createQuestions = ({
  graph,
  client,
  log,
}: {
  graph: Pick<RoomGraph, 'check' | 'receiveChecked' | 'receiveAuthEvents' | 'events'>;
  client: Pick<FederationClient, 'ask'>;
  log: Logger;
}): Questions => {
  const ask: Questions['ask'] = async ({ origin, signal, ignoresBackOff }, kind, parts, request) => {
    const path = `/_matrix/federation/v1/${kind}/${parts.map((part) => encodeURIComponent(part)).join('/')}`;
    try {
      return await client.ask(origin, { timeoutMs: SHORT_TIMEOUT_MS, ignoresBackOff, ...request, path, signal });
    } catch (error) {
      if (!(error instanceof FederationError)) throw error;
      log.info(`What is missing of ${path} could not be had: ${error.message}`);
      return undefined;
    }
  };

  const check: Questions['check'] = async ({ room, origin }, pdus) => {
    const checked: CheckedEvent[] = [];
    for (const pdu of pdus) {
      try {
        checked.push(await graph.check(room, pdu));
      } catch (error) {
        if (!(error instanceof DroppedEventError)) throw error;
        log.info(`An event that ${origin} gave is not in order: ${error.message}`);
      }
    }
    return checked;
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
        const answer = await ask(where, 'event', [eventId], { method: 'GET', maxBytes: MEBIBYTE });
        found.push(...objectsIn(answer?.pdus).slice(0, 1));
        if (answer === undefined) failures += 1;
        if (failures > MAX_FAILURES) return;
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, one));
    return found;
  };

  /** Asks for what authorises an event. */
  const fetchAuthEvents = async (where: Where, eventId: string, missing: readonly string[]): Promise<void> => {
    const answer = await ask(where, 'event_auth', [where.room.roomId, eventId], { method: 'GET', timeoutMs: TIMEOUT_MS });
    await takeOutliers(where, objectsIn(answer?.auth_chain));
    const still = await lackingAmong(where.room, missing);
    if (still.length > 0) await takeOutliers(where, await askEvents(where, still));
  };

  const stateBefore: Questions['stateBefore'] = async (where, eventId) => {
    const { room } = where;
    const request = { method: 'GET', query: { event_id: eventId }, timeoutMs: TIMEOUT_MS } as const;
    const answer = await ask(where, 'state_ids', [room.roomId], request);
    if (answer === undefined) return undefined;
    const [state, authChain] = [idsIn(answer.pdu_ids), idsIn(answer.auth_chain_ids)];
    const wanted = [...new Set([...authChain, ...state])];
    const missing = await lackingAmong(room, wanted);
    if (missing.length * 10 > wanted.length && missing.length > AT_A_TIME) {
      const whole = await ask(where, 'state', [room.roomId], request);
      await takeOutliers(where, [...objectsIn(whole?.auth_chain), ...objectsIn(whole?.pdus)]);
    }
    await takeOutliers(where, await askEvents(where, await lackingAmong(room, wanted)));
    return state;
  };

  return {
    ask,
    check,
    stateBefore,
    stateAfter: async (where, eventId) => {
      const state = await stateBefore(where, eventId);
      if (state === undefined) return undefined;
      await takeOutliers(where, await askEvents(where, await lackingAmong(where.room, [eventId])));
      const event = await graph.events.byId(eventId);
      if (event === undefined) return undefined;
      return event.pdu.state_key === undefined || isRejected(event) ? state : [...state, eventId];
    },
    receive: async (where, checked, onMissingPrev, receiving = {}) => {
      const { eventId } = checked.parsed;
      let { statesAfter } = receiving;
      let withoutAuthEvents = false;
      let [isAuthAsked, isPrevAsked] = [false, false];
      for (;;) {
        try {
          await graph.receiveChecked(where.room, checked, {
            ...receiving,
            withoutAuthEvents,
            ...(statesAfter !== undefined && { statesAfter }),
          });
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
    },
  };
};
