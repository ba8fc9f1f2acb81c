import type { Strings } from '#src/platform/database/strings.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import type { PushRule } from '#src/protocol/push-rules.ts';
import type { RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { PusherRow } from '#src/push/pushers/store.ts';

/** What a gateway is told (push gateway API, `POST /_matrix/push/v1/notify`), without its device. */
export interface Notification {
  readonly content: JsonObject;
  readonly tweaks: JsonObject | undefined;
}

/** Somebody to be notified of an event. */
export interface ForWhom {
  readonly userNum: number;
  readonly actions: PushRule['actions'];
  /** What the app shows as unread; undefined where the pusher wants no such number. */
  readonly badge: number | undefined;
}

export interface Payloads {
  /** The notification of an event in the pusher's format. */
  ofEvent(pusher: PusherRow, room: RoomInfo, event: RoomEvent, whom: ForWhom): Promise<Notification>;
}

export interface PayloadTools {
  readonly graph: Pick<RoomGraph, 'memberships' | 'currentState'>;
  readonly strings: Pick<Strings, 'textOf'>;
  /** Whether the content of events is told (`push.include_content`). */
  readonly includesContent: boolean;
}

const MEMBER = 'm.room.member';
/** A room without a name, with more members than this, is not named after them: that costs the number of members. */
const MAX_NAMING_MEMBERS = 50;

/** `{"set_tweak": "highlight"}` without a value means that it is true. */
const tweaksOf = (actions: PushRule['actions']): JsonObject =>
  Object.fromEntries(
    actions.flatMap((action) =>
      typeof action === 'object' && 'set_tweak' in action ? [[action.set_tweak, action.value ?? true] as const] : [],
    ),
  );

/** It may make a noise, or nobody but the device can tell. */
const priorityOf = ({ pdu: { type } }: RoomEvent, tweaks: JsonObject): 'high' | 'low' =>
  type === 'm.room.encrypted' || Boolean(tweaks['highlight']) || Boolean(tweaks['sound']) ? 'high' : 'low';

export const createPayloads = ({ graph, strings, includesContent }: PayloadTools): Payloads => {
  const textIn = async (room: RoomInfo, type: string, stateKey: string, key: string): Promise<string | undefined> => {
    const value = (await graph.currentState(room, type, stateKey))?.pdu.content[key];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };

  const nameOf = async (room: RoomInfo, userId: string): Promise<string> => (await textIn(room, MEMBER, userId, 'displayname')) ?? userId;

  /** What people call the room (client-server API, Calculating the display name for a room). */
  const roomName = async (room: RoomInfo, userNum: number): Promise<string | undefined> => {
    const given = (await textIn(room, 'm.room.name', '', 'name')) ?? (await textIn(room, 'm.room.canonical_alias', '', 'alias'));
    if (given !== undefined) return given;
    const counts = await graph.memberships.counts(room.num);
    if ((counts.get('join') ?? 0) + (counts.get('invite') ?? 0) > MAX_NAMING_MEMBERS) return undefined;
    const others = (await graph.memberships.ofRoom(room.num)).filter(
      (row) => row.userNum !== userNum && (row.membership === 'join' || row.membership === 'invite'),
    );
    const ids = [...(await strings.textOf(others.map((row) => row.userNum))).values()].toSorted();
    const [first, second] = ids;
    if (first === undefined) return undefined;
    if (second === undefined) return nameOf(room, first);
    if (ids.length === 2) return `${await nameOf(room, first)} and ${await nameOf(room, second)}`;
    return `${await nameOf(room, first)} and ${String(ids.length - 1)} others`;
  };

  return {
    ofEvent: async (pusher, room, event, { userNum, actions, badge }) => {
      const { type, sender, content, state_key: stateKey } = event.pdu;
      const tweaks = tweaksOf(actions);
      const short: JsonObject = {
        event_id: event.eventId,
        room_id: room.roomId,
        prio: priorityOf(event, tweaks),
        ...(badge !== undefined && { counts: { unread: badge } }),
      };
      const { format } = JSON.parse(pusher.data) as JsonObject;
      if (format === 'event_id_only') return { content: short, tweaks: undefined };
      const name = await roomName(room, userNum);
      return {
        content: {
          id: event.eventId,
          ...short,
          type,
          sender,
          ...(type === MEMBER &&
            stateKey !== undefined && { membership: content['membership'] ?? null, user_is_target: event.stateKeyNum === userNum }),
          ...(includesContent && Object.keys(content).length > 0 && { content }),
          sender_display_name: await nameOf(room, sender),
          ...(name !== undefined && { room_name: name }),
        },
        tweaks,
      };
    },
  };
};
