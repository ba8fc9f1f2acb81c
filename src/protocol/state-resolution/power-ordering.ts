import { authEventIds } from '#src/protocol/events.ts';
import { compareNumbers } from '#src/protocol/json.ts';
import { type Level, powerLevels } from '#src/protocol/power-levels.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import type { KnownEvents, ResolutionEvent } from '#src/protocol/state-resolution/events.ts';
import { authorisingEventIds, powerLevelsAmong } from '#src/protocol/state-resolution/events.ts';

/**
 * Whether the event might take away somebody's ability to do something in the room. Power levels and join rules under another state key than the empty
 * one rule nothing, and no server counts them.
 */
export const isPowerEvent = ({ pdu }: ResolutionEvent): boolean => {
  if (pdu.type === 'm.room.power_levels' || pdu.type === 'm.room.join_rules') return pdu.state_key === '';
  const { membership } = pdu.content;
  return pdu.type === 'm.room.member' && (membership === 'leave' || membership === 'ban') && pdu.sender !== pdu.state_key;
};

/**
 * The power events among these and what authorises them among these. Auth chains are followed as long as they stay in the set, as
 * other servers do: one that leaves it does not come back, but for rooms before version 12 where a conflicted event is also in every auth chain.
 */
export const withAuthChains = (conflicted: ReadonlySet<string>, events: KnownEvents): ReadonlySet<string> => {
  const selected = new Set([...conflicted].filter((eventId) => isPowerEvent(events.need(eventId))));
  for (const eventId of selected) {
    for (const authId of authEventIds(events.need(eventId).pdu)) if (conflicted.has(authId)) selected.add(authId);
  }
  return selected;
};

/** An event with what it is ordered by. */
interface Ranked {
  readonly event: ResolutionEvent;
  readonly senderLevel: Level;
}

const rank = (event: ResolutionEvent, events: KnownEvents, version: RoomVersion): Ranked => {
  const create = authorisingEventIds(event, version)
    .map((eventId) => events.get(eventId))
    .find((authEvent) => authEvent?.pdu.type === 'm.room.create');
  const levels = powerLevels(create?.pdu, powerLevelsAmong(event, events)?.pdu, version);
  return { event, senderLevel: levels.userLevel(event.pdu.sender) };
};

/** Older first, then the smaller id. */
export const byAge = (a: ResolutionEvent, b: ResolutionEvent): number =>
  compareNumbers(a.pdu.origin_server_ts, b.pdu.origin_server_ts) || (a.eventId < b.eventId ? -1 : a.eventId > b.eventId ? 1 : 0);

const comesBefore = (a: Ranked, b: Ranked): boolean =>
  a.senderLevel === b.senderLevel ? byAge(a.event, b.event) < 0 : a.senderLevel > b.senderLevel;

/** Puts an item where it belongs in a sorted list. */
const insert = (sorted: Ranked[], item: Ranked): void => {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (comesBefore(sorted[middle]!, item)) low = middle + 1;
    else high = middle;
  }
  sorted.splice(low, 0, item);
};

/**
 * The reverse topological power ordering of events: authorising events first; among those that may come next, the one whose sender has
 * the greatest power level by its auth events, then the oldest, then the smallest id. Events that authorise
 * each other in a circle have no place in it and are left out. The events' auth events must have been loaded.
 */
export const powerOrdering = (eventIds: ReadonlySet<string>, events: KnownEvents, version: RoomVersion): ResolutionEvent[] => {
  const waitsFor = new Map<string, number>();
  const authorises = new Map<string, Ranked[]>();
  const ready: Ranked[] = [];
  for (const eventId of eventIds) {
    const ranked = rank(events.need(eventId), events, version);
    const authIds = new Set(authEventIds(ranked.event.pdu).filter((authId) => eventIds.has(authId)));
    waitsFor.set(eventId, authIds.size);
    for (const authId of authIds) authorises.getOrInsertComputed(authId, () => []).push(ranked);
    if (authIds.size === 0) insert(ready, ranked);
  }
  const ordered: ResolutionEvent[] = [];
  for (let next = ready.shift(); next !== undefined; next = ready.shift()) {
    ordered.push(next.event);
    for (const later of authorises.get(next.event.eventId) ?? []) {
      const left = waitsFor.get(later.event.eventId)! - 1;
      waitsFor.set(later.event.eventId, left);
      if (left === 0) insert(ready, later);
    }
  }
  return ordered;
};
