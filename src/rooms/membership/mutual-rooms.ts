import { isUtf8 } from 'node:buffer';
import type { AccountAccess, Requester } from '#src/accounts/index.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import { client, route, type Route } from '#src/platform/http/route.ts';
import { Type } from '#src/platform/schema.ts';
import { decodeBase64, encodeUrlSafeBase64 } from '#src/protocol/base64.ts';
import { invalidParam, missingParam } from '#src/protocol/errors.ts';
import { isCompliantLocalpart, parseUserId } from '#src/protocol/identifiers.ts';
import type { RoomGraph } from '#src/rooms/graph/index.ts';

/** A page of the rooms that two users have joined, and how many there are in all. */
export interface MutualRooms {
  readonly joined: readonly string[];
  readonly count: number;
  /** Undefined at the end. */
  readonly next_batch?: string;
}

const PAGE = 100;
/** As long as a token may be. */
const MAX_TOKEN = 255;

/** The room after which a page begins. */
const roomIn = (token: string): string => {
  const bytes = decodeBase64(token);
  if (bytes === undefined || !isUtf8(bytes)) throw invalidParam('Malformed from token');
  return bytes.toString('utf8');
};

const checkUser = (caller: Requester, userId: string): void => {
  const parsed = parseUserId(userId);
  if (parsed === undefined || !isCompliantLocalpart(parsed.localpart)) throw invalidParam('Invalid user_id query parameter');
  if (userId === caller.userId) throw invalidParam('You cannot request a list of shared rooms with yourself');
};

const pageAfter = (roomIds: readonly string[], token: string): MutualRooms => {
  const after = token === '' ? '' : roomIn(token);
  const left = roomIds.filter((roomId) => roomId > after);
  const joined = left.slice(0, PAGE);
  const last = left.length > PAGE ? joined.at(-1) : undefined;
  const next = last === undefined ? undefined : encodeUrlSafeBase64(Buffer.from(last)).slice(0, MAX_TOKEN);
  // Of ids that are longer than a token many may begin alike: nobody goes in circles among them.
  return { joined, count: roomIds.length, ...(next !== undefined && next !== token && { next_batch: next }) };
};

const Texts = Type.Optional(Type.Array(Type.String()));

/** Which rooms one shares with somebody (client-server API, "Mutual rooms"; MSC2666). */
export const mutualRoomsRoutes = ({
  access,
  graph,
  strings,
}: {
  access: Pick<AccountAccess, 'user'>;
  graph: Pick<RoomGraph, 'memberships' | 'rooms'>;
  strings: Pick<Strings, 'numOf'>;
}): Route[] => {
  const joinedBy = async (userNum: number): Promise<ReadonlySet<number>> =>
    new Set([...(await graph.memberships.ofUser(userNum)).values()].filter((row) => row.membership === 'join').map((row) => row.roomNum));

  const find = async (caller: Requester, userIds: readonly string[] = [], from: readonly string[] = []): Promise<MutualRooms> => {
    const [userId, ...others] = userIds;
    if (userId === undefined) throw missingParam('Missing required query parameter: user_id');
    if (from.length > 1) throw invalidParam('Duplicate from query parameter');
    if (others.length > 0) throw invalidParam('Duplicate user_id query parameter');
    checkUser(caller, userId);
    const userNum = await strings.numOf(userId);
    const theirs = userNum === undefined ? new Set<number>() : await joinedBy(userNum);
    const mutual = [...(await joinedBy(caller.userNum))].filter((roomNum) => theirs.has(roomNum));
    return pageAfter([...(await graph.rooms(mutual)).values()].map((room) => room.roomId).sort(), from[0] ?? '');
  };

  return [
    route({
      method: 'GET',
      path: client('/mutual_rooms', ['v1', 'unstable']),
      access: access.user,
      query: Type.Object({ user_id: Texts, from: Texts }),
      handle: async ({ caller, query }) => find(caller, query.user_id, query.from),
    }),
    route({
      method: 'GET',
      // Where clients ask that know the proposal, by the names that it had for the tokens.
      path: client('/uk.half-shot.msc2666/user/mutual_rooms', ['unstable']),
      access: access.user,
      query: Type.Object({ user_id: Texts, from: Texts, batch_token: Texts }),
      handle: async ({ caller, query }) => {
        const found = await find(caller, query.user_id, query.batch_token ?? query.from);
        return { ...found, ...(found.next_batch !== undefined && { next_batch_token: found.next_batch }) };
      },
    }),
  ];
};
