import { Type } from '#src/platform/schema.ts';
import type { Config } from '#src/platform/config/index.ts';
import { UNSTABLE_TOO, anyone, Answer, client, route } from '#src/platform/http/route.ts';
import type { Route } from '#src/platform/http/route.ts';
import { serverNotTrusted, threepidAuthFailed, threepidMediumNotSupported, MatrixError } from '#src/protocol/errors.ts';
import type { AccountAccess } from '#src/accounts/access.ts';
import type { Deactivate } from '#src/accounts/deactivation.ts';
import type { Confirm } from '#src/accounts/confirmation.ts';
import type { Registration } from '#src/accounts/registration.ts';

const MAX_BODY_BYTES = 65_536;

interface AccountRouteDependencies {
  access: AccountAccess;
  config: Pick<Config, 'enable_3pid_changes'>;
  confirm: Confirm;
  deactivate: Deactivate;
  registration: Pick<Registration, 'checkEnabled'>;
}

/** Closing one's account. */
const deactivationRoute = ({ access, confirm, deactivate }: AccountRouteDependencies): Route =>
  route({
    method: 'POST',
    path: client('/account/deactivate', UNSTABLE_TOO),
    access: access.user,
    body: Type.Object({
      auth: Type.Optional(Type.Unknown()),
      erase: Type.Optional(Type.Boolean()),
      id_server: Type.Optional(Type.String()),
    }),
    bodyLimit: MAX_BODY_BYTES,
    handle: async ({ caller, body: { auth, ...params }, request: { method, url } }) => {
      const interaction = await confirm(caller, { method, uri: url, auth, params });
      if (!interaction.done) return new Answer(401, interaction.body);
      await deactivate(caller.userNum, interaction.session.params['erase'] === true);
      // There are no third-party identifiers, so there is none that stays bound.
      return { id_server_unbind_result: 'success' };
    },
  });

/** Asking for a mail or text message with a token, which this server cannot send. */
const requestTokenRoutes = ({ registration }: AccountRouteDependencies): Route[] =>
  (['/register', '/account/password', '/account/3pid'] as const).flatMap((purpose) =>
    (['email', 'msisdn'] as const).map((medium) =>
      route({
        method: 'POST',
        path: client(`${purpose}/${medium}/requestToken`, UNSTABLE_TOO),
        access: anyone,
        handle: async () => {
          if (purpose === '/register') registration.checkEnabled();
          throw threepidMediumNotSupported(
            medium === 'email' ? 'This server cannot send e-mails' : 'This server cannot send text messages',
          );
        },
      }),
    ),
  );

/** What a client knows of a validation that it began. */
const ValidatedSession = Type.Object({ client_secret: Type.String(), sid: Type.String() });
const Threepid = Type.Object({ medium: Type.String(), address: Type.String() });

/** The third-party identifiers of an account: there are none, and none can be had as long as nothing proves them. */
const threepidRoutes = ({ access, config }: AccountRouteDependencies): Route[] => {
  const checkEnabled = (): void => {
    if (!config.enable_3pid_changes) throw new MatrixError(400, 'M_FORBIDDEN', '3PID changes are disabled on this server');
  };
  const path = <Tail extends string>(tail: Tail) => client(`/account/3pid${tail}` as const, UNSTABLE_TOO);
  const add = async (): Promise<never> => {
    checkEnabled();
    throw threepidAuthFailed('No validated 3pid session found');
  };
  return [
    route({ method: 'GET', path: path(''), access: access.user, handle: () => Promise.resolve({ threepids: [] }) }),
    route({ method: 'POST', path: path(''), access: access.user, body: Type.Object({ three_pid_creds: ValidatedSession }), handle: add }),
    route({ method: 'POST', path: path('/add'), access: access.user, body: ValidatedSession, handle: add }),
    route({
      method: 'POST',
      path: path('/bind'),
      access: access.user,
      body: Type.Object({ client_secret: Type.String(), sid: Type.String(), id_server: Type.String(), id_access_token: Type.String() }),
      handle: () => Promise.reject(serverNotTrusted('This server does not talk to identity servers')),
    }),
    route({
      method: 'POST',
      path: path('/unbind'),
      access: access.user,
      body: Threepid,
      handle: () => Promise.resolve({ id_server_unbind_result: 'no-support' }),
    }),
    route({
      method: 'POST',
      path: path('/delete'),
      access: access.user,
      body: Threepid,
      handle: async () => {
        checkEnabled();
        return { id_server_unbind_result: 'no-support' };
      },
    }),
  ];
};

/** Closing an account, and what belongs to it beside the password (client-server API, "Account management"). */
export const accountRoutes = (dependencies: AccountRouteDependencies): Route[] => [
  deactivationRoute(dependencies),
  ...threepidRoutes(dependencies),
  ...requestTokenRoutes(dependencies),
];
