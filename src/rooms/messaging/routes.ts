import { Type } from '#src/platform/schema.ts';
import type { Static } from '#src/platform/schema.ts';
import type { AccountAccess } from '#src/accounts/index.ts';
import { SINCE_V1, client, route } from '#src/platform/http/route.ts';
import type { Route } from '#src/platform/http/route.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import type { Messaging } from '#src/rooms/messaging/service.ts';

/** An event's content: any JSON object. It was parsed from JSON and is not changed. */
const Content = Type.Record(Type.String(), Type.Unknown());
const contentOf = (body: Static<typeof Content>): JsonObject => body as JsonObject;

/** Sending messages, state and redactions. */
export const messagingRoutes = ({ access, messaging }: { access: AccountAccess; messaging: Messaging }): Route[] => [
  route({
    method: 'PUT',
    path: client('/rooms/:roomId/send/:eventType/:txnId', SINCE_V1),
    access: access.guest,
    body: Content,
    handle: async ({ caller, params, body }) => {
      const event = await messaging.send(caller, params.roomId, params.eventType, params.txnId, contentOf(body));
      return { event_id: event.eventId };
    },
  }),
  route({
    method: 'POST',
    path: client('/rooms/:roomId/send/:eventType', SINCE_V1),
    access: access.guest,
    body: Content,
    handle: async ({ caller, params, body }) => {
      const event = await messaging.send(caller, params.roomId, params.eventType, undefined, contentOf(body));
      return { event_id: event.eventId };
    },
  }),
  route({
    method: 'PUT',
    path: client('/rooms/:roomId/state/:eventType', SINCE_V1),
    access: access.guest,
    body: Content,
    handle: async ({ caller, params, body }) => {
      const event = await messaging.setState(caller, params.roomId, params.eventType, '', contentOf(body));
      return { event_id: event.eventId };
    },
  }),
  route({
    method: 'PUT',
    path: client('/rooms/:roomId/state/:eventType/:stateKey', SINCE_V1),
    access: access.guest,
    body: Content,
    handle: async ({ caller, params, body }) => {
      const event = await messaging.setState(caller, params.roomId, params.eventType, params.stateKey, contentOf(body));
      return { event_id: event.eventId };
    },
  }),
  route({
    method: 'PUT',
    path: client('/rooms/:roomId/redact/:eventId/:txnId', SINCE_V1),
    access: access.user,
    body: Content,
    handle: async ({ caller, params, body }) => {
      const event = await messaging.redact(caller, params.roomId, params.eventId, params.txnId, contentOf(body));
      return { event_id: event.eventId };
    },
  }),
  route({
    method: 'POST',
    path: client('/rooms/:roomId/redact/:eventId', SINCE_V1),
    access: access.user,
    body: Content,
    handle: async ({ caller, params, body }) => {
      const event = await messaging.redact(caller, params.roomId, params.eventId, undefined, contentOf(body));
      return { event_id: event.eventId };
    },
  }),
];
