import type { Clock } from '#src/platform/clock.ts';
import type { Typing } from '#src/typing/index.ts';
import type { EduSource } from '#src/federation/outbox/edus.ts';
import type { ToServersOf } from '#src/federation/outbox/room-servers.ts';
import { createVolatileEdus, type VolatileTools } from '#src/federation/outbox/volatile.ts';

/** Others believe for a minute that somebody types; before that it is said again. */
const REPEAT_MS = 40_000;

/** Tells the other servers in rooms who types there (server-server API, Typing Notifications). */
export const createTypingEdus = (
  tools: VolatileTools & {
    readonly typing: Pick<Typing, 'onOwn'>;
    readonly toServersOf: ToServersOf;
    readonly clock: Pick<Clock, 'monotonic'>;
  },
): EduSource => {
  const edus = createVolatileEdus('m.typing', tools);
  const saidMs = new Map<string, number>();
  tools.typing.onOwn((roomNum, userId, isTyping) => {
    const key = `${String(roomNum)} ${userId}`;
    const now = tools.clock.monotonic();
    if (isTyping) {
      if (now - (saidMs.get(key) ?? -REPEAT_MS) < REPEAT_MS) return;
      saidMs.set(key, now);
    } else if (!saidMs.delete(key)) return;
    tools.toServersOf(roomNum, ({ roomId }, servers) => edus.put(servers, key, { room_id: roomId, user_id: userId, typing: isTyping }));
  });
  return edus;
};
