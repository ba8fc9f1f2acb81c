import { MatrixError } from '#src/protocol/errors.ts';
import { domainOf, isUserId } from '#src/protocol/identifiers.ts';
import { clampedInteger, isExactNumber, isJsonObject, type JsonObject, type JsonValue } from '#src/protocol/json.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import type { DeviceLists, ListUpdate } from '#src/device-lists/index.ts';
import type { Presence } from '#src/presence/index.ts';
import type { Receipts } from '#src/receipts/index.ts';
import type { RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { IncomingMessages, ToDevice } from '#src/to-device/index.ts';
import type { Typing } from '#src/typing/index.ts';
import { changeId, deviceText, isKeepableId } from '#src/federation/device-keys/index.ts';
import { checkServerAcl } from '#src/federation/rooms/acl.ts';
import type { Hosts } from '#src/federation/rooms/hosts.ts';

/** Takes in EDUs (server-server API, EDUs). What is of an unknown type or not in order is ignored, as is what a server says of others' users. */
export interface Edus {
  /** Resolves once what must not be lost is durable: messages to devices, and whose devices have changed. */
  take(origin: string, edus: readonly JsonValue[]): Promise<void>;
  /** Tells what nobody waits for: who types, who is online, and who has read what. To be called when the events that came with it are staged. */
  tell(origin: string, edus: readonly JsonValue[]): void;
  /** Waits for what is still being done. */
  close(): Promise<void>;
}

/** What EDUs are handed on to. */
export interface EduTools {
  readonly graph: Pick<RoomGraph, 'room' | 'currentState' | 'memberships'>;
  readonly strings: Pick<Strings, 'numOf'>;
  readonly hosts: Hosts;
  readonly typing: Pick<Typing, 'receive'>;
  readonly receipts: Pick<Receipts, 'receive'>;
  readonly presence: Pick<Presence, 'receive'>;
  readonly toDevice: Pick<ToDevice, 'receive'>;
  readonly deviceLists: Pick<DeviceLists, 'receive'>;
  /** Resolves once the events of the room that were taken in are judged: what servers say of them makes sense only then. */
  readonly untilJudged: (roomNum: number) => Promise<void>;
  readonly log: Logger;
}

/** The members of an object that are objects. */
const objectsIn = (value: JsonValue | undefined): (readonly [string, JsonObject])[] =>
  isJsonObject(value) ? Object.entries(value).filter((each): each is [string, JsonObject] => isJsonObject(each[1])) : [];

const isUserOf = (userId: JsonValue | undefined, origin: string): userId is string => isUserId(userId) && domainOf(userId) === origin;

const messagesOf = (origin: string, { sender, type, message_id: messageId, messages }: JsonObject): IncomingMessages | undefined => {
  if (!isUserOf(sender, origin) || typeof type !== 'string' || typeof messageId !== 'string') return undefined;
  return { sender, type, messageId, messages: objectsIn(messages).map(([userId, byDevice]) => [userId, objectsIn(byDevice)]) };
};

const listUpdateOf = (origin: string, content: JsonObject): ListUpdate | undefined => {
  const { user_id: userId, stream_id: id, prev_id: previous, device_id: deviceId } = content;
  const streamId = changeId(id);
  if (!isUserOf(userId, origin) || streamId === undefined) return undefined;
  const all = Array.isArray(previous) ? (previous as readonly JsonValue[]) : [];
  const json = !isKeepableId(deviceId) ? undefined : deviceText(content.keys, userId, deviceId, content.device_display_name);
  return {
    userId,
    change: { id: streamId, previous: all.map(changeId) },
    device: isKeepableId(deviceId)
      ? { deviceId, json: content.deleted === true ? undefined : json, isGone: content.deleted === true }
      : undefined,
  };
};

/** New cross-signing keys have no place in the order of changes: what is known of the user is old. */
const keyUpdateOf = (origin: string, { user_id: userId }: JsonObject): ListUpdate | undefined =>
  isUserOf(userId, origin) ? { userId, change: undefined } : undefined;

export const createEdus = (tools: EduTools): Edus => {
  const { graph, strings, hosts, typing, receipts, presence, toDevice, deviceLists, untilJudged, log } = tools;
  const running = new Set<Promise<void>>();

  /** The room, where this server and the other are in it and the room's server ACL lets the other speak. */
  const enter = async (origin: string, roomId: JsonValue | undefined): Promise<RoomInfo | undefined> => {
    const room = typeof roomId === 'string' ? await graph.room(roomId) : undefined;
    if (room === undefined || !(await graph.memberships.isHere(room.num)) || !(await hosts.isIn(room, origin))) return undefined;
    try {
      await checkServerAcl(graph, room, origin);
      return room;
    } catch (error) {
      if (error instanceof MatrixError) return undefined;
      throw error;
    }
  };

  const takeTyping = async (origin: string, { room_id: roomId, user_id: userId, typing: isTyping }: JsonObject): Promise<void> => {
    if (!isUserOf(userId, origin)) return;
    const room = await enter(origin, roomId);
    const userNum = room && (await strings.numOf(userId));
    if (room !== undefined && userNum !== undefined) await typing.receive(room.num, userNum, userId, isTyping === true);
  };

  const takeReceipts = async (origin: string, content: JsonObject): Promise<void> => {
    for (const [roomId, byType] of objectsIn(content)) {
      const room = await enter(origin, roomId);
      if (room === undefined) continue;
      await untilJudged(room.num);
      for (const [userId, { event_ids: eventIds, data }] of objectsIn(byType['m.read'])) {
        const userNum = isUserOf(userId, origin) ? await strings.numOf(userId) : undefined;
        const eventId = Array.isArray(eventIds) ? (eventIds as readonly JsonValue[])[0] : undefined;
        if (userNum === undefined || typeof eventId !== 'string') continue;
        const { ts, thread_id: threadId } = isJsonObject(data) ? data : {};
        await receipts.receive(room, userNum, {
          type: 'm.read',
          eventId,
          threadId: typeof threadId === 'string' ? threadId : undefined,
          ts: typeof ts === 'number' || isExactNumber(ts) ? clampedInteger(ts) : undefined,
        });
      }
    }
  };

  /** Does what nobody waits for. */
  const aside = (work: Promise<void>): void => {
    const tracked = work
      .catch((error: unknown) => log.warn({ err: error }, 'What another server told beside events could not be taken in'))
      .finally(() => running.delete(tracked));
    running.add(tracked);
  };

  const contentsOf = (edus: readonly JsonValue[]): { type: JsonValue | undefined; content: JsonObject }[] =>
    edus.flatMap((edu) => (isJsonObject(edu) && isJsonObject(edu.content) ? { type: edu.edu_type, content: edu.content } : []));

  return {
    take: async (origin, edus) => {
      const messages: (IncomingMessages | undefined)[] = [];
      const updates: (ListUpdate | undefined)[] = [];
      for (const { type, content } of contentsOf(edus)) {
        if (type === 'm.direct_to_device') messages.push(messagesOf(origin, content));
        if (type === 'm.device_list_update') updates.push(listUpdateOf(origin, content));
        if (type === 'm.signing_key_update' || type === 'org.matrix.signing_key_update') updates.push(keyUpdateOf(origin, content));
      }
      await Promise.all([
        toDevice.receive(
          origin,
          messages.filter((each) => each !== undefined),
        ),
        deviceLists.receive(updates.filter((each) => each !== undefined)),
      ]);
    },
    tell: (origin, edus) => {
      for (const { type, content } of contentsOf(edus)) {
        if (type === 'm.typing') aside(takeTyping(origin, content));
        if (type === 'm.receipt') aside(takeReceipts(origin, content));
        if (type === 'm.presence') aside(presence.receive(origin, content));
      }
    },
    close: async () => {
      await Promise.all(running);
    },
  };
};
