import { Type } from '#src/platform/schema.ts';
import type { Config } from '#src/platform/config/index.ts';
import { UNSTABLE_TOO, anyone, Answer, at, client, route } from '#src/platform/http/route.ts';
import type { Route } from '#src/platform/http/route.ts';
import type { RateLimiter } from '#src/platform/http/rate-limits.ts';
import { forbidden, missingToken } from '#src/protocol/errors.ts';
import type { AccountAccess } from '#src/accounts/access.ts';
import type { Confirm } from '#src/accounts/confirmation.ts';
import type { PassingTokens } from '#src/accounts/passing-tokens.ts';

const MAX_BODY_BYTES = 65_536;

interface TokenRouteDependencies {
  access: AccountAccess;
  config: Pick<Config, 'server_name' | 'login_via_existing_session'>;
  confirm: Confirm;
  passingTokens: PassingTokens;
  /** How often a user makes a token to log in with. */
  limiter: RateLimiter;
}

const loginTokenRoute = ({ access, config, confirm, passingTokens, limiter }: TokenRouteDependencies): Route =>
  route({
    method: 'POST',
    path: client('/login/get_token', ['v1']),
    access: access.user,
    body: Type.Record(Type.String(), Type.Unknown()),
    bodyLimit: MAX_BODY_BYTES,
    handle: async ({ caller, body, request: { method, url } }) => {
      if (config.login_via_existing_session.require_ui_auth) {
        const { auth, ...params } = body;
        const interaction = await confirm(caller, { method, uri: url, auth, params });
        if (!interaction.done) return new Answer(401, interaction.body);
      }
      limiter.check(caller.userId);
      const { token, lifetimeMs } = await passingTokens.createLoginToken(caller.userNum);
      return { login_token: token, expires_in_ms: lifetimeMs };
    },
  });

/** Tokens to log in with on another device, where that is enabled, and those by which a user proves to others who it is. */
export const tokenRoutes = (dependencies: TokenRouteDependencies): Route[] => {
  const { access, config, passingTokens } = dependencies;
  return [
    ...(config.login_via_existing_session.enabled ? [loginTokenRoute(dependencies)] : []),
    route({
      method: 'POST',
      path: client('/user/:userId/openid/request_token', UNSTABLE_TOO),
      access: access.user,
      handle: async ({ caller, params }) => {
        if (params.userId !== caller.userId) throw forbidden('Cannot request tokens for other users.');
        const { token, lifetimeMs } = await passingTokens.createOpenIdToken(caller.userNum);
        return { access_token: token, token_type: 'Bearer', matrix_server_name: config.server_name, expires_in: lifetimeMs / 1000 };
      },
    }),
    route({
      method: 'GET',
      path: at('/_matrix/federation/v1/openid/userinfo'),
      access: anyone,
      query: Type.Object({ access_token: Type.Optional(Type.String()) }),
      handle: async ({ query }) => {
        if (query.access_token === undefined) throw missingToken('Access Token required');
        return { sub: await passingTokens.openIdUser(query.access_token) };
      },
    }),
  ];
};
