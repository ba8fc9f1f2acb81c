import type { ErasedUsers } from '#src/accounts/index.ts';
import { redactedCopy } from '#src/protocol/events.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import { isAccepted, type RoomEvent, type RoomGraph, type RoomInfo } from '#src/rooms/graph/index.ts';
import type { Visibility } from '#src/rooms/history/index.ts';

/** What other servers are shown of a room that they are in. */
export interface ServerVisibility {
  /** The PDUs of events as a server may have them, as JSON: those that its users could not have seen are in their redacted form. */
  shown(serverName: string, room: RoomInfo, events: readonly RoomEvent[]): Promise<string[]>;
  /** Those of some events that count and that a server may read whole. */
  readable(serverName: string, room: RoomInfo, events: readonly RoomEvent[]): Promise<readonly RoomEvent[]>;
}

const MEMBER = 'm.room.member';

/**
 * A server may see what one of its users may see: where history is shared everything, for it is in the room; else what was said while a user of its
 * was there or, where the setting says so, invited (server-server API, Backfilling and retrieving missing events).
 */
export const createServerVisibility = ({
  graph,
  visibility,
  erasedUsers,
}: {
  graph: Pick<RoomGraph, 'states' | 'events'>;
  visibility: Pick<Visibility, 'settingAt'>;
  erasedUsers: Pick<ErasedUsers, 'has'>;
}): ServerVisibility => {
  const membershipsAt = async (room: RoomInfo, root: string, serverName: string): Promise<Set<unknown>> => {
    const entries = await graph.states.entries(room.num, root, MEMBER, serverName);
    const members = await graph.events.list(entries.map((entry) => entry.eventNum));
    return new Set(members.map((event) => event.pdu.content.membership));
  };

  const isVisible = async (serverName: string, room: RoomInfo, root: string): Promise<boolean> => {
    const setting = await visibility.settingAt(room, root);
    if (setting === 'world_readable' || setting === 'shared') return true;
    const memberships = await membershipsAt(room, root, serverName);
    return memberships.has('join') || (setting === 'invited' && memberships.has('invite'));
  };

  return {
    readable: async (serverName, room, events) => {
      const readable: RoomEvent[] = [];
      for (const event of events) if (isAccepted(event) && (await isVisible(serverName, room, event.stateRoot ?? ''))) readable.push(event);
      return readable;
    },
    shown: async (serverName, room, events) => {
      const byRoot = new Map<string, boolean>();
      const texts: string[] = [];
      for (const event of events) {
        const { stateRoot: root = '' } = event;
        let visible = event.stateRoot === undefined ? false : byRoot.get(root);
        if (visible === undefined) byRoot.set(root, (visible = await isVisible(serverName, room, root)));
        // What authorises others has to be known to everybody, and its redacted form is enough for that.
        const isWhole = (visible || event.stateKeyNum !== undefined) && !erasedUsers.has(event.senderNum);
        texts.push(isWhole ? event.json : redactedCopy({ ...event, roomId: room.roomId }, roomVersion(room.version)).json);
      }
      return texts;
    },
  };
};
