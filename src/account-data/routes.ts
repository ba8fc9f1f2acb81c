import { Type } from '#src/platform/schema.ts';
import type { AccountAccess, Requester } from '#src/accounts/index.ts';
import { client, RawJson, route, type Route } from '#src/platform/http/route.ts';
import { forbidden, invalidParam, notFound } from '#src/protocol/errors.ts';
import { byteLength, isRoomId } from '#src/protocol/identifiers.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import type { RoomGraph } from '#src/rooms/graph/index.ts';
import { type AccountData, TAGS, tagsOf } from '#src/account-data/service.ts';

const VERSIONS = ['v3', 'r0', 'unstable'];
const PUSH_RULES = 'm.push_rules';
const MAX_TAG_BYTES = 255;

const anyObject = Type.Record(Type.String(), Type.Unknown());

export interface AccountDataRouteTools {
  readonly access: Pick<AccountAccess, 'user'>;
  readonly accountData: AccountData;
  readonly graph: Pick<RoomGraph, 'room' | 'memberships'>;
  /** What `m.push_rules` holds for a user; another slice keeps it. */
  readonly pushRulesOf: (requester: Requester) => Promise<object>;
}

const checkOwn = (caller: Requester, userId: string, what: string): void => {
  if (caller.userId !== userId) throw forbidden(`Cannot ${what} for other users.`);
};

const shown = (content: string | undefined): RawJson => {
  if (content === undefined) throw notFound('Account data not found');
  return new RawJson(content);
};

const globalRoutes = ({ access, accountData, pushRulesOf }: AccountDataRouteTools): Route[] => [
  route({
    method: 'PUT',
    path: client('/user/:userId/account_data/:type', VERSIONS),
    access: access.user,
    body: anyObject,
    handle: async ({ caller, params, body }) => {
      checkOwn(caller, params.userId, 'add account data');
      await accountData.set({ userNum: caller.userNum, roomNum: undefined, type: params.type }, body as JsonObject);
      return {};
    },
  }),
  route({
    method: 'GET',
    path: client('/user/:userId/account_data/:type', VERSIONS),
    access: access.user,
    handle: async ({ caller, params }) => {
      checkOwn(caller, params.userId, 'get account data');
      if (params.type === PUSH_RULES) return pushRulesOf(caller);
      return shown(await accountData.get({ userNum: caller.userNum, roomNum: undefined, type: params.type }));
    },
  }),
];

/** Client-server API, "Client Config" and "Room Tagging". */
export const accountDataRoutes = (tools: AccountDataRouteTools): Route[] => {
  const { access, accountData, graph } = tools;

  const roomNumOf = async (roomId: string): Promise<number> => {
    if (!isRoomId(roomId)) throw invalidParam('Not a valid room ID');
    const room = await graph.room(roomId);
    if (room === undefined) throw notFound('Room not found');
    return room.num;
  };

  /** Tags are for rooms that one has something to do with. */
  const taggedRoom = async (caller: Requester, roomId: string): Promise<number> => {
    const room = await graph.room(roomId);
    const membership = room && (await graph.memberships.in(room.num, caller.userNum));
    if (room === undefined || membership === undefined) throw forbidden(`User ${caller.userId} not in room ${roomId}`);
    return room.num;
  };

  return [
    ...globalRoutes(tools),
    route({
      method: 'PUT',
      path: client('/user/:userId/rooms/:roomId/account_data/:type', VERSIONS),
      access: access.user,
      body: anyObject,
      handle: async ({ caller, params, body }) => {
        checkOwn(caller, params.userId, 'add account data');
        const place = { userNum: caller.userNum, roomNum: await roomNumOf(params.roomId), type: params.type };
        await accountData.set(place, body as JsonObject);
        return {};
      },
    }),
    route({
      method: 'GET',
      path: client('/user/:userId/rooms/:roomId/account_data/:type', VERSIONS),
      access: access.user,
      handle: async ({ caller, params }) => {
        checkOwn(caller, params.userId, 'get account data');
        return shown(await accountData.get({ userNum: caller.userNum, roomNum: await roomNumOf(params.roomId), type: params.type }));
      },
    }),
    route({
      method: 'GET',
      path: client('/user/:userId/rooms/:roomId/tags', VERSIONS),
      access: access.user,
      handle: async ({ caller, params }) => {
        checkOwn(caller, params.userId, 'get tags');
        const room = await graph.room(params.roomId);
        const text = room && (await accountData.get({ userNum: caller.userNum, roomNum: room.num, type: TAGS }));
        return { tags: tagsOf(text === undefined ? undefined : (JSON.parse(text) as JsonObject)) };
      },
    }),
    route({
      method: 'PUT',
      path: client('/user/:userId/rooms/:roomId/tags/:tag', VERSIONS),
      access: access.user,
      body: anyObject,
      handle: async ({ caller, params, body }) => {
        checkOwn(caller, params.userId, 'add tags');
        if (byteLength(params.tag) > MAX_TAG_BYTES) throw invalidParam(`A tag is at most ${String(MAX_TAG_BYTES)} bytes long`);
        const place = { userNum: caller.userNum, roomNum: await taggedRoom(caller, params.roomId), type: TAGS };
        await accountData.update(place, (content) => ({ tags: { ...tagsOf(content), [params.tag]: body as JsonObject } }));
        return {};
      },
    }),
    route({
      method: 'DELETE',
      path: client('/user/:userId/rooms/:roomId/tags/:tag', VERSIONS),
      access: access.user,
      handle: async ({ caller, params }) => {
        checkOwn(caller, params.userId, 'remove tags');
        const place = { userNum: caller.userNum, roomNum: await taggedRoom(caller, params.roomId), type: TAGS };
        await accountData.update(place, (content) => {
          const { [params.tag]: removed, ...tags } = tagsOf(content);
          return removed === undefined ? undefined : { tags };
        });
        return {};
      },
    }),
  ];
};
