import type { Logger } from '#src/platform/logging/index.ts';
import type { OwnPresence, Presence } from '#src/presence/index.ts';
import type { EduSource } from '#src/federation/outbox/edus.ts';
import type { ServersOf } from '#src/federation/outbox/room-servers.ts';
import { createVolatileEdus, type VolatileTools } from '#src/federation/outbox/volatile.ts';

/** Tells the other servers in users' rooms how they are (server-server API, Presence), each server once, in however many rooms it is. */
export const createPresenceEdus = (
  tools: VolatileTools & { readonly presence: Pick<Presence, 'onOwn'>; readonly serversOf: ServersOf; readonly log: Logger },
): EduSource => {
  const edus = createVolatileEdus('m.presence', tools);

  const tell = async (news: readonly OwnPresence[]): Promise<void> => {
    const inRooms = new Map<number, ReadonlySet<string>>();
    for (const { userId, content, roomNums, servers } of news) {
      const all = new Set(servers);
      for (const roomNum of roomNums) {
        const inRoom = inRooms.get(roomNum) ?? (await tools.serversOf(roomNum))?.servers ?? new Set<string>();
        inRooms.set(roomNum, inRoom);
        for (const name of inRoom) all.add(name);
      }
      edus.put(all, userId, { push: [content] });
    }
  };

  // One after another, so that the last of a user is what is told last.
  let telling = Promise.resolve();
  tools.presence.onOwn((news) => {
    telling = telling
      .then(() => tell(news))
      .catch((error: unknown) => tools.log.warn({ err: error }, 'Other servers could not be told who is online'));
  });
  return edus;
};
