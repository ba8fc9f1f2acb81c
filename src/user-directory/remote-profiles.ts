import type { Clock } from '#src/platform/clock.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import { MatrixError } from '#src/protocol/errors.ts';
import { namesIn } from '#src/user-directory/public-rooms.ts';
import { type DueRow, putEntry, putFailure, readDue, readNames } from '#src/user-directory/store.ts';

/** Asks another server for a user's profile; throws `MatrixError` where it says no, or nothing. */
export type AskProfile = (userId: string) => Promise<Readonly<Record<string, unknown>>>;

const AT_ONCE = 5;
const FIRST_RETRY_MS = 60_000;
const MAX_STEPS = 7;

/** After one failure five minutes, then 25, up to some weeks, as Synapse waits. */
const waitMs = (failures: number): number => FIRST_RETRY_MS * 5 ** Math.min(failures + 1, MAX_STEPS);

/** Asks for the profiles that are due, a few at a time. One round; resolves when nothing is due any more. */
export const createRefreshRemote = ({
  database,
  clock,
  ask,
  log,
}: {
  database: Database;
  clock: Clock;
  ask: AskProfile;
  log: Logger;
}): ((signal: AbortSignal) => Promise<void>) => {
  const refresh = async ({ user_num: userNum, user_id: userId, failures }: DueRow): Promise<void> => {
    try {
      const names = namesIn(await ask(userId));
      await database.write('remote profile in directory', async (tx) => {
        // Who has gone meanwhile is not listed again.
        if ((await readNames(tx, [userNum])).has(userNum)) await putEntry(tx, { userNum, userId, isLocal: false }, names);
      });
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error;
      const isNone = error.status === 404;
      if (!isNone) log.info({ err: error, user_id: userId }, 'A profile could not be asked for; it is tried again');
      const againTs = isNone ? undefined : clock.now() + waitMs(failures);
      await database.write('remote profile in directory', (tx) => putFailure(tx, userNum, againTs));
    }
  };

  return async (signal) => {
    while (!signal.aborted) {
      const due = await database.read('profiles to ask for', (reader) => readDue(reader, clock.now(), AT_ONCE));
      if (due.length === 0) return;
      await Promise.all(due.map(refresh));
    }
  };
};
