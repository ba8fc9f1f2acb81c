import { Type } from '#src/platform/schema.ts';
import type { Config } from '#src/platform/config/index.ts';
import { SINCE_V1, UNSTABLE_TOO, anyone, Answer, at, client, route } from '#src/platform/http/route.ts';
import type { IncomingRequest, Route } from '#src/platform/http/route.ts';
import { optionalAccessToken } from '#src/platform/http/access-token.ts';
import type { RateLimiter } from '#src/platform/http/rate-limits.ts';
import { forbidden, MatrixError, missingToken, unknown, unknownToken } from '#src/protocol/errors.ts';
import type { AccountAccess } from '#src/accounts/access.ts';
import type { Login } from '#src/accounts/login.ts';
import type { ChangePassword } from '#src/accounts/password-change.ts';
import type { RefreshResult } from '#src/accounts/refresh.ts';
import type { RegisterRequest, Registration } from '#src/accounts/registration.ts';
import type { RegistrationTokens } from '#src/accounts/registration-tokens.ts';
import type { Sessions } from '#src/accounts/sessions.ts';
import type { LoginResult } from '#src/accounts/types.ts';
import type { SharedSecretRegistration } from '#src/accounts/shared-secret.ts';

/** Much for a name and a password; little for strangers to have stored. */
const MAX_BODY_BYTES = 65_536;

/** Bodies whose fields are checked one by one, with an error for each. */
const AnyObject = Type.Record(Type.String(), Type.Unknown());

interface RouteDependencies {
  access: AccountAccess;
  config: Pick<Config, 'refreshable_access_token_lifetime' | 'password_config'>;
  registration: Registration;
  registrationTokens: RegistrationTokens;
  sharedSecret: SharedSecretRegistration;
  login: Login;
  sessions: Sessions;
  changePassword: ChangePassword;
  refresh: (refreshToken: string) => Promise<RefreshResult>;
  /** Notes that whoever has just logged in or registered was seen on the new device. */
  noteLogin: (result: LoginResult, request: IncomingRequest) => Promise<void>;
  /** What `/.well-known/matrix/client` says, told to those who log in as well. */
  clientWellKnown: object | undefined;
  limiters: { available: RateLimiter; tokenValidity: RateLimiter };
}

const APPLICATION_SERVICE = 'm.login.application_service';

/** Application services register and log in with a token of their own; as there is none, no token is right. */
const refuseApplicationService = (request: IncomingRequest, body: Readonly<Record<string, unknown>>): void => {
  if (body['type'] !== APPLICATION_SERVICE) return;
  if (optionalAccessToken(request) === undefined) throw missingToken('Missing access token');
  throw unknownToken('Unrecognised access token', { soft_logout: false });
};

const registerRequest = (request: IncomingRequest, body: Readonly<Record<string, unknown>>): RegisterRequest => {
  refuseApplicationService(request, body);
  if (optionalAccessToken(request) !== undefined) {
    throw unknown('An access token should not be provided on requests to /register (except if type is m.login.application_service)');
  }
  return { method: request.method, uri: request.url, ip: request.ip, body };
};

const registrationRoutes = ({ noteLogin, registration, registrationTokens, sharedSecret, limiters }: RouteDependencies): Route[] => [
  route({
    method: 'POST',
    path: client('/register', UNSTABLE_TOO),
    access: anyone,
    query: Type.Object({ kind: Type.Optional(Type.String()) }),
    body: AnyObject,
    bodyLimit: MAX_BODY_BYTES,
    handle: async ({ query: { kind = 'user' }, body, request }) => {
      if (kind === 'guest') {
        const guest = await registration.registerGuest(registerRequest(request, body));
        await noteLogin(guest, request);
        return guest;
      }
      if (kind !== 'user') throw new MatrixError(400, 'M_UNRECOGNIZED', `Do not understand membership kind: ${kind.slice(0, 64)}`);
      const outcome = await registration.registerUser(registerRequest(request, body));
      if (!outcome.done) return new Answer(401, outcome.body);
      await noteLogin(outcome.result, request);
      return outcome.result;
    },
  }),
  route({
    method: 'GET',
    path: client('/register/available', UNSTABLE_TOO),
    access: anyone,
    limit: limiters.available.byAddress,
    query: Type.Object({ username: Type.String() }),
    handle: async ({ query }) => {
      await registration.checkAvailable(query.username);
      return { available: true };
    },
  }),
  route({
    method: 'GET',
    path: client('/register/m.login.registration_token/validity', ['v1', 'unstable']),
    access: anyone,
    limit: limiters.tokenValidity.byAddress,
    query: Type.Object({ token: Type.String() }),
    handle: async ({ query }) => {
      registration.checkEnabled();
      return { valid: await registrationTokens.isValid(query.token) };
    },
  }),
  route({
    method: 'GET',
    path: at('/_synapse/admin/v1/register'),
    access: anyone,
    handle: () => Promise.resolve({ nonce: sharedSecret.nonce() }),
  }),
  route({
    method: 'POST',
    path: at('/_synapse/admin/v1/register'),
    access: anyone,
    body: AnyObject,
    bodyLimit: MAX_BODY_BYTES,
    handle: ({ body }) => sharedSecret.register(body),
  }),
];

const loginRoutes = ({ login, noteLogin, clientWellKnown, refresh, config }: RouteDependencies): Route[] => [
  route({
    method: 'GET',
    path: client('/login', SINCE_V1),
    access: anyone,
    handle: () => Promise.resolve({ flows: login.flows() }),
  }),
  route({
    method: 'POST',
    path: client('/login', SINCE_V1),
    access: anyone,
    body: AnyObject,
    bodyLimit: MAX_BODY_BYTES,
    handle: async ({ body, request }) => {
      refuseApplicationService(request, body);
      const result = await login.login(body, request.ip);
      await noteLogin(result, request);
      return clientWellKnown === undefined ? result : { ...result, well_known: clientWellKnown };
    },
  }),
  ...(config.refreshable_access_token_lifetime === undefined
    ? []
    : [
        route({
          method: 'POST',
          path: client('/refresh', UNSTABLE_TOO),
          access: anyone,
          body: Type.Object({ refresh_token: Type.String() }),
          bodyLimit: MAX_BODY_BYTES,
          handle: ({ body }) => refresh(body.refresh_token),
        }),
      ]),
];

/** How sessions were renewed before the specification had a way for it; clients that still ask are told. */
const tokenRefreshRoute = route({
  method: 'POST',
  path: client('/tokenrefresh', UNSTABLE_TOO),
  access: anyone,
  handle: () => Promise.reject(forbidden('tokenrefresh is no longer supported.')),
});

const sessionRoutes = ({ access, sessions, changePassword, config }: RouteDependencies): Route[] => [
  route({
    method: 'POST',
    path: client('/logout', SINCE_V1),
    access: access.guest,
    handle: async ({ caller }) => {
      await sessions.logout(caller);
      return {};
    },
  }),
  route({
    method: 'POST',
    path: client('/logout/all', SINCE_V1),
    access: access.guest,
    handle: async ({ caller }) => {
      await sessions.logoutEverywhere(caller);
      return {};
    },
  }),
  route({
    method: 'GET',
    path: client('/account/whoami', UNSTABLE_TOO),
    access: access.guest,
    handle: ({ caller: { userId, isGuest, deviceId } }) =>
      Promise.resolve({ user_id: userId, is_guest: isGuest, ...(deviceId !== undefined && { device_id: deviceId }) }),
  }),
  route({
    method: 'POST',
    path: client('/account/password', UNSTABLE_TOO),
    access: access.user,
    body: Type.Object({ logout_devices: Type.Optional(Type.Boolean()) }),
    bodyLimit: MAX_BODY_BYTES,
    handle: async ({ caller, body, request }) => {
      const challenge = await changePassword(caller, { method: request.method, uri: request.url, body });
      return challenge === undefined ? {} : new Answer(401, challenge);
    },
  }),
  route({
    method: 'GET',
    path: client('/password_policy', UNSTABLE_TOO),
    access: anyone,
    handle: () => Promise.resolve(passwordPolicy(config.password_config.policy)),
  }),
];

const passwordPolicy = (policy: Config['password_config']['policy']): Record<string, unknown> =>
  policy.enabled
    ? {
        'm.minimum_length': policy.minimum_length,
        'm.require_digit': policy.require_digit,
        'm.require_symbol': policy.require_symbol,
        'm.require_lowercase': policy.require_lowercase,
        'm.require_uppercase': policy.require_uppercase,
      }
    : {};

/** Registration, logging in and out, and whoami. */
export const identityRoutes = (dependencies: RouteDependencies): Route[] => [
  ...registrationRoutes(dependencies),
  ...loginRoutes(dependencies),
  ...sessionRoutes(dependencies),
  tokenRefreshRoute,
];
