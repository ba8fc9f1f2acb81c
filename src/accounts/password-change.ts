import type { Config } from '#src/platform/config/index.ts';
import type { Passwords } from '#src/platform/crypto/passwords.ts';
import type { Database } from '#src/platform/database/types.ts';
import { forbidden, missingParam } from '#src/protocol/errors.ts';
import type { Confirm } from '#src/accounts/confirmation.ts';
import type { InteractiveAuth } from '#src/accounts/interactive-auth.ts';
import { checkNewPassword } from '#src/accounts/passwords.ts';
import type { Sessions } from '#src/accounts/sessions.ts';
import { setPasswordHash } from '#src/accounts/store/users.ts';
import type { DevicePort, Requester } from '#src/accounts/types.ts';

type Json = Readonly<Record<string, unknown>>;

/** `undefined` when it is done, else the body of the 401 that asks for authentication. */
export type ChangePassword = (requester: Requester, request: { method: string; uri: string; body: Json }) => Promise<Json | undefined>;

/** Changing one's password (`POST /account/password`); other devices are logged out unless `logout_devices` is false. */
export const createChangePassword = ({
  config,
  database,
  confirm,
  interactive,
  passwords,
  sessions,
  devices,
}: {
  config: Pick<Config, 'password_config'>;
  database: Database;
  confirm: Confirm;
  interactive: InteractiveAuth;
  passwords: Passwords;
  sessions: Sessions;
  devices: DevicePort;
}): ChangePassword => {
  const canChange = config.password_config.enabled === true && config.password_config.localdb_enabled;

  return async (requester, { method, uri, body }) => {
    if (!canChange) throw forbidden('Password change disabled');
    const { auth, new_password: given, ...params } = body;
    const password = given === undefined || given === '' ? undefined : checkNewPassword(given, config.password_config.policy);
    const interaction = await confirm(requester, { method, uri, auth, params });
    const { session } = interaction;
    if (!interaction.done) {
      if (password !== undefined && session.data.passwordHash === undefined) {
        const passwordHash = await passwords.hash(password);
        await database.write('keep password hash', (tx) => interactive.remember(tx, session.sessionId, { passwordHash }));
      }
      return interaction.body;
    }
    const passwordHash = password === undefined ? session.data.passwordHash : await passwords.hash(password);
    if (passwordHash === undefined) throw missingParam('Missing params: password');
    await database.write('change password', async (tx) => {
      await setPasswordHash(tx, requester.userNum, passwordHash);
      if (session.params['logout_devices'] === false) return;
      await sessions.endAll(tx, requester.userNum, requester.sessionNum);
      await devices.removeAll(tx, requester.userNum, requester.deviceId);
    });
    return undefined;
  };
};
