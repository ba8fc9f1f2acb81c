import { forbidden } from '#src/protocol/errors.ts';
import type { NodeId, RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { RoomReader } from '#src/rooms/history/presenter.ts';
import type { Visibility } from '#src/rooms/history/visibility.ts';

/** By what right somebody reads a room, and so up to where. */
export interface Reading {
  readonly room: RoomInfo;
  /** `departed` readers read what was there when they left; `peeking` ones what all the world may read. */
  readonly by: 'member' | 'departed' | 'peeking';
  /** The state that the reader may read: the current one, or that in which the reader left. */
  readonly root: NodeId;
  /** The event by which a departed reader left. */
  readonly left: RoomEvent | undefined;
}

export interface ReadAccess {
  /** Throws `forbidden` for a room that the reader may not read at all, whether it exists or not. */
  reading(reader: RoomReader, roomId: string): Promise<Reading>;
}

export const createReadAccess = (
  graph: Pick<RoomGraph, 'events' | 'memberships' | 'room' | 'currentRoot'>,
  visibility: Pick<Visibility, 'settingAt'>,
): ReadAccess => ({
  reading: async (reader, roomId) => {
    const refused = forbidden(`User ${reader.userId} not in room ${roomId}, and room previews are disabled`);
    const room = await graph.room(roomId);
    if (room === undefined) throw refused;
    const row = await graph.memberships.in(room.num, reader.userNum);
    if (row?.membership === 'join') return { room, by: 'member', root: await graph.currentRoot(room), left: undefined };
    if ((row?.membership === 'leave' || row?.membership === 'ban') && !row.forgotten) {
      const left = await graph.events.byNum(row.eventNum);
      if (left?.stateRoot !== undefined) return { room, by: 'departed', root: left.stateRoot, left };
    }
    const root = await graph.currentRoot(room);
    if ((await visibility.settingAt(room, root)) !== 'world_readable') throw refused;
    return { room, by: 'peeking', root, left: undefined };
  },
});
