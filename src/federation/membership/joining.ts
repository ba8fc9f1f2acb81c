import type { Clock } from '#src/platform/clock.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import { MatrixError } from '#src/protocol/errors.ts';
import { parsePdu } from '#src/protocol/events.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import { isJsonObject, type JsonObject, member } from '#src/protocol/json.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import {
  DroppedEventError,
  isAccepted,
  MissingEventsError,
  type RoomEvent,
  type RoomGraph,
  type RoomInfo,
} from '#src/rooms/graph/index.ts';
import type { RemoteStep } from '#src/rooms/membership/index.ts';
import { FederationError } from '#src/federation/faults.ts';
import type { FindCandidates } from '#src/federation/membership/candidates.ts';
import type { Complexity } from '#src/federation/membership/complexity.ts';
import { askInTurn } from '#src/federation/membership/in-turn.ts';
import type { JoinAnswer } from '#src/federation/membership/join-answer.ts';
import type { OwnEvent, OwnStep, OwnSteps } from '#src/federation/membership/own-steps.ts';
import type { Arrivals } from '#src/federation/rooms/arrivals.ts';

/** For a template. */
const MAKE_TIMEOUT_MS = 30_000;
/** For the state of a room, which takes a server long to put together and to send when the room is large. */
const SEND_TIMEOUT_MS = 300_000;
/** After so long no further server is asked. */
const BUDGET_MS = 120_000;

/** These say something about the room or the user; another server may say otherwise. */
export const isServersWord = ({ errcode }: MatrixError): boolean => errcode === 'M_INCOMPATIBLE_ROOM_VERSION';

interface Tools {
  readonly graph: Pick<RoomGraph, 'room' | 'memberships' | 'events' | 'receiveRoom'>;
  readonly steps: OwnSteps;
  readonly candidates: FindCandidates;
  readonly arrivals: Arrivals;
  readonly complexity: Complexity;
  /** Takes an event that a server gave into a room that this server is in. */
  readonly takeIn: (room: RoomInfo, origin: string, pdu: JsonObject, signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

const nonsense = (server: string, why: string): FederationError => new FederationError('nonsense', server, `${server}: ${why}`);

/**
 * The join with the signature of the server whose user lets in by a restricted rule, which that server's answer has. All else stays as this server has made it.
 */
const withAuthority = (server: string, { event, version }: OwnEvent, { event: echoed }: JoinAnswer): JsonObject => {
  const own = event.pdu as unknown as JsonObject;
  const { join_authorised_via_users_server: authoriser } = event.pdu.content;
  const authority = typeof authoriser === 'string' ? domainOf(authoriser) : undefined;
  if (authority === undefined || echoed === undefined) return own;
  try {
    if (parsePdu(echoed, version).eventId !== event.eventId) throw nonsense(server, 'it answered with another join');
  } catch (error) {
    throw error instanceof MatrixError ? nonsense(server, `it answered with no event: ${error.message}`) : error;
  }
  const theirs = isJsonObject(echoed.signatures) ? member(echoed.signatures, authority) : undefined;
  return isJsonObject(theirs) ? { ...own, signatures: { ...event.pdu.signatures, [authority]: theirs } } : own;
};

/** Lets users of this server into rooms by way of others (server-server API, "Joining Rooms"). Throws as `RemoteMembership` says. */
export const createJoining = (tools: Tools): ((step: RemoteStep) => Promise<RoomEvent>) => {
  const { graph, steps, candidates, arrivals, complexity, takeIn, clock, signal, log } = tools;

  const patience = { timeoutMs: SEND_TIMEOUT_MS, signal };

  /** Takes in a room that this server was not in: every event is checked, and believed only as far as the rules of rooms allow it. */
  const arrive = async (server: string, step: OwnStep, made: OwnEvent): Promise<{ room: RoomInfo; join: RoomEvent }> =>
    arrivals.during({ roomId: step.roomId, version: made.version.id }, async () => {
      const answer = await steps.sendJoin(server, made.event, patience);
      const { state, authChain } = answer;
      return graph.receiveRoom({ version: made.version.id, state, authChain, join: withAuthority(server, made, answer) });
    });

  /** A join of a room that this server is in already, but whose users may not let the joiner in. */
  const pass = async (room: RoomInfo, server: string, made: OwnEvent): Promise<{ room: RoomInfo; join: RoomEvent }> => {
    const answer = await steps.sendJoin(server, made.event, patience);
    await takeIn(room, server, withAuthority(server, made, answer), signal);
    const join = await graph.events.byId(made.event.eventId);
    if (join === undefined || !isAccepted(join)) throw nonsense(server, `its join is refused: ${join?.fault ?? 'it is not here'}`);
    return { room, join };
  };

  const checkVersion = (server: string, room: RoomInfo | undefined, version: RoomVersion): void => {
    if (room !== undefined && room.version !== version.id) throw nonsense(server, `it says that the room is of version ${version.id}`);
  };

  const joinBy = async (server: string, step: OwnStep, userNum: number): Promise<RoomEvent> => {
    const made = await steps.make(server, step, { timeoutMs: MAKE_TIMEOUT_MS, signal });
    const known = await graph.room(step.roomId);
    const here = known !== undefined && (await graph.memberships.isHere(known.num)) ? known : undefined;
    checkVersion(server, here, made.version);
    try {
      const { room, join } = here === undefined ? await arrive(server, step, made) : await pass(here, server, made);
      const held = await graph.memberships.in(room.num, userNum);
      if (held?.membership !== 'join') throw nonsense(server, 'by what it says of the room the user has not joined it');
      return join;
    } catch (error) {
      const isTheirs = error instanceof DroppedEventError || error instanceof MissingEventsError;
      throw isTheirs ? nonsense(server, error.message) : error;
    }
  };

  return async ({ requester: { userId, userNum, isAdmin }, roomId, content, servers }) => {
    const found = await candidates({ roomId, userNum, servers });
    const isSmall = await complexity.isSmall(found.servers, roomId, isAdmin, signal);
    const endsMs = clock.monotonic() + BUDGET_MS;
    const step: OwnStep = { step: 'join', roomId, userId, content };
    const bounds = { isOver: () => signal.aborted || clock.monotonic() > endsMs, isServers: isServersWord, log };
    const join = await askInTurn(found, 'join this room', bounds, async (server) => joinBy(server, step, userNum));
    if (!isSmall) await complexity.leaveLarge(join);
    return join;
  };
};
