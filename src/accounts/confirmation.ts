import type { Clock } from '#src/platform/clock.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import { forbidden } from '#src/protocol/errors.ts';
import type { Interaction, InteractiveAuth, InteractiveRequest } from '#src/accounts/interactive-auth.ts';
import type { Login } from '#src/accounts/login.ts';
import { readConfirmedTs, setConfirmedTs } from '#src/accounts/store/sessions.ts';
import type { Requester } from '#src/accounts/types.ts';
import type { Users } from '#src/accounts/users.ts';

/** Lets a user who is logged in confirm, with the password, who it is. Throws `M_FORBIDDEN` for somebody else's password. */
export type Confirm = (requester: Requester, request: InteractiveRequest) => Promise<Interaction>;

/** Whether a user has confirmed, or logged in, within `ui_auth.session_timeout`: then the deletion of a device needs no confirmation. */
export type ConfirmedLately = (requester: Requester) => Promise<boolean>;

/** Interactive authentication of users who are logged in, before what cannot be undone. */
export const createConfirmation = ({
  config,
  database,
  clock,
  interactive,
  login,
  users,
}: {
  config: Pick<Config, 'ui_auth'>;
  database: Database;
  clock: Clock;
  interactive: InteractiveAuth;
  login: Login;
  users: Users;
}): { readonly confirm: Confirm; readonly confirmedLately: ConfirmedLately } => {
  const timeoutMs = config.ui_auth.session_timeout;
  return {
    confirm: async (requester, request) => {
      const user = await users.find(requester.userId);
      const flows = user !== undefined && login.canReauthenticate(user) ? [['m.login.password']] : [];
      const interaction = await interactive.proceed({ ...request, flows });
      if (!interaction.done) return interaction;
      if (interaction.session.completed['m.login.password'] !== requester.userId) throw forbidden('Invalid auth');
      const { sessionNum } = requester;
      if (timeoutMs > 0 && sessionNum !== undefined) {
        await database.write('note confirmation', (tx) => setConfirmedTs(tx, sessionNum, clock.now()));
      }
      return interaction;
    },
    confirmedLately: async ({ sessionNum }) => {
      if (timeoutMs === 0 || sessionNum === undefined) return false;
      const confirmedTs = await database.read('last confirmation', (reader) => readConfirmedTs(reader, sessionNum));
      return confirmedTs !== undefined && clock.now() - confirmedTs < timeoutMs;
    },
  };
};
