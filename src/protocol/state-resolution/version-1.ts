import { createHash } from 'node:crypto';
import { type AuthState, checkAuth, stateKeyText } from '#src/protocol/auth-rules/index.ts';
import { compareNumbers } from '#src/protocol/json.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import type { Conflict, ResolvedKey } from '#src/protocol/state-resolution/index.ts';
import type { KnownEvents, ResolutionEvent } from '#src/protocol/state-resolution/events.ts';

/** *R*, the results of the resolution so far. */
type Results = Map<string, ResolutionEvent>;

const nameOf = ({ pdu }: ResolutionEvent): string => stateKeyText(pdu.type, pdu.state_key ?? '');

const sha1 = (eventId: string): string => createHash('sha1').update(eventId, 'utf8').digest('hex');

/** Ascending `depth`, then descending `sha1(event_id)`. */
const byDepth = (events: readonly ResolutionEvent[]): ResolutionEvent[] =>
  events
    .map((event) => ({ event, hash: sha1(event.eventId) }))
    .toSorted((a, b) => compareNumbers(a.event.pdu.depth, b.event.pdu.depth) || (a.hash < b.hash ? 1 : -1))
    .map(({ event }) => event);

const isAllowed = (event: ResolutionEvent, results: AuthState, version: RoomVersion): boolean =>
  checkAuth(event.pdu, results, version).allowed;

/** The first of the list, and each that follows as long as it is allowed on top of the one before. */
const resolveAuthEvents = (sorted: readonly ResolutionEvent[], results: AuthState, version: RoomVersion): ResolutionEvent => {
  let last = sorted[0]!;
  for (const event of sorted.slice(1)) {
    const withLast: AuthState = (type, stateKey) => (stateKeyText(type, stateKey) === nameOf(last) ? last : results(type, stateKey));
    if (!isAllowed(event, withLast, version)) break;
    last = event;
  }
  return last;
};

/** The event with the highest depth and lowest hash that is allowed; where none is, every server keeps the one of the lowest depth. */
const resolveOther = (sorted: readonly ResolutionEvent[], results: AuthState, version: RoomVersion): ResolutionEvent =>
  sorted.toReversed().find((event) => isAllowed(event, results, version)) ?? sorted[0]!;

/** The passes in their order, each for the types that it resolves. Keys of one pass do not see each other's results. */
const PASSES = [
  { isFor: (type: string, stateKey: string) => type === 'm.room.power_levels' && stateKey === '', resolve: resolveAuthEvents },
  { isFor: (type: string) => type === 'm.room.join_rules', resolve: resolveAuthEvents },
  { isFor: (type: string) => type === 'm.room.member', resolve: resolveAuthEvents },
  { isFor: () => true, resolve: resolveOther },
];

/**
 * Resolves state sets as room version 1 does (room version 1, State resolution). A key is a conflict there only where states have different
 * events; what only some have belongs to the union that it starts from. `unconflicted` and all conflicting events must have been loaded.
 */
export const resolveVersion1 = (
  conflicts: readonly Conflict[],
  unconflicted: AuthState,
  events: KnownEvents,
  version: RoomVersion,
): ResolvedKey[] => {
  const results: Results = new Map();
  const lookUp: AuthState = (type, stateKey) => results.get(stateKeyText(type, stateKey)) ?? unconflicted(type, stateKey);
  const union = conflicts.filter(({ eventIds }) => eventIds.length === 1);
  for (const { eventIds } of union) results.set(nameOf(events.need(eventIds[0]!)), events.need(eventIds[0]!));
  let open = conflicts.filter(({ eventIds }) => eventIds.length > 1);
  for (const { isFor, resolve } of PASSES) {
    const own = open.filter(({ type, stateKey }) => isFor(type, stateKey));
    const resolved = own.map(({ eventIds }) => resolve(byDepth(eventIds.map((eventId) => events.need(eventId))), lookUp, version));
    for (const event of resolved) results.set(nameOf(event), event);
    open = open.filter((conflict) => !own.includes(conflict));
  }
  return conflicts.map(({ type, stateKey }) => ({ type, stateKey, eventId: results.get(stateKeyText(type, stateKey))?.eventId }));
};
