import { Type } from '#src/platform/schema.ts';
import { UNSTABLE_TOO, anyone, at, client, redirect, route, type Route } from '#src/platform/http/route.ts';
import type { RateLimiter } from '#src/platform/http/rate-limits.ts';
import { MatrixError } from '#src/protocol/errors.ts';
import { tokenPage } from '#src/accounts/fallback-page.ts';
import { loginPage } from '#src/accounts/login-page.ts';
import type { InteractiveAuth } from '#src/accounts/interactive-auth.ts';

const PATH = client('/auth/:authType/fallback/web', UNSTABLE_TOO);
const LOGIN = '/_matrix/static/client/login';
const Query = Type.Object({ session: Type.String() });
const MAX_BODY_BYTES = 4096;
const TOKEN = 'm.login.registration_token';

/** Only the stage for which somebody has to know something has a page: the password is asked for by every client, and the dummy for nothing. */
const checkType = (authType: string): void => {
  if (authType !== TOKEN) throw new MatrixError(404, 'M_UNKNOWN', `There is no page for ${authType.slice(0, 64)}`);
};

const loginRoutes: readonly Route[] = [
  ...[`${LOGIN}/`, `${LOGIN}/index.html`].map((path) =>
    route({ method: 'GET', path: at(path), access: anyone, handle: () => Promise.resolve(loginPage()) }),
  ),
  route({
    method: 'GET',
    path: at(LOGIN),
    access: anyone,
    // The query is the client's, and says what device it is.
    handle: ({ request }) => Promise.resolve(redirect(`${LOGIN}/${/\?.*/su.exec(request.url)?.[0] ?? ''}`)),
  }),
];

/** Pages for people whose client does not know how to log in, or a stage of interactive authentication (client-server API, "Fallback"). */
export const fallbackRoutes = ({ interactive, limiter }: { interactive: Pick<InteractiveAuth, 'pass'>; limiter: RateLimiter }): Route[] => [
  ...loginRoutes,
  route({
    method: 'GET',
    path: PATH,
    access: anyone,
    query: Query,
    handle: async ({ params }) => {
      checkType(params.authType);
      return tokenPage();
    },
  }),
  route({
    method: 'POST',
    path: PATH,
    access: anyone,
    limit: limiter.byAddress,
    query: Query,
    body: Type.Object({ token: Type.String() }),
    bodyLimit: MAX_BODY_BYTES,
    handle: async ({ params, query, body }) => {
      checkType(params.authType);
      await interactive.pass(query.session, TOKEN, body);
      return {};
    },
  }),
];
