import { client, route, type Access, type Route } from '#src/platform/http/route.ts';
import { Type } from '#src/platform/schema.ts';
import type { Clock } from '#src/platform/clock.ts';
import { byteLength } from '#src/protocol/identifiers.ts';
import { MatrixError, notFound, tooLarge } from '#src/protocol/errors.ts';
import { anyone } from '#src/platform/http/route.ts';
import type { Session, Sessions } from '#src/rendezvous/sessions.ts';

const UNSTABLE = ['unstable/io.element.msc4388'];
const MAX_DATA_BYTES = 4096;
/** Each byte of the data may be written as an escape. */
const MAX_BODY_BYTES = 8 * MAX_DATA_BYTES;

const checked = (data: string): string => {
  if (byteLength(data) > MAX_DATA_BYTES) throw tooLarge('Payload too large');
  return data;
};

/** Rendezvous of MSC4388: the same as JSON, guarded by a token that changes with each write. */
export const msc4388Routes = ({
  sessions,
  clock,
  creator,
}: {
  sessions: Sessions;
  clock: Clock;
  /** Who may create sessions. */
  creator: Access<unknown>;
}): Route[] => {
  const sessionOf = (id: string): Session => {
    const session = sessions.get(id);
    if (session === undefined) throw notFound('Not found');
    return session;
  };
  const lifeOf = ({ tag, expiresTs }: Session): object => ({ sequence_token: tag, expires_in_ms: Math.max(0, expiresTs - clock.now()) });

  return [
    route({
      method: 'GET',
      path: client('/rendezvous', UNSTABLE),
      access: creator,
      handle: () => Promise.resolve({ create_available: true }),
    }),
    route({
      method: 'POST',
      path: client('/rendezvous', UNSTABLE),
      access: creator,
      body: Type.Object({ data: Type.String() }),
      bodyLimit: MAX_BODY_BYTES,
      handle: async ({ body }) => {
        const session = sessions.create(checked(body.data));
        return { id: session.id, ...lifeOf(session) };
      },
    }),
    route({
      method: 'GET',
      path: client('/rendezvous/:rendezvousId', UNSTABLE),
      access: anyone,
      handle: async ({ params }) => {
        const session = sessionOf(params.rendezvousId);
        return { data: session.text, ...lifeOf(session) };
      },
    }),
    route({
      method: 'PUT',
      path: client('/rendezvous/:rendezvousId', UNSTABLE),
      access: anyone,
      body: Type.Object({ data: Type.String(), sequence_token: Type.String() }),
      bodyLimit: MAX_BODY_BYTES,
      handle: async ({ params, body }) => {
        const data = checked(body.data);
        const session = sessionOf(params.rendezvousId);
        // The answer to the first of two such requests was lost.
        if (session.tagBefore === body.sequence_token && session.text === data) return { sequence_token: session.tag };
        if (session.tag !== body.sequence_token)
          throw new MatrixError(409, 'IO_ELEMENT_MSC4388_CONCURRENT_WRITE', 'sequence_token does not match');
        return { sequence_token: sessions.replace(session, data).tag };
      },
    }),
    route({
      method: 'DELETE',
      path: client('/rendezvous/:rendezvousId', UNSTABLE),
      access: anyone,
      handle: async ({ params }) => {
        sessions.remove(sessionOf(params.rendezvousId).id);
        return {};
      },
    }),
  ];
};
