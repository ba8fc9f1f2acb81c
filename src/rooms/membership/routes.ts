import { Type } from '#src/platform/schema.ts';
import type { Schema, Static } from '#src/platform/schema.ts';
import type { AccountAccess, Requester } from '#src/accounts/index.ts';
import { SINCE_V1, client, route } from '#src/platform/http/route.ts';
import type { Access, Call, Route } from '#src/platform/http/route.ts';
import { forbidden, missingParam } from '#src/protocol/errors.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import type { MemberChange } from '#src/rooms/membership/changes.ts';
import type { Membership } from '#src/rooms/membership/service.ts';

const ReasonBody = Type.Optional(Type.Object({ reason: Type.Optional(Type.String()) }));
const TargetBody = Type.Object({ user_id: Type.String(), reason: Type.Optional(Type.String()) });
const InviteBody = Type.Object({
  user_id: Type.Optional(Type.String()),
  medium: Type.Optional(Type.String()),
  address: Type.Optional(Type.String()),
  reason: Type.Optional(Type.String()),
});

interface Reason {
  readonly reason?: string;
}

const withReason = (body: Reason | undefined) => (body?.reason === undefined ? {} : { content: { reason: body.reason } });

const invitedBy = (body: Static<typeof InviteBody>): string => {
  if (body.user_id !== undefined) return body.user_id;
  if (body.medium !== undefined && body.address !== undefined) {
    throw forbidden('Invites by e-mail address or phone number are not possible on this server');
  }
  throw missingParam('Missing required key: user_id');
};

/** An action in a room, and its old form by PUT. Repeating one changes nothing, so that form's transaction id is not looked at. */
const roomAction = <Body extends Schema>(
  action: string,
  access: Access<Requester>,
  body: Body,
  act: (requester: Requester, roomId: string, body: Static<Body>) => Promise<unknown>,
): Route[] => {
  const handle = async (call: Call<Requester, { readonly roomId: string }, unknown, Static<Body>>): Promise<unknown> =>
    act(call.caller, call.params.roomId, call.body);
  return [
    route({ method: 'POST', path: client(`/rooms/:roomId/${action}`, SINCE_V1), access, body, handle }),
    route({ method: 'PUT', path: client(`/rooms/:roomId/${action}/:txnId`, SINCE_V1), access, body, handle }),
  ];
};

/** What somebody does about another's membership. */
const targetAction = (membership: Membership, action: 'kick' | 'ban' | 'unban', access: Access<Requester>): Route[] =>
  roomAction(action, access, TargetBody, async (requester, roomId, body) => {
    await membership.change(requester, roomId, { target: body.user_id, action, ...withReason(body) });
    return {};
  });

const actionRoutes = (membership: Membership, access: AccountAccess): Route[] => [
  ...roomAction('join', access.guest, ReasonBody, async (requester, roomId, body) => {
    await membership.change(requester, roomId, { target: requester.userId, action: 'join', ...withReason(body) });
    return { room_id: roomId };
  }),
  ...roomAction('leave', access.guest, ReasonBody, async (requester, roomId, body) => {
    await membership.change(requester, roomId, { target: requester.userId, action: 'leave', ...withReason(body) });
    return {};
  }),
  ...roomAction('invite', access.user, InviteBody, async (requester, roomId, body) => {
    await membership.change(requester, roomId, { target: invitedBy(body), action: 'invite', ...withReason(body) });
    return {};
  }),
  ...targetAction(membership, 'kick', access.user),
  ...targetAction(membership, 'ban', access.user),
  ...targetAction(membership, 'unban', access.user),
  ...roomAction('forget', access.user, ReasonBody, async (requester, roomId) => {
    await membership.forget(requester, roomId);
    return {};
  }),
];

/** All that a body of `POST /join/…` says becomes part of the member event, as it would by setting that state. */
const joinContent = (body: Reason | undefined) => {
  const { third_party_signed: _, ...content } = (body ?? {}) as JsonObject;
  return { content };
};

/** Servers that may be asked for the room; the second is the older name. */
const ServersQuery = Type.Object({ via: Type.Optional(Type.Array(Type.String())), server_name: Type.Optional(Type.Array(Type.String())) });

/** Entering a room by its id or alias. */
const enterRoutes = (membership: Membership, access: AccountAccess): Route[] => {
  const enter =
    (action: 'join' | 'knock', contentOf: (body: Reason | undefined) => Pick<MemberChange, 'content'>) =>
    async (
      call: Call<Requester, { readonly roomIdOrAlias: string }, Static<typeof ServersQuery>, Reason | undefined>,
    ): Promise<unknown> => {
      const { caller, params, query, body } = call;
      const { roomId, servers } = await membership.locate(params.roomIdOrAlias);
      const named = [...(query.via ?? []), ...(query.server_name ?? []), ...servers];
      await membership.change(caller, roomId, { target: caller.userId, action, ...contentOf(body) }, named);
      return { room_id: roomId };
    };
  const join = { access: access.guest, query: ServersQuery, body: ReasonBody, handle: enter('join', joinContent) };
  return [
    route({ method: 'POST', path: client('/join/:roomIdOrAlias', SINCE_V1), ...join }),
    route({ method: 'PUT', path: client('/join/:roomIdOrAlias/:txnId', SINCE_V1), ...join }),
    route({
      method: 'POST',
      path: client('/knock/:roomIdOrAlias', ['v3', 'r0', 'unstable']),
      access: access.user,
      query: ServersQuery,
      body: ReasonBody,
      handle: enter('knock', withReason),
    }),
  ];
};

/** Room membership (client-server API). */
export const membershipRoutes = ({ access, membership }: { access: AccountAccess; membership: Membership }): Route[] => [
  ...actionRoutes(membership, access),
  ...enterRoutes(membership, access),
  route({
    method: 'GET',
    path: client('/joined_rooms', SINCE_V1),
    access: access.guest,
    handle: async ({ caller }) => ({ joined_rooms: await membership.joinedRooms(caller.userNum) }),
  }),
];
