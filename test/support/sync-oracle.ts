import assert from 'node:assert/strict';
import type { Json } from './client.ts';
import {
  allowsType,
  dataOf,
  keyOf,
  MEMBER,
  memberKey,
  readBack,
  receiptsOf,
  textOf,
  typingOf,
  type ClientEvent,
  type Get,
  type KnownRoom,
  type RoomPart,
  type SyncBody,
  type SyncClient,
} from './sync-client.ts';

type Read = ClientEvent & { readonly unsigned?: { readonly redacted_because?: unknown } };

/** A room as a fresh reading shows it. */
interface FreshRoom {
  readonly place: 'join' | 'leave';
  readonly part: RoomPart;
  readonly state: readonly ClientEvent[];
  readonly history: readonly Read[];
  readonly threadCounts: Json;
}

/** What a server says to somebody who knows nothing. */
export interface Fresh {
  readonly sync: SyncBody;
  readonly rooms: ReadonlyMap<string, FreshRoom>;
}

const enc = encodeURIComponent;
const ENDS = { include_leave: true, timeline: { limit: 1 } };

/**
 * Reads all that there is for one user: a first sync, and each room's state and messages. One whom a fork has put out of a room is told the state at
 * that time by `/sync` alone; by `/state` that at the event, which may be old.
 */
export const readFresh = async (get: Get, hasForks = false): Promise<Fresh> => {
  const first = async (room: Json, more = ''): Promise<SyncBody> =>
    get<SyncBody>(`/sync?timeout=0${more}&filter=${enc(JSON.stringify({ room }))}`);
  const sync = await first(ENDS);
  const byThread = await first({ ...ENDS, timeline: { limit: 1, unread_thread_notifications: true } }, '&use_state_after=true');
  const rooms = new Map<string, FreshRoom>();
  for (const place of ['join', 'leave'] as const) {
    for (const [roomId, part] of Object.entries(sync.rooms?.[place] ?? {})) {
      // Of rooms that one was never in, nothing can be read.
      const isInside = [...(part.state?.events ?? []), ...part.timeline.events].some((event) => event.type === 'm.room.create');
      const after = byThread.rooms?.[place]?.[roomId]?.state_after?.events ?? [];
      const state = isInside && !(hasForks && place === 'leave') ? await get<ClientEvent[]>(`/rooms/${enc(roomId)}/state`) : after;
      const ids = [after, state].map((events) => events.map((event) => event.event_id).toSorted());
      if (isInside) assert.deepEqual(ids[0], ids[1], `the state that is told of ${roomId} and that which is read`);
      const history = isInside ? await readBack(get, roomId, {}) : [];
      const threadCounts = byThread.rooms?.join?.[roomId]?.unread_thread_notifications ?? {};
      rooms.set(roomId, { place, part, state, history, threadCounts });
    }
  }
  return { sync, rooms };
};

/** What there is to know of how the rooms have fared. */
export interface Circumstances {
  /** Rooms that the user has forgotten. */
  readonly forgotten?: ReadonlySet<string>;
  /** Where rooms have forks, history has an order of its own, and state may come to nothing. What is judged again comes and goes untold. */
  readonly forks?: { readonly judgedAgain: ReadonlySet<string> };
}
type Forks = Circumstances['forks'];

const sorted = <Value>(pairs: Iterable<readonly [string, Value]>): readonly (readonly [string, Value])[] =>
  [...pairs].toSorted(([a], [b]) => (a < b ? -1 : 1));

/** Whether a client can be held to what it believes of a key of the state. */
const isExact = ({ way }: SyncClient, room: KnownRoom, type: string, key: string): boolean => {
  if (!allowsType(way.state, type)) return false;
  // Of members who are silent a client that loads lazily may not have heard the latest.
  return way.state?.lazy_load_members !== true || type !== MEMBER || room.speakers.has(key);
};

const checkState = (client: SyncClient, known: KnownRoom, { state }: FreshRoom, forks: Forks): void => {
  const mayBeLost = (key: string): boolean => forks !== undefined && known.setByTimeline.has(key);
  const exact = state
    .map((event) => ({ key: keyOf(event), event }))
    .filter(({ key, event }) => isExact(client, known, event.type, key) && !mayBeLost(key));
  const keys = new Set(exact.map(({ key }) => key));
  const isHeld = (key: string): boolean => keys.has(key) || (!forks && isExact(client, known, key.replace(/\|.*/, ''), key));
  const believed = [...known.state].filter(([key]) => isHeld(key));
  assert.deepEqual(sorted(believed), sorted(exact.map(({ key, event }) => [key, event.event_id])), `the state, for ${client.name}`);
};

const checkTimeline = (client: SyncClient, known: KnownRoom, { history, place }: FreshRoom, forks: Forks): void => {
  const shown = history.filter((event) => allowsType(client.way.timeline, event.type));
  const ids = shown.map((event) => event.event_id);
  if (forks) {
    // Clients put events in the order in which the server learnt of them; history is told in another.
    assert.equal(new Set(known.timeline).size, known.timeline.length, `nothing is told twice, for ${client.name}`);
    const told = new Set(known.timeline);
    if (!known.hasGap && place === 'join')
      assert.deepEqual(
        ids.filter((eventId) => !told.has(eventId) && !forks.judgedAgain.has(eventId)),
        [],
        `nothing is lost, for ${client.name}`,
      );
  } else {
    assert.ok(known.anchor === '' || ids.includes(known.anchor as string), `where the timeline begins, for ${client.name}`);
    const expected = ids.slice(ids.indexOf(known.anchor as string) + 1);
    assert.deepEqual(known.timeline, expected, `nothing is lost, and nothing told twice, for ${client.name}`);
  }
  for (const { event_id: eventId, content, unsigned } of shown) {
    const believed = known.contents.get(eventId);
    if (believed !== undefined && unsigned?.redacted_because === undefined) assert.equal(believed, textOf(content));
  }
};

const checkSummary = (client: SyncClient, known: KnownRoom, { part }: FreshRoom): void => {
  const { 'm.heroes': heroes, ...counts } = part.summary ?? {};
  const { 'm.heroes': believed = [], ...believedCounts } = known.summary;
  assert.deepEqual(believedCounts, counts, `the counts of members, for ${client.name}`);
  if (heroes === undefined) return;
  assert.deepEqual(believed, heroes, `the heroes, for ${client.name}`);
  if (allowsType(client.way.state, MEMBER))
    for (const hero of heroes as string[]) assert.ok(known.state.has(memberKey(hero)), `the hero ${hero} is not known to ${client.name}`);
};

const checkRoom = (client: SyncClient, known: KnownRoom, fresh: FreshRoom, forks: Forks): void => {
  const { part } = fresh;
  checkState(client, known, fresh, forks);
  checkTimeline(client, known, fresh, forks);
  // What is put on a room that was left is not told until one comes back.
  if (fresh.place === 'leave') return;
  assert.deepEqual(sorted(known.accountData), sorted(dataOf(part.account_data)), `account data of a room, for ${client.name}`);
  checkSummary(client, known, fresh);
  // A message that the filter leaves out brings no room into an answer, and so no counts.
  const { types, not_types: notTypes, unread_thread_notifications: isByThread } = client.way.timeline ?? {};
  const hasAll = types === undefined && notTypes === undefined;
  if (hasAll && isByThread !== true) assert.deepEqual(known.counts, part.unread_notifications, `unread counts, for ${client.name}`);
  if (hasAll && isByThread === true)
    assert.deepEqual(known.threadCounts, fresh.threadCounts, `unread counts of threads, for ${client.name}`);
  assert.deepEqual(sorted(known.receipts), sorted(receiptsOf(part.ephemeral)), `receipts, for ${client.name}`);
  const joined = new Set(fresh.state.filter((event) => event.content['membership'] === 'join').map((event) => event.state_key));
  // Who types is not told anew when one of them leaves, or the server has started again.
  const typing = known.typing?.filter((userId) => joined.has(userId)).toSorted();
  if (typing !== undefined) assert.deepEqual(typing, (typingOf(part.ephemeral) ?? []).toSorted(), `typing, for ${client.name}`);
};

/** Holds what a client believes after its last sync against a fresh reading. */
export const checkBeliefs = (client: SyncClient, fresh: Fresh, { forgotten = new Set(), forks }: Circumstances = {}): void => {
  const { rooms, accountData } = client.beliefs();
  const { sync } = fresh;
  for (const place of ['join', 'invite', 'knock'] as const) {
    const believed = [...rooms].filter(([, known]) => known.place === place).map(([roomId]) => roomId);
    assert.deepEqual(believed.toSorted(), Object.keys(sync.rooms?.[place] ?? {}).toSorted(), `rooms of ${place}, for ${client.name}`);
    if (place === 'join') continue;
    for (const roomId of believed) {
      const shown = textOf(sync.rooms?.[place]?.[roomId]);
      assert.equal(rooms.get(roomId)?.outside, shown, `what is shown of a room of ${place}, for ${client.name}`);
    }
  }
  for (const [roomId, known] of rooms) {
    if (known.place !== 'leave' || forgotten.has(roomId)) continue;
    assert.ok(sync.rooms?.leave?.[roomId], `${roomId} was left, for ${client.name}`);
  }
  assert.deepEqual(sorted(accountData), sorted(dataOf(sync.account_data)), `account data, for ${client.name}`);
  for (const [roomId, room] of fresh.rooms) {
    const known = rooms.get(roomId);
    if (known?.isInside === true && !forgotten.has(roomId)) checkRoom(client, known, room, forks);
  }
};
