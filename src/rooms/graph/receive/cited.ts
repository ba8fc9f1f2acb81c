import { authEventIds, type ParsedEvent, prevEventIds } from '#src/protocol/events.ts';
import type { RoomEvent } from '#src/rooms/graph/events.ts';
import type { Workbench } from '#src/rooms/graph/receive/bench.ts';
import { MissingEventsError } from '#src/rooms/graph/receive/missing.ts';
import { resolveRoots } from '#src/rooms/graph/resolve.ts';
import type { NodeId } from '#src/rooms/graph/state-tree/nodes.ts';
import { addNodes } from '#src/rooms/graph/view.ts';
import type { Changed } from '#src/rooms/graph/state-tree/tree.ts';

/** What an event cites, as far as it is here. */
export interface Cited {
  readonly prev: readonly RoomEvent[];
  readonly auth: readonly RoomEvent[];
  readonly missing: { readonly prev: readonly string[]; readonly auth: readonly string[] };
}

const find = async ({ reads }: Workbench, eventIds: readonly string[]): Promise<{ found: RoomEvent[]; missing: string[] }> => {
  const events = await Promise.all(eventIds.map(async (eventId) => reads.eventById(eventId)));
  return { found: events.filter((event) => event !== undefined), missing: eventIds.filter((_, index) => events[index] === undefined) };
};

/** The events that an event follows and those that authorise it. */
export const findCited = async (bench: Workbench, { pdu }: Pick<ParsedEvent, 'pdu'>): Promise<Cited> => {
  const prev = await find(bench, prevEventIds(pdu));
  const auth = await find(bench, authEventIds(pdu));
  return { prev: prev.found, auth: auth.found, missing: { prev: prev.missing, auth: auth.missing } };
};

/** Those that an event follows and of which it is not known what state is after them: they are not here, or have no place in the graph. */
export const unplacedAmong = ({ prev, missing }: Cited): string[] => [
  ...missing.prev,
  ...prev.filter((event) => event.stateRoot === undefined).map((event) => event.eventId),
];

/** The state before an event: that after its prev events and those that are told in the place of some, resolved where they differ. Throws `MissingEventsError` where one has none. */
export const stateBefore = async (
  { tools, version, pending, reads }: Workbench,
  prev: readonly RoomEvent[],
  told: readonly Changed[] = [],
): Promise<Changed> => {
  const placed = prev.filter((event) => event.stateRoot !== undefined);
  if (placed.length + told.length < prev.length)
    throw new MissingEventsError(
      prev.filter((event) => event.stateRoot === undefined).map((event) => event.eventId),
      [],
    );
  const roots = [...placed.map((event) => event.stateRoot as NodeId), ...told.map(({ root }) => root)];
  const resolved = await resolveRoots(tools, version, pending, reads, roots);
  addNodes(pending, resolved.created);
  return { root: resolved.root, created: [...told.flatMap(({ created }) => created), ...resolved.created] };
};
