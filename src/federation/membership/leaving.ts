import type { Clock } from '#src/platform/clock.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Random } from '#src/platform/random.ts';
import { MatrixError } from '#src/protocol/errors.ts';
import { buildPdu, MAX_DEPTH, referencesTo } from '#src/protocol/events.ts';
import { MAX_AUTH_EVENTS } from '#src/protocol/event-format.ts';
import { domainOf, isServerName } from '#src/protocol/identifiers.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import type { SigningKey } from '#src/protocol/signatures.ts';
import type { RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import { FederationError } from '#src/federation/faults.ts';
import { askInTurn } from '#src/federation/membership/in-turn.ts';
import type { OwnStep, OwnSteps } from '#src/federation/membership/own-steps.ts';
import { putUntoldLeave, readOutsideState } from '#src/federation/membership/store.ts';
import { FIRST_RETRY_MS } from '#src/federation/membership/untold-leaves.ts';

/** So long a user waits who leaves, at most. */
const BUDGET_MS = 10_000;

interface Tools {
  readonly graph: Pick<RoomGraph, 'receiveOutside'>;
  readonly database: Pick<Database, 'read'>;
  readonly steps: OwnSteps;
  readonly clock: Clock;
  readonly random: Random;
  readonly serverName: string;
  readonly signingKey: SigningKey;
  readonly isAllowed: (serverName: string) => boolean;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** Whether servers could not say anything to it, so that it makes sense to tell them later. */
export const isUnheard = (error: unknown): boolean => error instanceof MatrixError && error.status >= 500;

/** Tells one of the servers of a leave; answers the event that it took in, as JSON. */
export const tellLeave = async (
  { steps, clock, signal, log }: Pick<Tools, 'steps' | 'clock' | 'signal' | 'log'>,
  servers: readonly string[],
  step: OwnStep,
  version: string,
): Promise<string> => {
  const endsMs = clock.monotonic() + BUDGET_MS;
  const patience = () => ({ timeoutMs: Math.max(1, Math.ceil(endsMs - clock.monotonic())), signal });
  const isOver = (): boolean => signal.aborted || clock.monotonic() >= endsMs;
  return askInTurn({ servers, areGuessed: false }, 'leave this room', { isOver, isServers: () => true, log }, async (server) => {
    const made = await steps.make(server, step, patience());
    if (made.version.id !== version) throw new FederationError('nonsense', server, `${server}: the room is of version ${version}`);
    await steps.send(server, 'leave', made.event, patience());
    return made.event.json;
  });
};

/**
 * Lets users of this server decline invites and take back knocks (server-server API, "Leaving Rooms"). One of the servers that told of the room is asked; where none does it within
 * ten seconds, the user has left all the same, as far as this server and its user are concerned, and they are told later.
 */
export const createLeaving = (tools: Tools) => {
  const { graph, database, clock, random, serverName, signingKey, isAllowed } = tools;

  /** What this server makes of it by itself: an event that follows the invite or knock, for its user alone. */
  const ownLeave = (room: RoomInfo, { pdu: before, depth, eventId }: RoomEvent, userId: string, content: JsonObject): string => {
    const version = roomVersion(room.version);
    const follows = referencesTo([{ eventId, pdu: before }], version);
    return buildPdu({
      roomVersion: version,
      roomId: room.roomId,
      type: 'm.room.member',
      stateKey: userId,
      sender: userId,
      content,
      originServerTs: clock.now(),
      depth: Math.min(MAX_DEPTH, depth + 1),
      prevEvents: follows,
      authEvents: [...follows, ...before.auth_events].slice(0, MAX_AUTH_EVENTS),
      eventId: version.eventIds === 'given' ? `$${random.string(18)}:${serverName}` : undefined,
      serverName,
      signingKey,
    }).json;
  };

  return async (
    { userId, userNum }: { readonly userId: string; readonly userNum: number },
    room: RoomInfo,
    held: RoomEvent,
    content: JsonObject,
  ): Promise<RoomEvent> => {
    const told = await database.read('outside state', (reader) => readOutsideState(reader, room.num, userNum));
    const servers = [...new Set([domainOf(held.pdu.sender) ?? '', told?.server_name ?? ''])].filter(
      (name) => isServerName(name) && name !== serverName && isAllowed(name),
    );
    const step: OwnStep = { step: 'leave', roomId: room.roomId, userId, content };
    let [json, isUntold] = ['', false];
    try {
      json = await tellLeave(tools, servers, step, room.version);
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error;
      json = ownLeave(room, held, userId, content);
      isUntold = isUnheard(error);
    }
    const retryTs = clock.now() + FIRST_RETRY_MS;
    return graph.receiveOutside({ roomId: room.roomId, version: room.version }, json, (tx, { num: roomNum }, { num: eventNum }) => {
      if (!isUntold) return;
      const row = { room_num: roomNum, user_num: userNum, event_num: eventNum, servers: JSON.stringify(servers) };
      putUntoldLeave(tx, { ...row, tries: 0, retry_ts: retryTs });
    });
  };
};
