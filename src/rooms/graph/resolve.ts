import { stateKeyText } from '#src/protocol/auth-rules/index.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import {
  type Conflict,
  conflictedSubgraph,
  type LoadEvents,
  type ResolutionEvent,
  resolveState,
} from '#src/protocol/state-resolution/index.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import { REJECTED } from '#src/rooms/graph/events.ts';
import { authChain } from '#src/rooms/graph/read-store.ts';
import { keyText, type StateKey } from '#src/rooms/graph/state-tree/keys.ts';
import type { NodeId } from '#src/rooms/graph/state-tree/nodes.ts';
import { type Changed, diff, entries, get, put, type StateChange } from '#src/rooms/graph/state-tree/tree.ts';
import type { States } from '#src/rooms/graph/states.ts';
import type { Pending, RoomReads } from '#src/rooms/graph/view.ts';

/** What resolving needs of the house. */
export interface ResolveTools {
  readonly database: Database;
  readonly strings: Strings;
  readonly states: States;
}

/** A key on which the roots do not agree: under it, the event of each root. */
interface Disagreement {
  readonly key: StateKey;
  readonly events: readonly (number | undefined)[];
}

/** Compares all roots with the first, walking only what differs. */
const disagreements = async (reads: RoomReads, roots: readonly NodeId[]): Promise<Disagreement[]> => {
  const [first, ...others] = roots as [NodeId, ...NodeId[]];
  const keys = new Map<string, StateKey>();
  for (const other of others) for (const { key } of await diff(reads.nodes, first, other)) keys.set(keyText(key), key);
  return Promise.all(
    [...keys.values()].map(async (key) => ({ key, events: await Promise.all(roots.map(async (root) => get(reads.nodes, root, key))) })),
  );
};

/** All that is reached over auth events, by number; what the batch at work has made is walked in memory, the rest by the database. */
const chainOf = async (tools: ResolveTools, pending: Pending, eventNums: Iterable<number>): Promise<Set<number>> => {
  const chain = new Set<number>();
  const durable = new Set<number>();
  const visit = (num: number): void => {
    const auth = pending.auth.get(num);
    if (auth === undefined) {
      durable.add(num);
      return;
    }
    for (const authNum of auth) {
      if (chain.has(authNum)) continue;
      chain.add(authNum);
      visit(authNum);
    }
  };
  for (const num of eventNums) visit(num);
  if (durable.size === 0) return chain;
  return chain.union(await tools.database.read('auth chain', async (reader) => authChain(reader, [...durable])));
};

/**
 * What is in the auth chain of some of the states but not of all. The part on which the states agree is in every chain, so it can only take
 * away; it is walked when there is something to take away from.
 */
const authDifference = async (
  tools: ResolveTools,
  pending: Pending,
  reads: RoomReads,
  root: NodeId,
  found: readonly Disagreement[],
): Promise<Set<number>> => {
  const sides = found[0]?.events.length ?? 0;
  const chains: Set<number>[] = [];
  for (let side = 0; side < sides; side++) {
    chains.push(
      await chainOf(
        tools,
        pending,
        found.map((each) => each.events[side]).filter((num) => num !== undefined),
      ),
    );
  }
  const union = new Set(chains.flatMap((chain) => [...chain]));
  const candidates = new Set([...union].filter((num) => !chains.every((chain) => chain.has(num))));
  if (candidates.size === 0) return candidates;
  const differing = new Set(found.map(({ key }) => keyText(key)));
  const common = (await entries(reads.nodes, root)).filter((item) => !differing.has(keyText(item.key)));
  return candidates.difference(
    await chainOf(
      tools,
      pending,
      common.map((item) => item.event),
    ),
  );
};

/**
 * Resolves states of a room (room versions, "State resolution") into one. Works on where they differ: a fork that touched ten keys of a large
 * room costs those ten and their auth events.
 */
export const resolveRoots = async (
  tools: ResolveTools,
  version: RoomVersion,
  pending: Pending,
  reads: RoomReads,
  roots: readonly NodeId[],
): Promise<Changed> => {
  const distinct = [...new Set(roots)];
  const first = distinct[0] ?? '';
  if (distinct.length < 2) return { root: first, created: [] };
  const found = await disagreements(reads, distinct);
  const texts = await tools.strings.textOf(found.flatMap(({ key }) => [key.type, key.stateKey]));
  const text = (num: number): string => texts.get(num) as string;

  const idOf = async (num: number): Promise<string> => {
    const event = await reads.event(num);
    if (event === undefined) throw new Error(`Event ${String(num)} of the room's state is missing`);
    return event.eventId;
  };
  const conflicts: Conflict[] = await Promise.all(
    found.map(async ({ key, events }) => ({
      type: text(key.type),
      stateKey: text(key.stateKey),
      eventIds: await Promise.all([...new Set(events)].filter((num) => num !== undefined).map(idOf)),
    })),
  );
  const conflicted = new Set(conflicts.map(({ type, stateKey }) => stateKeyText(type, stateKey)));

  const loadEvents: LoadEvents = async (eventIds) => {
    const loaded = await Promise.all(eventIds.map(async (eventId) => reads.eventById(eventId)));
    const known = loaded.filter((event) => event !== undefined);
    return new Map(
      known.map((event): [string, ResolutionEvent] => [
        event.eventId,
        { eventId: event.eventId, pdu: event.pdu, rejected: (event.facts & REJECTED) !== 0 },
      ]),
    );
  };

  const resolved = await resolveState({
    version,
    conflicts,
    unconflicted: async (type, stateKey) => {
      if (conflicted.has(stateKeyText(type, stateKey))) return undefined;
      const key = await tools.states.keyOf(type, stateKey);
      const num = key && (await get(reads.nodes, first, key));
      return num === undefined ? undefined : idOf(num);
    },
    // An auth event that is lost can no longer decide anything; the others still can.
    authDifference: (await Promise.all([...(await authDifference(tools, pending, reads, first, found))].map(reads.event))).flatMap(
      (event) => event?.eventId ?? [],
    ),
    conflictedSubgraph:
      version.stateResolution === 'v2.1'
        ? await conflictedSubgraph(
            conflicts.flatMap(({ eventIds }) => eventIds),
            loadEvents,
          )
        : [],
    loadEvents,
  });

  const changes: StateChange[] = [];
  for (const { type, stateKey, eventId } of resolved) {
    const key = await tools.states.makeKey(type, stateKey);
    const event = eventId === undefined ? undefined : (await reads.eventById(eventId))?.num;
    if (event !== (await get(reads.nodes, first, key))) changes.push({ key, event });
  }
  return put(reads.nodes, first, changes);
};
