import type { JsonObject } from '#src/protocol/json.ts';
import type { NewEvent } from '#src/rooms/graph/index.ts';

/** A state event that somebody wants to send. */
export const state = (sender: string, type: string, stateKey: string, content: JsonObject): NewEvent => ({
  sender,
  type,
  stateKey,
  content,
});

/** What `sender` makes of the membership of `userId`. */
export const member = (sender: string, userId: string, membership: string): NewEvent =>
  state(sender, 'm.room.member', userId, { membership });

/** A text message. */
export const message = (sender: string, body: string): NewEvent => ({
  sender,
  type: 'm.room.message',
  content: { msgtype: 'm.text', body },
});
