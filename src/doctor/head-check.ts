import { isDeepStrictEqual } from 'node:util';
import type { ReadOnlyDatabase } from '#src/platform/database/read-only.ts';
import { resolveEnds, type ResolvedEnds } from '#src/rooms/graph/index.ts';
import type { Reader } from '#src/platform/database/types.ts';
import { type Repair, repairBy } from '#src/doctor/finding.ts';
import { putHistory, rewriteHead, rewriteHistory } from '#src/doctor/repairs.ts';
import { PAGE, type RoomCheckTools } from '#src/doctor/room-tools.ts';
import { headRow, lastStateChange, type RoomRow, type StateChangeRow, stateHistory } from '#src/doctor/views.ts';

/** The loose ends of the graph so far: events upon which nothing stands that counts. */
export interface Ends {
  readonly open: Map<string, number>;
  /** Events that were followed before they were met. */
  readonly followed: Set<string>;
  newest: number | undefined;
  /** False once an event could not be read: what it followed is not known, so neither are the ends. */
  isKnown: boolean;
  /** Whether nothing has been found so far that state resolution would go wrong by. */
  isGraphSound: boolean;
  /** Whether each event so far followed the one before it, and all were accepted. */
  isLine: boolean;
  /** In a line: from which positions on the current state was another. */
  readonly changes: StateChangeRow[];
  /** The position of the last event. */
  last: number;
}

export type Head = { readonly extremities: readonly number[]; readonly root: string } | undefined;

export const readHead = async (reader: Reader, roomNum: number): Promise<Head> => {
  const row = await headRow(reader, roomNum);
  return row && { extremities: JSON.parse(row.forward_extremities) as number[], root: row.current_root };
};

/** The state that a room's ends have together. Where they cannot be resolved, undefined. */
const stateOf = async (
  { database, strings, states }: RoomCheckTools,
  room: RoomRow,
  ends: readonly number[],
): Promise<ResolvedEnds | undefined> => {
  const info = { num: room.room_num, roomId: room.room_id, version: room.room_version };
  try {
    return await resolveEnds({ database, strings, states }, info, ends);
  } catch {
    // The state of one of them cannot be read, which is found elsewhere.
    return undefined;
  }
};

/** Writes where the room stands from its loose ends; of several, the states are resolved. */
const headRepair = async (tools: RoomCheckTools, room: RoomRow, ends: Ends): Promise<Repair | undefined> => {
  const nums = [...ends.open.values()].toSorted((a, b) => a - b);
  const state = nums.length === 0 ? undefined : await stateOf(tools, room, nums);
  return state === undefined
    ? undefined
    : repairBy('Where the room stands is written anew from its events.', (tx) => {
        state.save(tx);
        return rewriteHead(tx, room.room_num, nums, state.root);
      });
};

/** The stored forward extremities are loose ends of the graph, and the newest event is one of them. Answers whether nothing speaks against them. */
export const checkHead = async (tools: RoomCheckTools, room: RoomRow, ends: Ends, head: Head): Promise<boolean> => {
  const { report } = tools;
  const say = (check: string, sentence: string, repair: Repair | undefined): void =>
    report({ check, roomId: room.room_id, sentence, repair });
  if (head === undefined) {
    const repair = ends.isKnown ? await headRepair(tools, room, ends) : undefined;
    say('extremities', 'The table has no row that says where the room stands. Nothing can be sent into it.', repair);
    return false;
  }
  if (!ends.isKnown) return false;
  const open = new Set(ends.open.values());
  const fits = head.extremities.every((num) => open.has(num)) && (ends.newest === undefined || head.extremities.includes(ends.newest));
  if (!fits)
    say(
      'extremities',
      'The stored ends of the room (forward extremities) are not those of its events. New events would fork the room.',
      await headRepair(tools, room, ends),
    );
  if (!fits) return false;
  // What state resolution goes by has to be right before it is asked.
  if (head.extremities.length > 1 && !ends.isGraphSound) return true;
  const state = await stateOf(tools, room, head.extremities);
  if (state?.root === head.root) return true;
  const isOne = head.extremities.length === 1;
  const repair =
    state &&
    repairBy(
      isOne ? 'The state after the last event is made the current one.' : "The states of the room's ends are resolved anew.",
      (tx) => {
        state.save(tx);
        return rewriteHead(tx, room.room_num, head.extremities, state.root);
      },
    );
  const sentence = isOne
    ? 'The stored current state is not the state after the last event.'
    : "The stored current state is not what state resolution makes of the room's ends.";
  say('current-state', sentence, repair);
  return false;
};

/**
 * The history of the current state is that of the events where they follow one another, up to the last that was looked at; where they do not, it ends in
 * the current state. Answers whether nothing speaks against it.
 */
export const checkHistory = async ({ database, report }: RoomCheckTools, room: RoomRow, ends: Ends): Promise<boolean> => {
  const { room_num: roomNum, room_id: roomId } = room;
  const check = 'state-history';
  if (ends.isLine) {
    const sentence = 'The history of the current state is not that of the events. Clients that were away may be told a wrong state.';
    const stored = await readHistory(database, roomNum, ends);
    if (isDeepStrictEqual(stored, ends.changes)) return true;
    const repair = repairBy('The history is written anew from the events.', (tx) => rewriteHistory(tx, roomNum, ends.changes));
    report({ check, roomId, sentence, repair });
    return false;
  }
  const { head, last } = await database.read('last state', async (reader) => ({
    head: await readHead(reader, roomNum),
    last: await lastStateChange(reader, roomNum),
  }));
  if (head === undefined) return false;
  if (last?.current_root === head.root) return true;
  const change = { stream_position: Math.max(ends.last, last?.stream_position ?? 0), current_root: head.root };
  const repair = repairBy('The current state is made the last of the history.', (tx) => putHistory(tx, roomNum, change));
  report({ check, roomId, sentence: 'The history of the current state ends in another state.', repair });
  return false;
};

/** The changes of a room's current state up to the last event that was looked at, or one more of them than there should be. */
const readHistory = async (database: ReadOnlyDatabase, roomNum: number, { changes, last }: Ends): Promise<StateChangeRow[]> => {
  const found: StateChangeRow[] = [];
  while (found.length <= changes.length) {
    const after = found.at(-1)?.stream_position ?? Number.MIN_SAFE_INTEGER;
    const rows = await database.read('state history', (reader) => stateHistory(reader, roomNum, after, PAGE));
    // What a server has written since belongs to later events.
    found.push(...rows.filter((row) => row.stream_position <= last).map((row) => ({ ...row })));
    if (rows.length < PAGE || (rows.at(-1)?.stream_position ?? 0) > last) break;
  }
  return found;
};
