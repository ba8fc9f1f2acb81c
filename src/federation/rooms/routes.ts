import type { Clock } from '#src/platform/clock.ts';
import { RawJson, route, type Access, type Route } from '#src/platform/http/route.ts';
import { Type } from '#src/platform/schema.ts';
import { invalidParam } from '#src/protocol/errors.ts';
import type { RoomEvent } from '#src/rooms/graph/index.ts';
import type { Peer } from '#src/federation/access.ts';
import { federationPath } from '#src/federation/paths.ts';
import type { PeerReading } from '#src/federation/rooms/reading.ts';

const EventIds = Type.Array(Type.String(), { maxItems: 1000 });
const EventQuery = Type.Object({ event_id: Type.String() });

const listText = (texts: readonly string[]): string => `[${texts.join(',')}]`;
const pdusText = (events: readonly RoomEvent[]): string => listText(events.map((event) => event.json));
const idsOf = (events: readonly RoomEvent[]): string[] => events.map((event) => event.eventId);

/** What other servers read of rooms that they are in (server-server API, PDUs, Backfilling and Retrieving events). */
export const peerReadingRoutes = ({
  peer,
  reading,
  clock,
  serverName,
}: {
  peer: Access<Peer>;
  reading: PeerReading;
  clock: Clock;
  serverName: string;
}): Route[] => {
  /** PDUs as a transaction of this server. */
  const transaction = (texts: readonly string[]): RawJson =>
    new RawJson(`{"origin":${JSON.stringify(serverName)},"origin_server_ts":${String(clock.now())},"pdus":${listText(texts)}}`);

  return [
    route({
      method: 'GET',
      path: federationPath('v1', '/event/:eventId'),
      access: peer,
      handle: async ({ caller, params }) => transaction([await reading.event(caller.origin, params.eventId)]),
    }),
    route({
      method: 'GET',
      path: federationPath('v1', '/state/:roomId'),
      access: peer,
      query: EventQuery,
      handle: async ({ caller, params, query }) => {
        const { state, authChain } = await reading.stateBefore(caller.origin, params.roomId, query.event_id);
        return new RawJson(`{"auth_chain":${pdusText(authChain)},"pdus":${pdusText(state)}}`);
      },
    }),
    route({
      method: 'GET',
      path: federationPath('v1', '/state_ids/:roomId'),
      access: peer,
      query: EventQuery,
      handle: async ({ caller, params, query }) => {
        const { state, authChain } = await reading.stateBefore(caller.origin, params.roomId, query.event_id);
        return { auth_chain_ids: idsOf(authChain), pdu_ids: idsOf(state) };
      },
    }),
    route({
      method: 'GET',
      path: federationPath('v1', '/event_auth/:roomId/:eventId'),
      access: peer,
      handle: async ({ caller, params }) =>
        new RawJson(`{"auth_chain":${pdusText(await reading.authChain(caller.origin, params.roomId, params.eventId))}}`),
    }),
    route({
      method: 'GET',
      path: federationPath('v1', '/backfill/:roomId'),
      access: peer,
      query: Type.Object({ v: EventIds, limit: Type.Integer() }),
      handle: async ({ caller, params, query: { v, limit } }) => {
        if (limit < 1) throw invalidParam("'limit' must be above 0");
        return transaction(await reading.backfill(caller.origin, params.roomId, v, limit));
      },
    }),
    route({
      method: 'GET',
      path: federationPath('v1', '/timestamp_to_event/:roomId'),
      access: peer,
      query: Type.Object({ ts: Type.Integer({ minimum: 0 }), dir: Type.Union([Type.Literal('b'), Type.Literal('f')]) }),
      handle: async ({ caller, params, query: { ts, dir } }) => reading.byTime(caller.origin, params.roomId, { ts, direction: dir }),
    }),
    route({
      method: 'POST',
      path: federationPath('v1', '/get_missing_events/:roomId'),
      access: peer,
      body: Type.Object({
        earliest_events: EventIds,
        latest_events: EventIds,
        limit: Type.Optional(Type.Integer()),
        min_depth: Type.Optional(Type.Integer()),
      }),
      handle: async ({ caller, params, body }) => {
        const gap = { earliest: body.earliest_events, latest: body.latest_events, limit: body.limit ?? 10, minDepth: body.min_depth ?? 0 };
        return new RawJson(`{"events":${listText(await reading.missing(caller.origin, params.roomId, gap))}}`);
      },
    }),
  ];
};
