import type { Database, Transaction } from '#src/platform/database/types.ts';
import type { ErasedUsers } from '#src/accounts/erased-users.ts';
import type { Parting } from '#src/accounts/parting.ts';
import type { Sessions } from '#src/accounts/sessions.ts';
import { deletePassingTokensOf } from '#src/accounts/store/passing-tokens.ts';
import { insertPendingParting, markDeactivated } from '#src/accounts/store/users.ts';
import type { DevicePort, ProfilePort } from '#src/accounts/types.ts';

/** What the slices above do away with, in the transaction that closes an account. */
export type OnDeactivated = (tx: Transaction, userNum: number, erase: boolean) => Promise<void>;

/** Closes an account for good; with `erase` the profile goes as well, and that the user wants to be forgotten is noted. */
export type Deactivate = (userNum: number, erase: boolean) => Promise<void>;

/**
 * Deactivation (client-server API, "Account deactivation"): nothing is left to log in with, and all that only the user needs is
 * deleted, at once. The name stays taken. The user leaves the rooms thereafter, in the background.
 */
export const createDeactivate =
  ({
    database,
    sessions,
    devices,
    profiles,
    erasedUsers,
    parting,
    onDeactivated,
  }: {
    database: Database;
    sessions: Sessions;
    devices: DevicePort;
    profiles: ProfilePort;
    erasedUsers: Pick<ErasedUsers, 'add'>;
    parting: Parting;
    onDeactivated: OnDeactivated;
  }): Deactivate =>
  async (userNum, erase) => {
    await database.write('deactivate', async (tx) => {
      await markDeactivated(tx, userNum);
      await sessions.endAll(tx, userNum);
      await devices.removeAll(tx, userNum);
      await deletePassingTokensOf(tx, userNum);
      if (erase) {
        await erasedUsers.add(tx, userNum);
        await profiles.clear(tx, userNum);
      }
      await onDeactivated(tx, userNum, erase);
      await insertPendingParting(tx, userNum);
    });
    parting.wake();
  };
