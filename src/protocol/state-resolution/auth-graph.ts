import { authEventIds } from '#src/protocol/events.ts';
import type { LoadEvents, ResolutionEvent } from '#src/protocol/state-resolution/events.ts';
import { createKnownEvents } from '#src/protocol/state-resolution/events.ts';

const authIdsOf = (event: ResolutionEvent | undefined): readonly string[] => (event === undefined ? [] : authEventIds(event.pdu));

/**
 * The auth chain of events: all that is reached over `auth_events`, without the events themselves unless they are reached too. It walks to the
 * start of the room; a server with an index of reachability does not need it.
 */
export const authChain = async (eventIds: Iterable<string>, loadEvents: LoadEvents): Promise<ReadonlySet<string>> => {
  const events = createKnownEvents(loadEvents);
  const chain = new Set<string>();
  let layer = [...eventIds];
  while (layer.length > 0) {
    await events.load(layer);
    const next = new Set(layer.flatMap((eventId) => authIdsOf(events.get(eventId))));
    layer = [...next].filter((eventId) => !chain.has(eventId));
    for (const eventId of layer) chain.add(eventId);
  }
  return chain;
};

/** The auth difference of state sets, each given as the ids of all its events: what is in some of their auth chains, but not in all. */
export const authDifference = async (stateSets: readonly Iterable<string>[], loadEvents: LoadEvents): Promise<ReadonlySet<string>> => {
  const chains = await Promise.all(stateSets.map(async (eventIds) => authChain(eventIds, loadEvents)));
  const union = new Set(chains.flatMap((chain) => [...chain]));
  return new Set([...union].filter((eventId) => !chains.every((chain) => chain.has(eventId))));
};

/** The conflicted state subgraph: all events on paths over `auth_events` from one conflicted event to another, with both ends. */
export const conflictedSubgraph = async (conflicted: Iterable<string>, loadEvents: LoadEvents): Promise<ReadonlySet<string>> => {
  const starts = [...conflicted];
  const reached = new Set([...starts, ...(await authChain(starts, loadEvents))]);
  const events = await loadEvents([...reached]);
  const citedBy = new Map<string, string[]>();
  for (const { eventId, pdu } of events.values()) {
    for (const cited of authEventIds(pdu)) citedBy.getOrInsertComputed(cited, () => []).push(eventId);
  }
  // Everything reached comes from a conflicted event; what also leads to one lies between two.
  const subgraph = new Set(starts);
  for (const eventId of subgraph) for (const descendant of citedBy.get(eventId) ?? []) subgraph.add(descendant);
  return subgraph;
};
