import type { AuthState, StateKey } from '#src/protocol/auth-rules/index.ts';
import { stateKeyText, stateNeededFor } from '#src/protocol/auth-rules/index.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import type { KnownEvents, LoadEvents, ResolutionEvent } from '#src/protocol/state-resolution/events.ts';
import { authorisingEventIds, createKnownEvents } from '#src/protocol/state-resolution/events.ts';
import { applyAuthorised, type PartialState } from '#src/protocol/state-resolution/iterative-auth-checks.ts';
import { mainlineOrdering } from '#src/protocol/state-resolution/mainline-ordering.ts';
import { powerOrdering, withAuthChains } from '#src/protocol/state-resolution/power-ordering.ts';
import { resolveVersion1 } from '#src/protocol/state-resolution/version-1.ts';

export { authChain, authDifference, conflictedSubgraph } from '#src/protocol/state-resolution/auth-graph.ts';
export type { LoadEvents, ResolutionEvent } from '#src/protocol/state-resolution/events.ts';

/** A key under which the state sets do not all have the same event, with all events that some of them have there. */
export interface Conflict {
  readonly type: string;
  readonly stateKey: string;
  readonly eventIds: readonly string[];
}

/** What stands under a key in the resolved state; no event when nothing does. */
export interface ResolvedKey {
  readonly type: string;
  readonly stateKey: string;
  readonly eventId: string | undefined;
}

/** State sets to be resolved, given by their differences: what all of them agree on is only asked for where it is needed. */
export interface StateSets {
  readonly version: RoomVersion;
  readonly conflicts: readonly Conflict[];
  /** The event that all state sets have under this key, if they do. */
  readonly unconflicted: (type: string, stateKey: string) => Promise<string | undefined>;
  /** What is in the auth chain of some state sets, but not of all; see `authDifference`. Version 1 does not look at it. */
  readonly authDifference: Iterable<string>;
  /** What lies between conflicted events, see `conflictedSubgraph`; not looked at unless the version has `stateResolution: 'v2.1'`. */
  readonly conflictedSubgraph: Iterable<string>;
  readonly loadEvents: LoadEvents;
}

/** Every key that the full conflicted set or its authorisation touches, each once. */
const touchedKeys = (conflicted: readonly ResolutionEvent[], version: RoomVersion): StateKey[] => {
  const keys = new Map<string, StateKey>();
  const note = (type: string, stateKey: string): void => void keys.set(stateKeyText(type, stateKey), [type, stateKey]);
  note('m.room.power_levels', '');
  for (const { pdu } of conflicted) {
    note(pdu.type, pdu.state_key ?? '');
    for (const [type, stateKey] of stateNeededFor(pdu, version)) note(type, stateKey);
  }
  return [...keys.values()];
};

/** The unconflicted state as far as the conflicted events touch it: ids by `stateKeyText`. */
const readUnconflicted = async ({ unconflicted }: StateSets, keys: readonly StateKey[]): Promise<ReadonlyMap<string, string>> => {
  const found = await Promise.all(
    keys.map(async ([type, stateKey]) => [stateKeyText(type, stateKey), await unconflicted(type, stateKey)] as const),
  );
  return new Map(found.filter((entry): entry is [string, string] => entry[1] !== undefined));
};

/**
 * Events of the auth difference that all state sets have. By the letter an event is not in its own auth chain, so that one which only some state
 * sets also cite would be replayed; but all servers count a state's events to its auth chain, and states must come out the same everywhere.
 */
const agreedOn = ({ authDifference }: StateSets, unconflicted: ReadonlyMap<string, string>): Iterable<string> =>
  new Set(authDifference).intersection(new Set(unconflicted.values()));

/** Versions 1 and 2 start from the unconflicted state, version 2.1 from nothing. */
const initialState = (unconflicted: ReadonlyMap<string, string>, events: KnownEvents, version: RoomVersion): AuthState => {
  if (version.stateResolution === 'v2.1') return () => undefined;
  return (type, stateKey) => {
    const eventId = unconflicted.get(stateKeyText(type, stateKey));
    return eventId === undefined ? undefined : events.need(eventId);
  };
};

/** Steps 1 to 4: orders the full conflicted set and applies it. */
const applyConflicted = async (
  conflicted: ReadonlySet<string>,
  state: PartialState,
  events: KnownEvents,
  version: RoomVersion,
): Promise<void> => {
  const powerful = withAuthChains(conflicted, events);
  applyAuthorised(state, powerOrdering(powerful, events, version), events, version);
  const name = stateKeyText('m.room.power_levels', '');
  const levelsId = state.applied.get(name)?.eventId ?? state.initial('m.room.power_levels', '')?.eventId;
  const remaining = [...conflicted].filter((eventId) => !powerful.has(eventId)).map((eventId) => events.need(eventId));
  const start = levelsId === undefined ? undefined : events.need(levelsId);
  applyAuthorised(state, await mainlineOrdering(remaining, start, events), events, version);
};

/** Step 5: what was resolved under keys without an unconflicted event, and nothing for conflicts that came to nothing. */
const difference = (conflicts: readonly Conflict[], state: PartialState, unconflicted: ReadonlyMap<string, string>): ResolvedKey[] => {
  const resolved = new Map<string, ResolvedKey>();
  for (const { type, stateKey } of conflicts) resolved.set(stateKeyText(type, stateKey), { type, stateKey, eventId: undefined });
  for (const [name, { eventId, pdu }] of state.applied) {
    if (!unconflicted.has(name)) resolved.set(name, { type: pdu.type, stateKey: pdu.state_key ?? '', eventId });
  }
  return [...resolved.values()];
};

/**
 * Resolves state sets by the room version's algorithm (room versions 1, 2 and 12, State resolution). Answers the keys that the resolved
 * state has beside the unconflicted ones: each conflict's, and those of the auth difference that no state set had.
 * Events of the auth difference and the subgraph that cannot be loaded are left out. Throws `Error` when a conflicting event cannot.
 */
export const resolveState = async (sets: StateSets): Promise<ResolvedKey[]> => {
  const { version } = sets;
  if (sets.conflicts.length === 0) return [];
  const events = createKnownEvents(sets.loadEvents);
  const isVersion1 = version.stateResolution === 'v1';
  const authDifference = isVersion1 ? [] : sets.authDifference;
  const conflicting = sets.conflicts.flatMap(({ eventIds }) => eventIds);
  const between = new Set(version.stateResolution === 'v2.1' ? sets.conflictedSubgraph : []);
  await events.load([...conflicting, ...authDifference, ...between]);
  const known = [...authDifference, ...between].filter((eventId) => events.get(eventId) !== undefined);
  const fullConflicted = new Set([...conflicting, ...known]);
  const candidates = [...fullConflicted].map((eventId) => events.need(eventId));
  const unconflicted = await readUnconflicted(sets, touchedKeys(candidates, version));
  for (const eventId of agreedOn(sets, unconflicted)) if (!between.has(eventId)) fullConflicted.delete(eventId);
  const conflicted = [...fullConflicted].map((eventId) => events.need(eventId));
  await events.load([...conflicted.flatMap((event) => authorisingEventIds(event, version)), ...unconflicted.values()]);
  const initial = initialState(unconflicted, events, version);
  if (isVersion1) return resolveVersion1(sets.conflicts, initial, events, version);
  const state: PartialState = { applied: new Map(), initial };
  await applyConflicted(fullConflicted, state, events, version);
  return difference(sets.conflicts, state, unconflicted);
};
