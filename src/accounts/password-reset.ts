import type { Config } from '#src/platform/config/index.ts';
import type { Passwords } from '#src/platform/crypto/passwords.ts';
import type { Database } from '#src/platform/database/types.ts';
import { unknown } from '#src/protocol/errors.ts';
import { checkNewPassword } from '#src/accounts/passwords.ts';
import type { Sessions } from '#src/accounts/sessions.ts';
import { setPasswordHash } from '#src/accounts/store/users.ts';
import type { DevicePort, User } from '#src/accounts/types.ts';

export interface PasswordReset {
  readonly password: unknown;
  /** Whether the user's devices are logged out, and deleted. */
  readonly logoutDevices: boolean;
  /** The session and device that stay, when administrators reset their own passwords. */
  readonly except?: { readonly sessionNum: number | undefined; readonly deviceId: string | undefined };
}

/** Gives a user a new password in the name of an administrator. Throws as for any new password, and `M_UNKNOWN` for a deactivated user. */
export type ResetPassword = (user: User, reset: PasswordReset) => Promise<void>;

export const createResetPassword =
  ({
    database,
    passwords,
    sessions,
    devices,
    config,
  }: {
    database: Database;
    passwords: Passwords;
    sessions: Sessions;
    devices: DevicePort;
    config: Pick<Config, 'password_config'>;
  }): ResetPassword =>
  async (user, { password, logoutDevices, except }) => {
    if (user.deactivated) throw unknown('This account has been deactivated');
    const hash = await passwords.hash(checkNewPassword(password, config.password_config.policy));
    await database.write('reset password', async (tx) => {
      await setPasswordHash(tx, user.userNum, hash);
      if (!logoutDevices) return;
      await sessions.endAll(tx, user.userNum, except?.sessionNum);
      await devices.removeAll(tx, user.userNum, except?.deviceId);
    });
  };
