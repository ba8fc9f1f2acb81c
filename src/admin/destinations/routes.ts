import type { AccountAccess } from '#src/accounts/index.ts';
import type { Destinations, DestinationStatus } from '#src/federation/index.ts';
import { at, route, type Route } from '#src/platform/http/route.ts';
import { Type } from '#src/platform/schema.ts';
import { invalidParam, notFound, unknown } from '#src/protocol/errors.ts';
import type { RoomGraph } from '#src/rooms/graph/index.ts';

export interface DestinationTools {
  readonly access: Pick<AccountAccess, 'admin'>;
  readonly destinations: Destinations;
  readonly graph: Pick<RoomGraph, 'rooms' | 'timeline'> & { readonly memberships: Pick<RoomGraph['memberships'], 'roomsOf'> };
}

/** A server as administrators read it: Synapse's fields, and what Myelin knows beside. */
const describe = ({ name, trouble, lastSentPosition, lastError, ...status }: DestinationStatus) => ({
  destination: name,
  retry_last_ts: trouble?.lastTriedTs ?? 0,
  retry_interval: trouble === undefined ? 0 : trouble.retryAtTs - trouble.lastTriedTs,
  failure_ts: trouble?.failingSinceTs ?? null,
  last_successful_stream_ordering: lastSentPosition ?? null,
  last_error: lastError?.text ?? null,
  last_error_ts: lastError?.ts ?? null,
  waiting_events: status.events,
  waiting_rooms: status.roomsBehind,
  waiting_edus: status.hasEdus,
  is_sending: status.isSending,
});

const ORDERS = ['destination', 'retry_last_ts', 'retry_interval', 'failure_ts', 'last_successful_stream_ordering'] as const;
const DEFAULT_LIMIT = 100;

const Paging = {
  from: Type.Optional(Type.String()),
  limit: Type.Optional(Type.String()),
  dir: Type.Optional(Type.Union([Type.Literal('f'), Type.Literal('b')])),
};

const countOf = (text: string | undefined, name: string, otherwise: number): number => {
  if (text === undefined) return otherwise;
  if (!/^\d{1,15}$/.test(text)) throw invalidParam(`Query parameter ${name} must be a non-negative integer`);
  return Number(text);
};

/** Some of a list, and where the next of it begins. */
const pageOf = <Item>(
  all: readonly Item[],
  query: { readonly from?: string; readonly limit?: string },
): { readonly page: readonly Item[]; readonly paging: { readonly total: number; readonly next_token?: string } } => {
  const from = countOf(query.from, 'from', 0);
  const page = all.slice(from, from + countOf(query.limit, 'limit', DEFAULT_LIMIT));
  const next = from + page.length;
  return { page, paging: { total: all.length, ...(next < all.length && page.length > 0 && { next_token: String(next) }) } };
};

/** What is not known comes first, as nothing. */
const compare = (a: string | number | null, b: string | number | null): number => {
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : Number(a > b);
  return Number(a ?? -1) - Number(b ?? -1);
};

/** The servers that this one sends to, for administrators (Synapse's admin API, Federation). */
export const destinationRoutes = ({ access, destinations, graph }: DestinationTools): Route[] => {
  const known = (name: string): DestinationStatus => {
    const status = destinations.one(name);
    if (status === undefined) throw notFound('Unknown destination');
    return status;
  };
  const path = '/_synapse/admin/v1/federation/destinations';

  return [
    route({
      method: 'GET',
      path: at(path),
      access: access.admin,
      query: Type.Object({
        ...Paging,
        destination: Type.Optional(Type.String()),
        order_by: Type.Optional(Type.Union(ORDERS.map((order) => Type.Literal(order)))),
      }),
      handle: async ({ query }) => {
        const { destination: part = '', order_by: order = 'destination', dir = 'f' } = query;
        const sign = dir === 'f' ? 1 : -1;
        const found = destinations
          .all()
          .filter(({ name }) => name.toLowerCase().includes(part.toLowerCase()))
          .map(describe)
          .sort((a, b) => sign * compare(a[order], b[order]) || compare(a.destination, b.destination));
        const { page, paging } = pageOf(found, query);
        return { destinations: page, ...paging };
      },
    }),
    route({
      method: 'GET',
      path: at(`${path}/:destination`),
      access: access.admin,
      handle: async ({ params }) => describe(known(params.destination)),
    }),
    route({
      method: 'GET',
      path: at(`${path}/:destination/rooms`),
      access: access.admin,
      query: Type.Object(Paging),
      handle: async ({ params, query }) => {
        const { name } = known(params.destination);
        const rooms = [...(await graph.rooms(await graph.memberships.roomsOf(name))).values()];
        const sign = query.dir === 'b' ? -1 : 1;
        const { page, paging } = pageOf(
          rooms.sort((a, b) => sign * compare(a.roomId, b.roomId)),
          query,
        );
        const described = await Promise.all(
          page.map(async ({ num, roomId }) => {
            const { events } = await graph.timeline.newest(num, 0, Number.MAX_SAFE_INTEGER, 1);
            return { room_id: roomId, stream_ordering: events[0]?.position ?? 0 };
          }),
        );
        return { rooms: described, ...paging };
      },
    }),
    route({
      method: 'POST',
      path: at(`${path}/:destination/reset_connection`),
      access: access.admin,
      body: Type.Optional(Type.Unknown()),
      bodyLimit: 65_536,
      handle: async ({ params }) => {
        const { name } = known(params.destination);
        if (!destinations.retryNow(name)) throw unknown('The retry timing does not need to be reset for this destination.');
        return {};
      },
    }),
  ];
};
