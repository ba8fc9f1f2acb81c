import type { Clock } from '#src/platform/clock.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import type { RoomGraph } from '#src/rooms/graph/index.ts';
import type { OwnStep } from '#src/federation/membership/own-steps.ts';
import { deleteUntoldLeave, putUntoldLeave, readUntoldLeaves, type UntoldLeaveRow } from '#src/federation/membership/store.ts';

/** After so long a server that could not be told of a leave is tried again; each time after three times as long. */
export const FIRST_RETRY_MS = 5_000;
const MAX_TRIES = 10;
/** So many in one round. */
const MAX_ROUND = 20;

/**
 * Tells other servers of leaves that they could not be told of at first; a periodic job. What is not heard is tried again, ten times in all; a leave that is not true any more, or
 * that a server does not want to know of, is forgotten.
 */
export const createUntoldLeaves = ({
  graph,
  database,
  strings,
  clock,
  tell,
  isUnheard,
  log,
}: {
  graph: Pick<RoomGraph, 'rooms' | 'memberships' | 'events'>;
  database: Pick<Database, 'read' | 'write'>;
  strings: Pick<Strings, 'textOf'>;
  clock: Clock;
  /** Tells one of the servers. Throws where none takes it. */
  tell: (servers: readonly string[], step: OwnStep, version: string) => Promise<unknown>;
  isUnheard: (error: unknown) => boolean;
  log: Logger;
}): ((signal: AbortSignal) => Promise<void>) => {
  const forget = async (row: UntoldLeaveRow): Promise<void> => database.write('told leave', async (tx) => deleteUntoldLeave(tx, row));

  const stepOf = async ({ room_num: roomNum, user_num: userNum, event_num: eventNum }: UntoldLeaveRow) => {
    const room = (await graph.rooms([roomNum])).get(roomNum);
    const userId = (await strings.textOf([userNum])).get(userNum);
    const held = await graph.memberships.in(roomNum, userNum);
    if (room === undefined || userId === undefined || held?.membership !== 'leave' || held.eventNum !== eventNum) return undefined;
    const event = await graph.events.byNum(eventNum);
    const step: OwnStep = { step: 'leave', roomId: room.roomId, userId, content: event?.pdu.content ?? { membership: 'leave' } };
    return { step, version: room.version };
  };

  const tryAgain = async (row: UntoldLeaveRow): Promise<void> => {
    const wanted = await stepOf(row);
    if (wanted === undefined) return forget(row);
    try {
      await tell(JSON.parse(row.servers) as string[], wanted.step, wanted.version);
    } catch (error) {
      const tries = row.tries + 1;
      log.info(`${wanted.step.userId} has left ${wanted.step.roomId}, and no server is told: ${(error as Error).message}`);
      if (isUnheard(error) && tries < MAX_TRIES) {
        const retryTs = clock.now() + FIRST_RETRY_MS * 3 ** tries;
        await database.write('untold leave', (tx) => Promise.resolve(putUntoldLeave(tx, { ...row, tries, retry_ts: retryTs })));
        return;
      }
    }
    await forget(row);
  };

  return async (signal) => {
    const due = await database.read('untold leaves', (reader) => readUntoldLeaves(reader, clock.now(), MAX_ROUND));
    for (const row of due) {
      if (signal.aborted) return;
      await tryAgain(row);
    }
  };
};
