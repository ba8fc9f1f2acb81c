import type { Strings } from '#src/platform/database/strings.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '#src/protocol/json.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import { ENTRY_TYPES, roomEntry } from '#src/rooms/directory/index.ts';
import type { RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import { shownPdu } from '#src/rooms/history/index.ts';
import { conditionsOf, isRestricted } from '#src/rooms/membership/index.ts';

/** What a space tells of itself: the room, and the events that make others its children, in their order. */
export interface SpaceEntry {
  readonly room: JsonObject;
  readonly children: readonly SpaceChild[];
}

/** A stripped `m.space.child`, with its time. */
export type SpaceChild = {
  readonly type: 'm.space.child';
  readonly state_key: string;
  readonly content: JsonObject;
  readonly sender: string;
  readonly origin_server_ts: JsonValue;
};

/** Who asks: a user of this server, nobody in particular, or another server for any of its users. */
export type Asker = { readonly userId: string; readonly userNum: number } | { readonly serverName: string } | undefined;

/** Rooms of this server as they are shown to those who could enter or read them. */
export interface Entries {
  /** The room's entry, where the asker could enter or read it. */
  of(room: RoomInfo, asker: Asker): Promise<JsonObject | undefined>;
  /** Its children, for a space; those that are suggested, or all. */
  childrenOf(room: RoomInfo, suggestedOnly: boolean): Promise<readonly SpaceChild[]>;
  /** Whether a user is in one of these rooms. */
  isInOneOf(userNum: number, roomIds: readonly string[]): Promise<boolean>;
}

export interface EntryTools {
  readonly graph: Pick<RoomGraph, 'room' | 'currentState' | 'currentRoot' | 'stateEvents' | 'memberships'>;
  readonly strings: Pick<Strings, 'textOf'>;
  /** Whether a server is in a room, or one of its users is invited. */
  readonly hasServer: (room: RoomInfo, serverName: string, withInvited: boolean) => Promise<boolean>;
}

const OPEN: ReadonlySet<JsonValue | undefined> = new Set(['public', 'knock', 'knock_restricted']);
const MAX_ORDER = 50;

const isVia = (via: JsonValue | undefined): via is readonly string[] =>
  Array.isArray(via) && via.length > 0 && (via as readonly JsonValue[]).every((name) => typeof name === 'string');

/** An order that counts (client-server API, Ordering of children within a space). */
const orderOf = ({ order }: JsonObject): string | undefined =>
  typeof order === 'string' && order.length <= MAX_ORDER && /^[ -~]*$/.test(order) ? order : undefined;

/** Those with an order first, then the older, then by room. */
const compareChildren = (a: SpaceChild, b: SpaceChild): number => {
  const [first, second] = [orderOf(a.content), orderOf(b.content)];
  if (first !== second) {
    if (first === undefined) return 1;
    if (second === undefined) return -1;
    return first < second ? -1 : 1;
  }
  return Number(a.origin_server_ts) - Number(b.origin_server_ts) || (a.state_key < b.state_key ? -1 : Number(a.state_key > b.state_key));
};

/** Reads stripped children as another server gives them, or of a room of this one; what is none is left out. */
export const childOf = (event: JsonValue): SpaceChild | undefined => {
  if (!isJsonObject(event)) return undefined;
  const { type, state_key: stateKey, content, sender, origin_server_ts: ts } = event;
  if (type !== 'm.space.child' || typeof stateKey !== 'string' || !isJsonObject(content) || !isVia(content.via)) return undefined;
  if (typeof sender !== 'string' || typeof ts !== 'number') return undefined;
  return { type, state_key: stateKey, content, sender, origin_server_ts: ts };
};

export const createEntries = ({ graph, hasServer }: EntryTools): Entries => {
  const contentOf = async (room: RoomInfo, type: string, stateKey = ''): Promise<JsonObject | undefined> => {
    const event = await graph.currentState(room, type, stateKey);
    return event && shownPdu(event, roomVersion(room.version)).content;
  };

  const isInOneOf: Entries['isInOneOf'] = async (userNum, roomIds) => {
    for (const roomId of roomIds) {
      const room = await graph.room(roomId);
      if (room !== undefined && (await graph.memberships.in(room.num, userNum))?.membership === 'join') return true;
    }
    return false;
  };

  const hasServerInOneOf = async (serverName: string, roomIds: readonly string[]): Promise<boolean> => {
    for (const roomId of roomIds) {
      const room = await graph.room(roomId);
      if (room !== undefined && (await hasServer(room, serverName, false))) return true;
    }
    return false;
  };

  const isFor = async (
    room: RoomInfo,
    asker: Asker,
    joinRules: JsonObject,
    isReadable: boolean,
    allowed: readonly string[],
  ): Promise<boolean> => {
    const version = roomVersion(room.version);
    const rule = joinRules.join_rule;
    const isOpen = OPEN.has(rule) && (rule !== 'knock' || version.knock) && (rule !== 'knock_restricted' || version.knockRestricted);
    if (isOpen || isReadable) return true;
    if (asker === undefined) return false;
    if ('serverName' in asker) return (await hasServer(room, asker.serverName, true)) || hasServerInOneOf(asker.serverName, allowed);
    const membership = (await graph.memberships.in(room.num, asker.userNum))?.membership;
    return membership === 'join' || membership === 'invite' || isInOneOf(asker.userNum, allowed);
  };

  return {
    isInOneOf,
    of: async (room, asker) => {
      const state = new Map<string, JsonObject>();
      for (const type of ENTRY_TYPES) {
        const content = await contentOf(room, type);
        if (content !== undefined) state.set(type, content);
      }
      const joinRules = state.get('m.room.join_rules') ?? {};
      const allowed = isRestricted(joinRules.join_rule, roomVersion(room.version)) ? conditionsOf(joinRules).rooms : [];
      const entry = roomEntry(room.roomId, (await graph.memberships.counts(room.num)).get('join') ?? 0, state);
      if (!(await isFor(room, asker, joinRules, entry.world_readable, allowed))) return undefined;
      const algorithm = (await contentOf(room, 'm.room.encryption'))?.algorithm;
      return {
        ...entry,
        room_version: room.version,
        ...(typeof algorithm === 'string' && { encryption: algorithm }),
        ...(allowed.length > 0 && { allowed_room_ids: allowed }),
      };
    },
    childrenOf: async (room, suggestedOnly) => {
      const events: readonly RoomEvent[] = await graph.stateEvents(room, await graph.currentRoot(room), 'm.space.child');
      return events
        .flatMap((event) => {
          const { type, state_key: stateKey, sender, content, origin_server_ts: ts } = shownPdu(event, roomVersion(room.version));
          return childOf({ type, state_key: stateKey ?? '', content, sender, origin_server_ts: ts }) ?? [];
        })
        .filter(({ content }) => !suggestedOnly || content.suggested === true)
        .sort(compareChildren);
    },
  };
};
