import type { Head } from '#src/rooms/graph/draft.ts';
import { AFTER_GAP, isAccepted } from '#src/rooms/graph/events.ts';
import type { Made, Workbench } from '#src/rooms/graph/receive/bench.ts';
import { findCited, unplacedAmong } from '#src/rooms/graph/receive/cited.ts';
import type { Incoming, PduSource } from '#src/rooms/graph/receive/incoming.ts';
import { receiveUpon } from '#src/rooms/graph/receive/index.ts';
import { DroppedEventError } from '#src/rooms/graph/receive/missing.ts';
import { receiveOutliers } from '#src/rooms/graph/receive/outliers.ts';
import { toldState } from '#src/rooms/graph/receive/told-state.ts';
import { newView } from '#src/rooms/graph/view.ts';

/** A room as the server that lets us in gives it (server-server API, `send_join`). */
export interface WholeRoom<Event = PduSource> {
  /** The room's version id. */
  readonly version: string;
  /** The state before the join. */
  readonly state: readonly Event[];
  /** What authorises the state and the join. */
  readonly authChain: readonly Event[];
  /** The join of this server's user. */
  readonly join: Event;
}

/**
 * Takes in a room's state, all that authorises it, and the join that follows. What it is judged by is judged first; events that are not in order are
 * kept as rejected ones or, where not even their signatures are, are not there at all. Throws `DroppedEventError` when the join is not allowed.
 */
export const receiveWholeRoom = async (bench: Workbench, head: Head, room: WholeRoom<Incoming>): Promise<Made> => {
  const known = await bench.reads.eventById(room.join.parsed.eventId);
  if (known?.stateRoot !== undefined) return { drafted: [], revised: [], head };
  const outliers = await receiveOutliers(bench, head, [...room.authChain, ...room.state]);
  const before = await toldState(
    bench,
    room.state.map(({ parsed }) => parsed.eventId),
  );
  const cited = await findCited(bench, room.join.parsed);
  const facts = unplacedAmong(cited).length === 0 ? room.join.facts : room.join.facts | AFTER_GAP;
  const made = await receiveUpon(bench, head, { ...room.join, facts }, cited, before, known, newView(before.root));
  const joined = made.drafted.at(-1)?.event;
  if (joined === undefined || !isAccepted(joined)) throw new DroppedEventError(`The join is refused: ${joined?.fault ?? 'it is not here'}`);
  return { ...made, drafted: [...outliers, ...made.drafted] };
};
