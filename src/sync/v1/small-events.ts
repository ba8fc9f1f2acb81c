import type { SmallEvent, SyncPorts } from '#src/sync/ports.ts';

/** What the first version tells of: push rules were asked for by a path of their own, and messages to devices and changes of devices came with `/sync`. */
export const sourcesOf = ({ sources }: SyncPorts): SyncPorts => ({ sources: sources.filter(({ part }) => part !== 'pushRules') });

/** Presence as the first version writes it: whose it is stands in the content too. */
export const presenceText = ({ type, content, sender }: SmallEvent): string =>
  JSON.stringify({ type, sender, content: { ...content, user_id: sender } });

/** An event of a room that is not in its timeline. */
export const inRoomText = ({ type, content }: SmallEvent, roomId: string): string => JSON.stringify({ type, room_id: roomId, content });
