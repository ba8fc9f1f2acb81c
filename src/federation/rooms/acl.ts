import { forbidden } from '#src/protocol/errors.ts';
import { aclAllows } from '#src/protocol/server-acl.ts';
import type { RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';

/** Throws `forbidden` where the room's server ACL keeps the server out (client-server API, "Server ACLs"). */
export const checkServerAcl = async (graph: Pick<RoomGraph, 'currentState'>, room: RoomInfo, serverName: string): Promise<void> => {
  const acl = await graph.currentState(room, 'm.room.server_acl', '');
  if (acl !== undefined && !aclAllows(acl.pdu.content, serverName)) throw forbidden('Server is banned from room');
};
