import { stateKeyText } from '#src/protocol/auth-rules/index.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import { type Conflict, type LoadEvents, type ResolutionEvent, resolveState } from '#src/protocol/state-resolution/index.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import { authDifference, type AuthGraph, eventsBetween } from '#src/rooms/graph/auth-chains/difference.ts';
import type { AuthChains } from '#src/rooms/graph/auth-chains/index.ts';
import { REJECTED } from '#src/rooms/graph/events.ts';
import { keyText, type StateKey } from '#src/rooms/graph/state-tree/keys.ts';
import type { NodeId } from '#src/rooms/graph/state-tree/nodes.ts';
import { type Changed, diff, get, put, type StateChange } from '#src/rooms/graph/state-tree/tree.ts';
import type { States } from '#src/rooms/graph/states.ts';
import type { Pending, RoomReads } from '#src/rooms/graph/view.ts';

/** What resolving needs of the house. */
export interface ResolveTools {
  readonly database: Pick<Database, 'read'>;
  readonly strings: Strings;
  readonly states: States;
  readonly authChains: AuthChains;
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

/** What is in the auth chain of some of the states but not of all, by event number. */
const differenceOf = async (
  graph: AuthGraph,
  reads: RoomReads,
  states: States,
  first: NodeId,
  found: readonly Disagreement[],
): Promise<ReadonlySet<number>> => {
  const differing = new Set(found.map(({ key }) => keyText(key)));
  const sides = (found[0]?.events ?? []).map((_, side) => found.flatMap(({ events }) => events[side] ?? []));
  const isCommon = async (num: number): Promise<boolean> => {
    const pdu = (await reads.event(num))?.pdu;
    const key = pdu?.state_key === undefined ? undefined : await states.keyOf(pdu.type, pdu.state_key);
    return key !== undefined && !differing.has(keyText(key)) && (await get(reads.nodes, first, key)) === num;
  };
  return authDifference(graph, { sides, isCommon });
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
  // An auth event that is lost can no longer decide anything; the others still can.
  const idsOf = async (nums: Iterable<number>): Promise<string[]> =>
    (await Promise.all([...nums].map(reads.event))).flatMap((event) => event?.eventId ?? []);
  const graph = tools.authChains.graph(pending);
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
    authDifference: await idsOf(version.stateResolution === 'v1' ? [] : await differenceOf(graph, reads, tools.states, first, found)),
    conflictedSubgraph: await idsOf(
      version.stateResolution === 'v2.1'
        ? await eventsBetween(graph, [...new Set(found.flatMap(({ events }) => events.filter((num) => num !== undefined)))])
        : [],
    ),
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
