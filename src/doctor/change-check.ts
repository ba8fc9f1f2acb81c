import { parseStoredPdu } from '#src/protocol/events.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import { rewriteChanges } from '#src/doctor/repairs.ts';
import { PAGE, type RoomCheckTools } from '#src/doctor/room-tools.ts';
import {
  type ChangeRow,
  eventsByNum,
  isToldFromOutside,
  lastStateChange,
  localUsers,
  membershipChanges,
  type RoomRow,
  type StateChangeRow,
  stateHistory,
} from '#src/doctor/views.ts';

const MEMBER = 'm.room.member';

const nameOf = (row: Pick<ChangeRow, 'user_num' | 'stream_position'>): string => `${String(row.user_num)} ${String(row.stream_position)}`;

const isSame = (a: ChangeRow, b: ChangeRow | undefined): boolean => a.event_num === b?.event_num && a.membership === b.membership;

/** The history of a room's current state up to a position. */
const readHistory = async ({ database }: RoomCheckTools, roomNum: number, upTo: number): Promise<StateChangeRow[]> => {
  const found: StateChangeRow[] = [];
  for (;;) {
    const after = found.at(-1)?.stream_position ?? Number.MIN_SAFE_INTEGER;
    const rows = await database.read('state history', (reader) => stateHistory(reader, roomNum, after, PAGE));
    found.push(...rows.filter((row) => row.stream_position <= upTo));
    if (rows.length < PAGE || (rows.at(-1)?.stream_position ?? 0) > upTo) return found;
  }
};

/** What became of this server's users in the room, by its history; the last word at a position counts. */
const expectedChanges = async (
  tools: RoomCheckTools,
  roomNum: number,
  history: readonly StateChangeRow[],
): Promise<Map<string, ChangeRow>> => {
  const { database, strings, states, own } = tools;
  const memberType = await strings.numOf(MEMBER);
  const expected = new Map<string, ChangeRow>();
  let before = '';
  for (const { stream_position: position, current_root: root } of history) {
    const changed = (await states.diff(roomNum, before, root)).filter(({ key }) => key.type === memberType);
    before = root;
    if (changed.length === 0) continue;
    const userIds = await strings.textOf(changed.map(({ key }) => key.stateKey));
    const local = changed.filter(({ key }) => domainOf(userIds.get(key.stateKey) ?? '') === own.serverName);
    const nums = local.flatMap(({ after }) => after ?? []);
    const events = new Map(
      (await database.read('member events', (reader) => eventsByNum(reader, nums))).map((row) => [row.event_num, row]),
    );
    for (const { key, before: past, after } of local) {
      const event = after === undefined ? undefined : events.get(after);
      const membership = event === undefined ? 'leave' : parseStoredPdu(event.json).content.membership;
      const row = {
        user_num: key.stateKey,
        stream_position: position,
        event_num: (after ?? past) as number,
        membership: typeof membership === 'string' ? membership : 'leave',
      };
      expected.set(nameOf(row), row);
    }
  }
  return expected;
};

/**
 * The changes of this server's users' memberships, by which `/sync` knows who came and went when, are those of the history of the current state. Where the history
 * takes a change back at the same position, a row that says what holds from there on is no fault. `lastEvent` is the position of the last event that was looked at.
 */
export const checkChanges = async (tools: RoomCheckTools, room: RoomRow, lastEvent: number): Promise<void> => {
  const { database, strings, states, report } = tools;
  const { room_num: roomNum, room_id: roomId } = room;
  // What a server writes meanwhile lies behind this.
  const last = await database.read('last state', (reader) => lastStateChange(reader, roomNum));
  const upTo = Math.max(lastEvent, last?.stream_position ?? 0);
  const history = await readHistory(tools, roomNum, upTo);
  const rootAt = new Map(history.map((row) => [row.stream_position, row.current_root]));
  const expected = await expectedChanges(tools, roomNum, history);
  const users = new Set(await database.read('local users', (reader) => localUsers(reader, roomNum)));
  for (const { user_num: userNum } of expected.values()) users.add(userNum);
  const userIds = await strings.textOf([...users]);

  const holds = async (row: ChangeRow): Promise<boolean> => {
    const [told] = await database.read('member event', (reader) => eventsByNum(reader, [row.event_num]));
    if (isToldFromOutside(told, row.membership)) return true;
    const root = rootAt.get(row.stream_position);
    if (root === undefined) return false;
    const num = await states.get(roomNum, root, MEMBER, userIds.get(row.user_num) ?? '');
    if (num === undefined) return row.membership === 'leave';
    const [event] = await database.read('member event', (reader) => eventsByNum(reader, [num]));
    return num === row.event_num && event !== undefined && parseStoredPdu(event.json).content.membership === row.membership;
  };

  const right = new Map(expected);
  const wrong: ChangeRow[] = [];
  const nums = [...users];
  for (let from = 0; from < nums.length; from += PAGE) {
    const page = nums.slice(from, from + PAGE);
    for (const row of await database.read('membership changes', (reader) => membershipChanges(reader, roomNum, page, upTo))) {
      if (isSame(row, expected.get(nameOf(row)))) right.delete(nameOf(row));
      else if (expected.has(nameOf(row)) || !(await holds(row))) wrong.push(row);
    }
  }
  const count = new Set([...right.keys(), ...wrong.map(nameOf)]).size;
  if (count === 0) return;
  report({
    check: 'membership-changes',
    roomId,
    sentence: `When this server's users came and went is not as the history of the room has it (${String(count)} times). Clients that were away may not be told of rooms.`,
    repair: {
      sentence: 'It is written anew from the history.',
      run: (writable) => writable.write('repair membership changes', (tx) => rewriteChanges(tx, roomNum, wrong, [...right.values()])),
    },
  });
};
