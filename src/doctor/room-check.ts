import { createHash } from 'node:crypto';
import { authEventIds, parseStoredPdu, prevEventIds } from '#src/protocol/events.ts';
import { type RoomVersion, roomVersion } from '#src/protocol/room-versions.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Reader } from '#src/platform/database/types.ts';
import { checkEvent, type OwnServer } from '#src/doctor/event-check.ts';
import { isAccepted, verifyAuthChains } from '#src/rooms/graph/index.ts';
import type { Report } from '#src/doctor/finding.ts';
import { checkInGraph, type GraphTools, type Placed } from '#src/doctor/graph-check.ts';
import {
  authEdges,
  type EventRow,
  eventsById,
  eventsByNum,
  headRow,
  isIndexed,
  membershipsAfter,
  missingEvents,
  nodesAfter,
  placedEvents,
  type RoomRow,
  unplacedEvents,
} from '#src/doctor/views.ts';

/** Rows that are in memory at a time. */
const PAGE = 200;
const MEMBER = 'm.room.member';

export interface RoomCheckTools extends Omit<GraphTools, 'room' | 'version'> {
  readonly strings: Pick<Strings, 'textOf'>;
  readonly own: OwnServer;
  /** Told of so many events more that were looked at; throws to end the check. */
  readonly onProgress: (events: number) => void;
}

/** The loose ends of the graph so far: events upon which nothing stands that counts. */
interface Ends {
  readonly open: Map<string, number>;
  /** Events that were followed before they were met. */
  readonly followed: Set<string>;
  newest: number | undefined;
  /** False once an event could not be read: what it followed is not known, so neither are the ends. */
  isKnown: boolean;
}

/** Looks at a page of events, each by itself and in the graph. */
const checkPage = async (tools: RoomCheckTools, graph: GraphTools, rows: readonly EventRow[], ends: Ends): Promise<void> => {
  const texts = await tools.strings.textOf(rows.flatMap((row) => [row.type_num, row.sender_num, row.state_key_num ?? row.type_num]));
  const known = rows.flatMap((row) => {
    const parsed = checkEvent(graph.room, graph.version, tools.own, row, texts, tools.report);
    return parsed === undefined ? [] : [{ row, parsed }];
  });
  if (known.length < rows.length) ends.isKnown = false;
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
    if (row.stream_position === null || row.stream_position < 0) continue;
    const counts = isAccepted(row);
    // One that was accepted at first and no longer is may be an end or leave the ends to what it followed.
    if (counts) for (const eventId of prevEventIds(parsed.pdu)) if (!ends.open.delete(eventId)) ends.followed.add(eventId);
    // What was judged again took its place only after others had followed it.
    if (ends.followed.has(row.event_id)) continue;
    ends.open.set(row.event_id, row.event_num);
    ends.newest = counts ? row.event_num : undefined;
  }
  tools.onProgress(rows.length);
};

type Head = { readonly extremities: readonly number[]; readonly root: string } | undefined;

const readHead = async (reader: Reader, roomNum: number): Promise<Head> => {
  const row = await headRow(reader, roomNum);
  return row && { extremities: JSON.parse(row.forward_extremities) as number[], root: row.current_root };
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

/** The stored forward extremities are loose ends of the graph, and the newest event is one of them. */
const checkHead = async ({ database, report }: RoomCheckTools, room: RoomRow, ends: Ends, head: Head): Promise<void> => {
  const say = (check: string, sentence: string): void => report({ check, roomId: room.room_id, sentence });
  if (head === undefined) {
    say('extremities', 'The table has no row that says where the room stands. Nothing can be sent into it.');
    return;
  }
  if (!ends.isKnown) return;
  const open = new Set(ends.open.values());
  const fits = head.extremities.every((num) => open.has(num)) && (ends.newest === undefined || head.extremities.includes(ends.newest));
  if (!fits)
    say('extremities', 'The stored ends of the room (forward extremities) are not those of its events. New events would fork the room.');
  if (!fits || head.extremities.length !== 1) return;
  const [last] = await database.read('extremity', async (reader) => eventsByNum(reader, head.extremities));
  if (last?.state_root !== head.root) say('current-state', 'The stored current state is not the state after the last event.');
};

/** In a room whose state changes all the time under a running server the comparison is given up. */
const MAX_ATTEMPTS = 5;

/** The table of memberships says what the current state says. */
const checkMemberships = async (tools: RoomCheckTools, room: RoomRow, attempt = 1): Promise<void> => {
  const { database, states, report } = tools;
  const head = await database.read('head of room', async (reader) => readHead(reader, room.room_num));
  const entries = await states.entries(room.room_num, head?.root ?? '', MEMBER);
  const expected = new Map(entries.map((entry) => [entry.stateKeyNum, entry.eventNum]));
  let wrong = 0;
  for (let after = 0; ;) {
    const { rows, events, root } = await database.read('memberships of room', async (reader) => {
      const page = await membershipsAfter(reader, room.room_num, after, PAGE);
      const nums = page.flatMap((row) => expected.get(row.user_num) ?? []);
      return { rows: page, events: await eventsByNum(reader, nums), root: (await readHead(reader, room.room_num))?.root };
    });
    // A server has changed the state meanwhile: what was read does not belong together.
    if (root !== head?.root) return attempt < MAX_ATTEMPTS ? checkMemberships(tools, room, attempt + 1) : undefined;
    const contents = new Map(events.map((event) => [event.event_num, parseStoredPdu(event.json).content]));
    for (const row of rows) {
      const num = expected.get(row.user_num);
      expected.delete(row.user_num);
      // Whom state resolution has taken out of the state has left.
      if (num === undefined ? row.membership !== 'leave' : num !== row.event_num || contents.get(num)?.membership !== row.membership)
        wrong += 1;
    }
    if (rows.length < PAGE) break;
    after = rows.at(-1)?.user_num ?? after;
  }
  wrong += expected.size;
  if (wrong === 0) return;
  const sentence = `The table of memberships does not agree with the current state for ${String(wrong)} of the room's users. They may miss the room or still see it.`;
  report({ check: 'memberships', roomId: room.room_id, sentence });
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

/** Looks at everything that is kept of a room. */
export const checkRoom = async (tools: RoomCheckTools, room: RoomRow): Promise<void> => {
  const version = versionOf(room, tools.report);
  if (version === undefined) return;
  const graph: GraphTools = { ...tools, room, version };
  const ends: Ends = { open: new Map(), followed: new Set(), newest: undefined, isKnown: true };
  const head = await checkEvents(tools, graph, ends);
  await checkUnplaced(tools, graph, ends);
  await checkHead(tools, room, ends, head);
  await checkNodes(tools, room);
  try {
    await checkMemberships(tools, room);
  } catch (error) {
    tools.report({
      check: 'current-state',
      roomId: room.room_id,
      sentence: `The current state cannot be read: ${(error as Error).message}.`,
    });
  }
};
