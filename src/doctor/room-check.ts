import { createHash } from 'node:crypto';
import { authEventIds, type ParsedEvent, prevEventIds } from '#src/protocol/events.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import { type RoomVersion, roomVersion } from '#src/protocol/room-versions.ts';
import { checkEvent } from '#src/doctor/event-check.ts';
import type { Report } from '#src/doctor/finding.ts';
import { checkInGraph, type GraphTools, type Placed } from '#src/doctor/graph-check.ts';
import { checkHead, checkHistory, type Ends, type Head, readHead } from '#src/doctor/head-check.ts';
import { checkChanges } from '#src/doctor/change-check.ts';
import { checkMemberships } from '#src/doctor/membership-check.ts';
import { checkCounting } from '#src/doctor/push-check.ts';
import { checkRedactions } from '#src/doctor/redaction-check.ts';
import { PAGE, type RoomCheckTools } from '#src/doctor/room-tools.ts';
import { isAccepted, verifyAuthChains } from '#src/rooms/graph/index.ts';
import {
  authEdges,
  type EventRow,
  eventsById,
  isIndexed,
  missingEvents,
  nodesAfter,
  placedEvents,
  type RoomRow,
  unplacedEvents,
} from '#src/doctor/views.ts';

/** Whether an event tells a user of this server what became of them in a room that this server was not in: it has no place in the graph. */
const isOutside = (row: EventRow, { pdu }: ParsedEvent, serverName: string): boolean =>
  row.state_root === null && pdu.type === 'm.room.member' && domainOf(pdu.state_key ?? '') === serverName;

/** Looks at a page of events, each by itself and in the graph. */
const checkPage = async (tools: RoomCheckTools, graph: GraphTools, rows: readonly EventRow[], ends: Ends): Promise<void> => {
  const texts = await tools.strings.textOf(rows.flatMap((row) => [row.type_num, row.sender_num, row.state_key_num ?? row.type_num]));
  const known: { row: EventRow; parsed: ParsedEvent }[] = [];
  for (const row of rows) {
    const parsed = await checkEvent(graph.room, graph.version, tools.own, row, texts, tools.strings.numOf, tools.report);
    if (parsed !== undefined) known.push({ row, parsed });
  }
  if (known.length < rows.length) {
    ends.isKnown = false;
    ends.isLine = false;
  }
  const ids = [...new Set(known.flatMap(({ parsed: { pdu } }) => [...prevEventIds(pdu), ...authEventIds(pdu)]))];
  const { cited, edges, missing, misplaced } = await tools.database.read('cited events', async (reader) => ({
    cited: new Map((await eventsById(reader, ids)).map((event) => [event.event_id, event])),
    edges: Map.groupBy(
      await authEdges(
        reader,
        rows.map((row) => row.event_num),
      ),
      (edge) => edge.event_num,
    ),
    missing: Map.groupBy(
      await missingEvents(
        reader,
        graph.room.room_num,
        rows.map((row) => row.event_num),
      ),
      (each) => each.event_num,
    ),
    misplaced: new Set(
      (await isIndexed(reader))
        ? await verifyAuthChains(
            reader,
            rows.filter((row) => row.state_key_num !== null).map((row) => row.event_num),
          )
        : [],
    ),
  }));
  for (const { row, parsed } of known) {
    const placed: Placed = {
      row,
      parsed,
      cited,
      edges: (edges.get(row.event_num) ?? []).map((edge) => edge.auth_num),
      missing: new Set(missing.get(row.event_num)?.map((each) => each.missing_event_id)),
      isMisplaced: misplaced.has(row.event_num),
    };
    await checkInGraph(graph, placed);
    if (row.stream_position === null || row.stream_position < 0 || isOutside(row, parsed, tools.own.serverName)) continue;
    const counts = isAccepted(row);
    // One that was accepted at first and no longer is may be an end or leave the ends to what it followed.
    if (counts) for (const eventId of prevEventIds(parsed.pdu)) if (!ends.open.delete(eventId)) ends.followed.add(eventId);
    // What was judged again took its place only after others had followed it.
    if (ends.followed.has(row.event_id)) {
      ends.isLine = false;
      continue;
    }
    ends.open.set(row.event_id, row.event_num);
    ends.newest = counts ? row.event_num : undefined;
    ends.last = row.stream_position;
    if (ends.open.size > 1 || !counts || row.state_root === null) ends.isLine = false;
    else if (ends.changes.at(-1)?.current_root !== row.state_root)
      ends.changes.push({ stream_position: row.stream_position, current_root: row.state_root });
  }
  await checkRedactions(graph, known);
  tools.onProgress(rows.length);
};

/** Looks at all events of a room in their order. Answers where the room stood when the last of them was read. */
const checkEvents = async (tools: RoomCheckTools, graph: GraphTools, ends: Ends): Promise<Head> => {
  const { room_num: roomNum } = graph.room;
  for (let after = Number.MIN_SAFE_INTEGER; ;) {
    const { rows, head } = await tools.database.read('events of room', async (reader) => ({
      rows: await placedEvents(reader, roomNum, after, PAGE),
      head: await readHead(reader, roomNum),
    }));
    await checkPage(tools, graph, rows, ends);
    // Read together with the last events, so that what a server writes meanwhile does not come between them.
    if (rows.length < PAGE) return head;
    after = rows.at(-1)?.stream_position ?? after;
  }
};

const checkUnplaced = async (tools: RoomCheckTools, graph: GraphTools, ends: Ends): Promise<void> => {
  for (let after = 0; ;) {
    const rows = await tools.database.read('events without place', async (reader) =>
      unplacedEvents(reader, graph.room.room_num, after, PAGE),
    );
    await checkPage(tools, graph, rows, ends);
    if (rows.length < PAGE) return;
    after = rows.at(-1)?.event_num ?? after;
  }
};

/** Nodes of the state tree are named by what is in them. */
const checkNodes = async ({ database, report }: RoomCheckTools, room: RoomRow): Promise<void> => {
  for (let after = ''; ;) {
    const rows = await database.read('state nodes', async (reader) => nodesAfter(reader, room.room_num, after, PAGE));
    for (const { node_id: id, data } of rows) {
      if (createHash('sha256').update(data).digest('hex').startsWith(id)) continue;
      report({
        check: 'state-nodes',
        roomId: room.room_id,
        sentence: `A piece of the room's state (${id}) was changed after it was stored.`,
      });
    }
    if (rows.length < PAGE) return;
    after = rows.at(-1)?.node_id ?? after;
  }
};

const versionOf = (room: RoomRow, report: Report): RoomVersion | undefined => {
  try {
    return roomVersion(room.room_version);
  } catch {
    report({
      check: 'room-version',
      roomId: room.room_id,
      sentence: `The room's version is stored as ${room.room_version}, which is none.`,
    });
    return undefined;
  }
};

/** Damage by which state resolution may come to something else. */
const DECIDES_STATE: ReadonlySet<string> = new Set([
  'event-text',
  'event-id',
  'event-room',
  'auth-events',
  'auth-edges',
  'auth-chains',
  'auth-decision',
  'state',
]);

/** Looks at everything that is kept of a room. */
export const checkRoom = async (tools: RoomCheckTools, room: RoomRow): Promise<void> => {
  const version = versionOf(room, tools.report);
  if (version === undefined) return;
  const ends: Ends = {
    open: new Map(),
    followed: new Set(),
    newest: undefined,
    isKnown: true,
    isGraphSound: true,
    isLine: true,
    changes: [],
    last: 0,
  };
  /** Whether it is known what was redacted, and so no longer counts. */
  let isCountable = true;
  const report: Report = (finding) => {
    if (DECIDES_STATE.has(finding.check)) ends.isGraphSound = false;
    if (finding.check === 'redactions') isCountable = false;
    tools.report(finding);
  };
  const graph: GraphTools = { ...tools, report, room, version };
  const head = await checkEvents({ ...tools, report }, graph, ends);
  await checkUnplaced({ ...tools, report }, graph, ends);
  const isHeadSound = await checkHead(tools, room, ends, head);
  const isHistorySound = await checkHistory(tools, room, ends);
  await checkNodes(tools, room);
  try {
    if (isHistorySound) await checkChanges(tools, room, ends.last);
    // Who is in the room has to be right before it is asked for whom something is kept.
    if (await checkMemberships(tools, room, isHeadSound))
      await checkCounting(tools, room, isCountable && ends.isLine && ends.isGraphSound ? ends.last : undefined);
  } catch (error) {
    tools.report({
      check: 'current-state',
      roomId: room.room_id,
      sentence: `The current state cannot be read: ${(error as Error).message}.`,
    });
  }
};
