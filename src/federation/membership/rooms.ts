import { notFound } from '#src/protocol/errors.ts';
import type { RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import { checkServerAcl } from '#src/federation/rooms/acl.ts';

/**
 * The room that another server's user wants to enter or leave by way of this one. Throws `notFound` where this server is not in it, and `forbidden` where the
 * room's server ACL keeps the other out.
 */
export const roomToEnter = async (
  graph: Pick<RoomGraph, 'room' | 'currentState' | 'memberships'>,
  origin: string,
  roomId: string,
): Promise<RoomInfo> => {
  const room = await graph.room(roomId);
  if (room === undefined) throw notFound(`Room ${roomId} is not known to this server`);
  await checkServerAcl(graph, room, origin);
  if (!(await graph.memberships.isHere(room.num))) throw notFound('Not an active room on this server');
  return room;
};
