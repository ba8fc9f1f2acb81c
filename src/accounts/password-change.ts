import type { Config } from '#src/platform/config/index.ts';
import type { Passwords } from '#src/platform/crypto/passwords.ts';
import type { Database } from '#src/platform/database/types.ts';
import { forbidden, missingParam } from '#src/protocol/errors.ts';
import type { Interaction, InteractiveAuth, InteractiveRequest } from '#src/accounts/interactive-auth.ts';
import type { Login } from '#src/accounts/login.ts';
import { checkNewPassword } from '#src/accounts/passwords.ts';
import type { Sessions } from '#src/accounts/sessions.ts';
import { setPasswordHash } from '#src/accounts/store/users.ts';
import type { DevicePort, Requester } from '#src/accounts/types.ts';
import type { Users } from '#src/accounts/users.ts';

type Json = Readonly<Record<string, unknown>>;

/** Lets a user who is logged in confirm, with the password, who it is. Throws `M_FORBIDDEN` for somebody else's password. */
export type Confirm = (requester: Requester, request: InteractiveRequest) => Promise<Interaction>;

/** Interactive authentication of users who are logged in, before what cannot be undone. */
export const createConfirm =
  ({ interactive, login, users }: { interactive: InteractiveAuth; login: Login; users: Users }): Confirm =>
  async (requester, request) => {
    const user = await users.find(requester.userId);
    const flows = user !== undefined && login.canReauthenticate(user) ? [['m.login.password']] : [];
    const interaction = await interactive.proceed({ ...request, flows });
    if (interaction.done && interaction.session.completed['m.login.password'] !== requester.userId) throw forbidden('Invalid auth');
    return interaction;
  };

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
    const password = given === undefined ? undefined : checkNewPassword(given, config.password_config.policy);
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
