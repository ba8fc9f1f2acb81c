import { Type } from '#src/platform/schema.ts';
import type { AccountAccess } from '#src/accounts/index.ts';
import { client, route, SINCE_V1 } from '#src/platform/http/route.ts';
import type { Route } from '#src/platform/http/route.ts';
import type { RoomRequest } from '#src/rooms/creation/plan.ts';
import type { Creation } from '#src/rooms/creation/service.ts';

const AnyObject = Type.Record(Type.String(), Type.Unknown());

const CreateRoomBody = Type.Object({
  visibility: Type.Optional(Type.Union([Type.Literal('public'), Type.Literal('private')])),
  room_alias_name: Type.Optional(Type.String()),
  name: Type.Optional(Type.String()),
  topic: Type.Optional(Type.String()),
  invite: Type.Optional(Type.Array(Type.String())),
  invite_3pid: Type.Optional(Type.Array(AnyObject)),
  room_version: Type.Optional(Type.String()),
  creation_content: Type.Optional(AnyObject),
  initial_state: Type.Optional(
    Type.Array(Type.Object({ type: Type.String(), state_key: Type.Optional(Type.String()), content: AnyObject })),
  ),
  preset: Type.Optional(Type.Union([Type.Literal('private_chat'), Type.Literal('trusted_private_chat'), Type.Literal('public_chat')])),
  is_direct: Type.Optional(Type.Boolean()),
  power_level_content_override: Type.Optional(AnyObject),
});

/** `POST /createRoom`, and its old form by PUT that makes one room for one transaction id. */
export const creationRoutes = ({ access, creation }: { access: AccountAccess; creation: Creation }): Route[] => [
  route({
    method: 'POST',
    path: client('/createRoom', SINCE_V1),
    access: access.user,
    body: CreateRoomBody,
    // The schema says all that `RoomRequest` does but that unknown values are JSON, which they are by being parsed from it.
    handle: async ({ caller, body }) => ({ room_id: await creation.createRoom(caller, body as RoomRequest) }),
  }),
  route({
    method: 'PUT',
    path: client('/createRoom/:txnId', SINCE_V1),
    access: access.user,
    body: CreateRoomBody,
    handle: async ({ caller, params, body }) => ({ room_id: await creation.createRoomOnce(caller, params.txnId, body as RoomRequest) }),
  }),
];
