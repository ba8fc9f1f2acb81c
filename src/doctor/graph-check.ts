import { authStateOf, checkAuth, checkAuthEvents, stateNeededFor } from '#src/protocol/auth-rules/index.ts';
import { authEventIds, type ParsedEvent, parseStoredPdu, prevEventIds } from '#src/protocol/events.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import type { ReadOnlyDatabase } from '#src/platform/database/read-only.ts';
import { isRejected, rebuildAuthChains, type States, UNVERIFIED } from '#src/rooms/graph/index.ts';
import { type Repair, type Report, repairBy } from '#src/doctor/finding.ts';
import { rewriteAuthEdges } from '#src/doctor/repairs.ts';
import { type CitedRow, type EventRow, eventsByNum, type RoomRow } from '#src/doctor/views.ts';

/** An event of a page with all that it cites, as far as that is here. */
export interface Placed {
  readonly row: EventRow;
  readonly parsed: ParsedEvent;
  readonly cited: ReadonlyMap<string, CitedRow>;
  /** What the table of auth events has for it. */
  readonly edges: readonly number[];
  /** What it cites and is known not to be here. */
  readonly missing: ReadonlySet<string>;
  /** Whether the index of auth chains does not agree with the table of auth events. */
  readonly isMisplaced: boolean;
}

/** What the checks of a room's graph look into. */
export interface GraphTools {
  readonly database: ReadOnlyDatabase;
  readonly states: States;
  readonly room: RoomRow;
  readonly version: RoomVersion;
  readonly report: Report;
}

/** One that cites so many may leave other ends of the room uncited: then the state before it is not that of what it cites alone. */
const MAX_CITED = 10;

type Say = (check: string, sentence: string, repair?: Repair) => void;

/** The events that the event follows and cites are here, in this room, and the table of auth events has them. */
const checkCited = ({ room }: GraphTools, { row, parsed, cited, edges, missing, isMisplaced }: Placed, say: Say): void => {
  // An outlier's surroundings need not be here.
  const prev = row.state_root === null ? [] : prevEventIds(parsed.pdu);
  for (const eventId of prev)
    if (cited.get(eventId)?.room_num !== room.room_num && !missing.has(eventId))
      say('prev-events', `It follows ${eventId}, which is not here.`);
  const authIds = authEventIds(parsed.pdu);
  const auth = authIds.map((eventId) => cited.get(eventId));
  if (row.state_root !== null && authIds.some((eventId) => !cited.has(eventId) && !missing.has(eventId)))
    say('auth-events', 'An event that it cites as auth event is not here.');
  // What became of users before this server was in the room was judged by nothing.
  if (row.state_key_num === null || (row.state_root === null && row.stream_position !== null)) return;
  const expected = [...new Set(auth.flatMap((event) => event?.event_num ?? []))].sort((a, b) => a - b);
  if (expected.join() !== edges.toSorted((a, b) => a - b).join())
    say(
      'auth-edges',
      'The table of auth events does not agree with the event. State of forks may be resolved wrongly.',
      repairBy('The table is written anew from the event.', (tx) => rewriteAuthEdges(tx, row.event_num, expected)),
    );
  else if (isMisplaced)
    say('auth-chains', 'The index of auth chains does not agree with the table of auth events. State of forks may be resolved wrongly.', {
      sentence: "The room's index is computed anew.",
      run: (database) => rebuildAuthChains(database, room.room_num),
    });
};

/** The state after the event is the state before it and, if it is an accepted state event, itself. */
const checkState = async ({ room, states }: GraphTools, { row, parsed }: Placed, before: string, say: Say): Promise<void> => {
  const changed = await states.diff(room.room_num, before, row.state_root ?? '');
  const changes = parsed.pdu.state_key !== undefined && !isRejected(row);
  const key = changes ? await states.keyOf(parsed.pdu.type, parsed.pdu.state_key ?? '') : undefined;
  const [only] = changed;
  const fits = changes
    ? changed.length === 1 && only?.after === row.event_num && only.key.stateKey === key?.stateKey && only.key.type === key.type
    : changed.length === 0;
  if (!fits) say('state', 'The stored state after the event does not follow from the state before it.');
};

/** The authorisation rules decide now as they decided when the event came. */
const checkDecision = async (
  { database, states, room, version }: GraphTools,
  { row, parsed, cited }: Placed,
  before: string,
  say: Say,
): Promise<void> => {
  const found = authEventIds(parsed.pdu).map((eventId) => cited.get(eventId));
  if (found.includes(undefined)) return;
  const auth = (found as CitedRow[]).map((event) => ({
    eventId: event.event_id,
    roomId: room.room_id,
    pdu: parseStoredPdu(event.json),
    rejected: isRejected(event),
  }));
  const keys = await Promise.all(
    stateNeededFor(parsed.pdu, version).map(async ([type, stateKey]) => states.get(room.room_num, before, type, stateKey)),
  );
  const nums = keys.filter((num) => num !== undefined);
  const rows = await database.read('state before', async (reader) => eventsByNum(reader, nums));
  const state = rows.map((event) => ({ eventId: event.event_id, pdu: parseStoredPdu(event.json) }));
  const create = state.filter(({ pdu }) => pdu.type === 'm.room.create');
  const verdicts = [
    checkAuthEvents(parsed, auth, version),
    checkAuth(parsed.pdu, authStateOf([...create, ...auth]), version),
    checkAuth(parsed.pdu, authStateOf(state), version),
  ];
  const refused = verdicts.find((verdict) => !verdict.allowed);
  if (refused?.allowed === false && !isRejected(row))
    say('auth-decision', `It counts as accepted, but the rules refuse it (rule ${refused.rule}: ${refused.reason}).`);
  if (refused === undefined && isRejected(row) && parsed.rejection === undefined && (row.facts & UNVERIFIED) === 0)
    say('auth-decision', 'It counts as rejected, but the rules accept it.');
};

/**
 * Looks at an event in the graph: what it cites, the state after it, and whether it is rightly accepted or rejected. Where it joins branches whose states differ,
 * the state before it is not computed again, and only what it cites is looked at.
 */
export const checkInGraph = async (tools: GraphTools, placed: Placed): Promise<void> => {
  const { room, report } = tools;
  const say: Say = (check, sentence, repair) => report({ check, roomId: room.room_id, eventId: placed.row.event_id, sentence, repair });
  checkCited(tools, placed, say);
  if (placed.row.state_root === null) return;
  const prev = prevEventIds(placed.parsed.pdu);
  const roots = new Set(prev.map((eventId) => placed.cited.get(eventId)?.state_root));
  const [before = ''] = roots;
  if (roots.size > 1 || prev.length >= MAX_CITED || before === null || (roots.size === 1 && roots.has(undefined))) return;
  try {
    await checkState(tools, placed, before, say);
    await checkDecision(tools, placed, before, say);
  } catch (error) {
    say('state', `The state at the event cannot be read: ${(error as Error).message}.`);
  }
};
