import type { Clock } from '#src/platform/clock.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import { DroppedEventError, type RoomEvent, type RoomGraph } from '#src/rooms/graph/index.ts';
import type { RemoteStep } from '#src/rooms/membership/index.ts';
import { forbidden, type MatrixError } from '#src/protocol/errors.ts';
import { FederationError } from '#src/federation/faults.ts';
import type { FindCandidates } from '#src/federation/membership/candidates.ts';
import { askInTurn } from '#src/federation/membership/in-turn.ts';
import type { OwnStep, OwnSteps } from '#src/federation/membership/own-steps.ts';
import { putOutsideState } from '#src/federation/membership/store.ts';
import { readToldState } from '#src/federation/membership/told-state.ts';

const TIMEOUT_MS = 30_000;
/** After so long no further server is asked. */
const BUDGET_MS = 60_000;

/**
 * Lets users of this server knock on rooms that it is not in (server-server API, "Knocking upon a room"). The knock is shown to its user alone, with what the server that took it in
 * tells of the room. Throws as `RemoteMembership` says.
 */
export const createKnocking = ({
  graph,
  steps,
  candidates,
  isServersWord,
  clock,
  signal,
  log,
}: {
  graph: Pick<RoomGraph, 'receiveOutside' | 'checkEvent'>;
  steps: OwnSteps;
  candidates: FindCandidates;
  isServersWord: (error: MatrixError) => boolean;
  clock: Clock;
  signal: AbortSignal;
  log: Logger;
}): ((step: RemoteStep) => Promise<RoomEvent>) => {
  const knockBy = async (server: string, step: OwnStep): Promise<RoomEvent> => {
    const patience = { timeoutMs: TIMEOUT_MS, signal };
    const { event, version } = await steps.make(server, step, patience);
    if (!version.knock) throw forbidden('This room version does not support knocking');
    const answer = await steps.send(server, 'knock', event, patience);
    const name = { roomId: step.roomId, version: version.id };
    const told = JSON.stringify(await readToldState(graph, name, answer.knock_room_state, { strict: false }));
    try {
      return await graph.receiveOutside(name, event.json, (tx, { num }, { num: eventNum, stateKeyNum: userNum }) => {
        if (userNum === undefined) return;
        putOutsideState(tx, { room_num: num, user_num: userNum, event_num: eventNum, server_name: server, state: told });
      });
    } catch (error) {
      throw error instanceof DroppedEventError ? new FederationError('nonsense', server, `${server}: ${error.message}`) : error;
    }
  };

  return async ({ requester: { userId, userNum }, roomId, content, servers }) => {
    const found = await candidates({ roomId, userNum, servers });
    const endsMs = clock.monotonic() + BUDGET_MS;
    const bounds = { isOver: () => signal.aborted || clock.monotonic() > endsMs, isServers: isServersWord, log };
    const step: OwnStep = { step: 'knock', roomId, userId, content };
    return askInTurn(found, 'knock on this room', bounds, async (server) => knockBy(server, step));
  };
};
