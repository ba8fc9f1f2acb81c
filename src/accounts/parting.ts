import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import { deletePendingParting, readPendingPartings } from '#src/accounts/store/users.ts';

/** Makes a user leave all rooms, as far as it gets before `signal` is aborted. May be called again for one who has left some. */
export type LeaveRooms = (user: { readonly userId: string; readonly userNum: number }, signal: AbortSignal) => Promise<void>;

/** Deactivated users leave their rooms: in the background, one user after the other, going on after a restart. */
export interface Parting {
  /** Says how rooms are left, which accounts cannot know, and begins with those who are left from before. */
  readonly start: (leave: LeaveRooms) => void;
  /** Looks for users who have to leave. */
  readonly wake: () => void;
  /** Resolves when nobody is leaving. */
  readonly idle: () => Promise<void>;
  /** Ends after the room at hand. */
  readonly close: () => Promise<void>;
}

/** The background work that `pending_partings` lists. A user whose leaving fails is tried again at the next `wake`. */
export const createParting = ({ database, strings, log }: { database: Database; strings: Strings; log: Logger }): Parting => {
  const stopping = new AbortController();
  const { signal } = stopping;
  let leave: LeaveRooms | undefined;
  let running: Promise<void> | undefined;
  let isAsked = false;

  const part = async (userNum: number, leaveRooms: LeaveRooms): Promise<void> => {
    const userId = (await strings.textOf([userNum])).get(userNum);
    if (userId === undefined) throw new Error('a user who has to leave has no id');
    await leaveRooms({ userId, userNum }, signal);
    if (!signal.aborted) await database.write('parted', (tx) => deletePendingParting(tx, userNum));
  };

  const partAll = async (leaveRooms: LeaveRooms): Promise<void> => {
    while (isAsked && !signal.aborted) {
      isAsked = false;
      for (const userNum of await database.read('pending partings', readPendingPartings)) {
        if (signal.aborted) return;
        try {
          await part(userNum, leaveRooms);
        } catch (error) {
          log.error({ err: error, user_num: userNum }, 'A deactivated user could not leave all rooms; it will be tried again');
        }
      }
    }
  };

  const wake = (): void => {
    isAsked = true;
    if (leave === undefined || signal.aborted) return;
    running ??= partAll(leave)
      .catch((error: unknown) => log.error({ err: error }, 'Could not look for users who have to leave'))
      .finally(() => {
        running = undefined;
        if (isAsked) wake();
      });
  };

  return {
    start: (leaveRooms) => {
      leave = leaveRooms;
      wake();
    },
    wake,
    idle: async () => {
      while (running !== undefined) await running;
    },
    close: async () => {
      stopping.abort();
      await running;
    },
  };
};
