import assert from 'node:assert/strict';
import type { Json } from './client.ts';

export interface ClientEvent {
  readonly type: string;
  readonly event_id: string;
  readonly state_key?: string;
  readonly sender: string;
  readonly content: Json;
}
export interface Events {
  readonly events: readonly ClientEvent[];
}

/** What `/sync` tells of a room that the reader is, or was, in. */
export interface RoomPart {
  readonly timeline: Events & { readonly limited: boolean; readonly prev_batch: string };
  readonly state?: Events;
  readonly state_after?: Events;
  readonly account_data?: Events;
  readonly ephemeral?: Events;
  readonly summary?: Json;
  readonly unread_notifications?: Json;
  readonly unread_thread_notifications?: Json;
}
type Rooms<Of> = Readonly<Record<string, Of>>;

export interface SyncBody {
  readonly next_batch: string;
  readonly account_data?: Events;
  readonly rooms?: {
    readonly join?: Rooms<RoomPart>;
    readonly leave?: Rooms<RoomPart>;
    readonly invite?: Rooms<Json>;
    readonly knock?: Rooms<Json>;
  };
}

interface TypeFilter {
  readonly types?: readonly string[];
  readonly not_types?: readonly string[];
}

/** How a client asks. */
export interface Way {
  readonly stateAfter?: boolean;
  readonly timeline?: TypeFilter & { readonly limit?: number; readonly unread_thread_notifications?: boolean };
  readonly state?: TypeFilter & { readonly lazy_load_members?: boolean; readonly include_redundant_members?: boolean };
}

export type Place = 'join' | 'leave' | 'invite' | 'knock';

/** What a client believes of a room. */
export interface KnownRoom {
  place: Place;
  /** Whether the room is known as one who is in it, or was until the leaving that was told. */
  isInside: boolean;
  /** Event ids by `type|state key`. */
  readonly state: Map<string, string>;
  /** Keys that an event of a timeline has set: in a room with forks it may have lost, which a client that is told the state before cannot know. */
  readonly setByTimeline: Set<string>;
  readonly timeline: string[];
  /** The event before the timeline, once there is a timeline; empty where that is the beginning. */
  anchor: string | undefined;
  /** Whether something of the timeline was not told, and not asked for either. */
  hasGap: boolean;
  readonly contents: Map<string, string>;
  /** Whose member events the client has as they are, though it loads them lazily: own, and of who has spoken since the last gap. */
  readonly speakers: Set<string>;
  readonly accountData: Map<string, string>;
  /** Event ids by `type|user|thread`. */
  readonly receipts: Map<string, string>;
  typing: readonly string[] | undefined;
  summary: Json;
  counts: Json | undefined;
  threadCounts: Json;
  /** What one is shown before being in. */
  outside: string;
}

interface Beliefs {
  since: string | undefined;
  readonly rooms: Map<string, KnownRoom>;
  readonly accountData: Map<string, string>;
}

export type Get = <Body>(path: string) => Promise<Body>;

/** A client that knows nothing but what each `/sync` has told it. */
export interface SyncClient {
  readonly userId: string;
  readonly way: Way;
  /** For messages of failures. */
  readonly name: string;
  readonly beliefs: () => Beliefs;
  /**
   * Asks on and believes the answer. With `again` the first answers are lost on the way, with `full` all state is asked for, with `back` the
   * client has forgotten all that came after an earlier answer.
   */
  sync(how?: 'again' | 'full' | 'back'): Promise<void>;
  /** Its user has forgotten a room: nothing more can be read of it, until they come back. */
  forget(roomId: string): void;
  /** Forgets what no server says anew. */
  forgetTyping(): void;
}

export const MEMBER = 'm.room.member';
export const keyOf = (event: Pick<ClientEvent, 'type' | 'state_key'>): string => `${event.type}|${event.state_key ?? ''}`;
export const memberKey = (userId: string): string => `${MEMBER}|${userId}`;

/** One text for equal values, without ages, which depend on when they were read. */
export const textOf = (value: unknown): string =>
  JSON.stringify(value, (key, each: unknown) => {
    if (key === 'age' || key === 'last_active_ago') return undefined;
    return typeof each === 'object' && each !== null && !Array.isArray(each) ? Object.fromEntries(Object.entries(each).toSorted()) : each;
  });

export const dataOf = (events: Events | undefined): [string, string][] =>
  (events?.events ?? []).map(({ type, content }) => [type, textOf(content)]);
export const allowsType = ({ types, not_types: not }: TypeFilter = {}, type: string): boolean =>
  not?.includes(type) !== true && types?.includes(type) !== false;
const enc = encodeURIComponent;

/** What receipts say, by `type|user|thread`. */
export const receiptsOf = (events: Events | undefined): [string, string][] =>
  (events?.events ?? [])
    .filter(({ type }) => type === 'm.receipt')
    .flatMap(({ content }) =>
      Object.entries(content as Record<string, Record<string, Record<string, { thread_id?: string }>>>).flatMap(([eventId, byType]) =>
        Object.entries(byType).flatMap(([type, byUser]) =>
          Object.entries(byUser).map(([userId, { thread_id: thread = '' }]): [string, string] => [`${type}|${userId}|${thread}`, eventId]),
        ),
      ),
    );

/** Who types, where that is told. */
export const typingOf = (events: Events | undefined): readonly string[] | undefined =>
  events?.events.find(({ type }) => type === 'm.typing')?.content['user_ids'] as readonly string[] | undefined;

/** Events before a place in a room, oldest first, back to the event `until` or the beginning. */
export const readBack = async (
  get: Get,
  roomId: string,
  { from, until, filter = {}, atMost = Infinity }: { from?: string; until?: string; filter?: TypeFilter | undefined; atMost?: number },
): Promise<ClientEvent[]> => {
  const found: ClientEvent[] = [];
  const query = `dir=b&limit=${String(Math.min(atMost, 100))}&filter=${enc(JSON.stringify(filter))}`;
  for (let at = from, isFirst = true; (isFirst || at !== undefined) && found.length < atMost; isFirst = false) {
    const path = `/rooms/${enc(roomId)}/messages?${query}${at === undefined ? '' : `&from=${enc(at)}`}`;
    const page = await get<{ chunk: ClientEvent[]; end?: string }>(path);
    const end = page.chunk.findIndex((event) => event.event_id === until);
    found.push(...(end < 0 ? page.chunk : page.chunk.slice(0, end)));
    if (end >= 0) break;
    at = page.end;
  }
  return found.toReversed();
};

const newRoom = (place: Place): KnownRoom => ({
  place,
  isInside: false,
  state: new Map(),
  setByTimeline: new Set(),
  timeline: [],
  anchor: undefined,
  hasGap: false,
  contents: new Map(),
  speakers: new Set(),
  accountData: new Map(),
  receipts: new Map(),
  typing: undefined,
  summary: {},
  counts: undefined,
  threadCounts: {},
  outside: '',
});

/** `fillsGaps` says that the client asks for what a limited timeline leaves out. */
export const createSyncClient = (get: Get, userId: string, way: Way, { fillsGaps = true } = {}): SyncClient => {
  let beliefs: Beliefs = { since: undefined, rooms: new Map(), accountData: new Map() };
  let earlier: Beliefs[] = [];
  const forgotten = new Set<string>();
  /** Differs each time the client goes back, so that it is not told what the server has kept of its answers. */
  let timeoutMs = 0;
  const { timeline: timelineFilter = {}, state: stateFilter = {} } = way;
  const types: TypeFilter = {
    ...(timelineFilter.types && { types: timelineFilter.types }),
    ...(timelineFilter.not_types && { not_types: timelineFilter.not_types }),
  };
  const filter = enc(JSON.stringify({ room: { timeline: timelineFilter, state: stateFilter } }));
  const name = `${userId} with ${JSON.stringify(way)}`;

  const ask = async (isFull: boolean, moreMs = 0): Promise<SyncBody> => {
    const since = beliefs.since === undefined ? '' : `since=${enc(beliefs.since)}&`;
    const more = `${way.stateAfter === true ? '&use_state_after=true' : ''}${isFull ? '&full_state=true' : ''}`;
    return get<SyncBody>(`/sync?${since}timeout=${String(timeoutMs + moreMs)}&filter=${filter}${more}`);
  };

  const takeTimeline = async (room: KnownRoom, roomId: string, { events, limited, prev_batch: before }: RoomPart['timeline']) => {
    assert.ok(events.length <= (timelineFilter.limit ?? 10), `the limit of the timeline, for ${name}`);
    const missed: string[] = [];
    const isFirst = room.anchor === undefined;
    if (isFirst && fillsGaps) room.anchor = (await readBack(get, roomId, { from: before, filter: types, atMost: 1 }))[0]?.event_id ?? '';
    if (isFirst && !fillsGaps) room.anchor = '';
    // The timeline of a room that one comes back to may reach over what is known.
    const last = room.timeline.at(-1) ?? room.anchor;
    const from = limited ? events.findIndex((event) => event.event_id === last) + 1 : 0;
    if (limited && from === 0 && !isFirst && fillsGaps) {
      const gap = await readBack(get, roomId, { from: before, until: last as string, filter: types });
      missed.push(...gap.map((event) => event.event_id));
    }
    if (limited && !fillsGaps) {
      room.hasGap = true;
      room.timeline.length = 0;
    }
    room.timeline.push(...missed, ...events.slice(fillsGaps ? from : 0).map((event) => event.event_id));
    for (const event of events) room.contents.set(event.event_id, textOf(event.content));
  };

  const takeRoom = async (roomId: string, place: 'join' | 'leave', part: RoomPart, isFull: boolean): Promise<void> => {
    if (place === 'leave' && forgotten.has(roomId)) return;
    forgotten.delete(roomId);
    const room = beliefs.rooms.get(roomId) ?? newRoom(place);
    beliefs.rooms.set(roomId, room);
    const { events } = part.timeline;
    const told = part.state_after?.events ?? part.state?.events ?? [];
    const isWhole = [...told, ...events].some((event) => event.type === 'm.room.create');
    room.isInside = place === 'join' || room.place === 'join' || isWhole;
    room.place = place;
    // One who was not in the room sees only how it was refused.
    if (!room.isInside) return;
    for (const event of told) assert.ok(event.state_key !== undefined && allowsType(stateFilter, event.type), `a state event, for ${name}`);
    for (const event of events) assert.ok(allowsType(timelineFilter, event.type), `an event that the filter lets through, for ${name}`);
    await takeTimeline(room, roomId, part.timeline);
    const hearsOfMembers = !part.timeline.limited && place === 'join' && fillsGaps && allowsType(timelineFilter, MEMBER);
    if (!hearsOfMembers) room.speakers.clear();
    // Full state of a room that one is in is all that there is. It says less only to who loads members lazily.
    if (isFull && place === 'join' && stateFilter.lazy_load_members !== true && stateFilter.not_types === undefined) room.state.clear();
    for (const event of told) {
      room.state.set(keyOf(event), event.event_id);
      room.setByTimeline.delete(keyOf(event));
    }
    for (const event of part.state_after === undefined ? events : []) {
      if (event.state_key === undefined) continue;
      room.state.set(keyOf(event), event.event_id);
      // The timeline of a room that is new to the client has no event that has lost.
      if (isWhole) room.setByTimeline.delete(keyOf(event));
      else room.setByTimeline.add(keyOf(event));
    }
    for (const userIds of [[userId], events.map((event) => event.sender)])
      for (const each of userIds) {
        assert.ok(room.state.has(memberKey(each)), `${each} speaks in ${roomId} and is not known to ${name}`);
        room.speakers.add(memberKey(each));
      }
    for (const [type, content] of dataOf(part.account_data)) room.accountData.set(type, content);
    for (const [key, eventId] of receiptsOf(part.ephemeral)) room.receipts.set(key, eventId);
    room.typing = typingOf(part.ephemeral) ?? room.typing;
    room.summary = { ...room.summary, ...part.summary };
    if (place === 'leave') return;
    room.counts = part.unread_notifications ?? room.counts;
    room.threadCounts = part.unread_thread_notifications ?? {};
  };

  const take = async (sync: SyncBody, isFull: boolean): Promise<void> => {
    for (const place of ['join', 'leave'] as const)
      for (const [roomId, part] of Object.entries(sync.rooms?.[place] ?? {})) await takeRoom(roomId, place, part, isFull);
    for (const place of ['invite', 'knock'] as const)
      for (const [roomId, shown] of Object.entries(sync.rooms?.[place] ?? {})) {
        const room = beliefs.rooms.get(roomId) ?? newRoom(place);
        beliefs.rooms.set(roomId, Object.assign(room, { place, isInside: false, outside: textOf(shown) }));
      }
    for (const [type, content] of dataOf(sync.account_data)) beliefs.accountData.set(type, content);
    beliefs.since = sync.next_batch;
  };

  return {
    userId,
    way,
    name,
    beliefs: () => beliefs,
    sync: async (how) => {
      if (how === 'back') {
        beliefs = structuredClone(earlier.at(-3) ?? earlier[0] ?? beliefs);
        timeoutMs += 2;
      }
      earlier = [...earlier.slice(-5), structuredClone(beliefs)];
      const isFull = how === 'full';
      const sync = await ask(isFull);
      if (how === 'again') {
        // Nothing is lost by asking with the same token again, whether the answer was kept or is made anew.
        assert.equal(textOf(await ask(false)), textOf(sync), `the same answer, for ${name}`);
        assert.equal(textOf(await ask(false, 1)), textOf(sync), `the same answer made anew, for ${name}`);
      }
      await take(sync, isFull);
    },
    forget: (roomId) => {
      forgotten.add(roomId);
      for (const each of [beliefs, ...earlier]) each.rooms.delete(roomId);
    },
    forgetTyping: () => {
      for (const each of [beliefs, ...earlier]) for (const room of each.rooms.values()) room.typing = undefined;
    },
  };
};
