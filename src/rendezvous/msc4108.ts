import { Answer, anyone, at, type IncomingRequest, redirect, route, type Route } from '#src/platform/http/route.ts';
import { invalidParam, MatrixError, missingParam, notFound } from '#src/protocol/errors.ts';
import type { Session, Sessions } from '#src/rendezvous/sessions.ts';

const MAX_BYTES = 4096;

/** Browsers may send and read what the protocol needs; these are Synapse's lists. */
const CORS = {
  'access-control-allow-headers': 'Content-Type, If-Match, If-None-Match',
  'access-control-expose-headers': 'Synapse-Trace-Id, Server, ETag',
};

const CREATE = at('/_matrix/client/unstable/org.matrix.msc4108/rendezvous');
const SESSION = at('/_synapse/client/rendezvous/:sessionId');

const headersOf = ({ tag, modifiedTs, expiresTs }: Session): Record<string, string> => ({
  etag: `"${tag}"`,
  expires: new Date(expiresTs).toUTCString(),
  'last-modified': new Date(modifiedTs).toUTCString(),
  'cache-control': 'no-store, no-transform',
  pragma: 'no-cache',
});

const withText = (status: number, session: Session, text: string): Answer =>
  new Answer(status, text, { ...headersOf(session), 'content-type': 'text/plain' });

const headerOf = (request: IncomingRequest, name: string): string | undefined => {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
};

/** The text in a request's body. Throws `M_MISSING_PARAM`, `M_INVALID_PARAM` or `M_TOO_LARGE`. */
const textOf = async (request: IncomingRequest): Promise<string> => {
  const type = headerOf(request, 'content-type');
  if (type === undefined) throw missingParam('Missing required header: content-type');
  if (type !== 'text/plain') throw invalidParam('Content-Type must be text/plain');
  return (await request.bytes(MAX_BYTES)).toString();
};

/** Whether a list of entity tags names a session's (RFC 9110, sections 13.1.1 and 13.1.2). */
const names = (list: string, { tag }: Session): boolean =>
  list
    .split(',')
    .map((each) => each.trim())
    .some((each) => each === '*' || each === `"${tag}"`);

const sessionRoutes = (sessions: Sessions): Route[] => {
  const sessionOf = (id: string): Session => {
    const session = sessions.get(id);
    if (session === undefined) throw notFound('Not found');
    return session;
  };
  return [
    route({
      method: 'GET',
      path: SESSION,
      access: anyone,
      headers: CORS,
      handle: async ({ params, request }) => {
        const session = sessionOf(params.sessionId);
        const known = headerOf(request, 'if-none-match');
        return known !== undefined && names(known, session) ? withText(304, session, '') : withText(200, session, session.text);
      },
    }),
    route({
      method: 'PUT',
      path: SESSION,
      access: anyone,
      headers: CORS,
      handle: async ({ params, request }) => {
        const text = await textOf(request);
        const wanted = headerOf(request, 'if-match');
        if (wanted === undefined) throw missingParam('Missing required header: if-match');
        const session = sessionOf(params.sessionId);
        if (names(wanted, session)) return withText(202, sessions.replace(session, text), '');
        const { errcode, message } = new MatrixError(412, 'M_UNKNOWN', 'ETag does not match');
        const body = { errcode, error: message, 'org.matrix.msc4108.errcode': 'M_CONCURRENT_WRITE' };
        return new Answer(412, body, headersOf(session));
      },
    }),
    route({
      method: 'DELETE',
      path: SESSION,
      access: anyone,
      headers: CORS,
      handle: async ({ params }) => {
        if (!sessions.remove(sessionOf(params.sessionId).id)) throw notFound('Not found');
        return new Answer(204, '');
      },
    }),
  ];
};

/** Rendezvous of MSC4108 as it was in 2024: a text behind an unguessable address, guarded by entity tags. */
export const msc4108Routes = ({ sessions, baseUrl }: { sessions: Sessions; baseUrl: string }): Route[] => [
  route({
    method: 'POST',
    path: CREATE,
    access: anyone,
    headers: CORS,
    handle: async ({ request }) => {
      const session = sessions.create(await textOf(request));
      return new Answer(201, { url: `${baseUrl}_synapse/client/rendezvous/${session.id}` }, headersOf(session));
    },
  }),
  ...sessionRoutes(sessions),
];

/** Sends whoever wants to create a session to who looks after them. */
export const msc4108Delegation = (endpoint: string): Route =>
  route({ method: 'POST', path: CREATE, access: anyone, headers: CORS, handle: async () => redirect(endpoint, 307) });
