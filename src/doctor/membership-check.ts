import { parseStoredPdu } from '#src/protocol/events.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import type { StateEntry } from '#src/rooms/graph/index.ts';
import type { Repair } from '#src/doctor/finding.ts';
import { readHead } from '#src/doctor/head-check.ts';
import { leaveUnknown, rewriteMembership, type TrueMembership } from '#src/doctor/repairs.ts';
import { PAGE, type RoomCheckTools } from '#src/doctor/room-tools.ts';
import { eventsByNum, isToldFromOutside, membershipsAfter, type RoomRow } from '#src/doctor/views.ts';

const MEMBER = 'm.room.member';
/** In a room whose state changes all the time under a running server the comparison is given up. */
const MAX_ATTEMPTS = 5;

/** What lines of the current state say of their users. */
const trueMemberships = async ({ database, strings, own }: RoomCheckTools, entries: readonly StateEntry[]): Promise<TrueMembership[]> => {
  const nums = entries.map((entry) => entry.eventNum);
  const events = new Map((await database.read('member events', (reader) => eventsByNum(reader, nums))).map((row) => [row.event_num, row]));
  const userIds = await strings.textOf(entries.map((entry) => entry.stateKeyNum));
  return entries.flatMap(({ stateKeyNum: userNum, eventNum }) => {
    const event = events.get(eventNum);
    const membership = event && parseStoredPdu(event.json).content.membership;
    if (typeof membership !== 'string') return [];
    return [{ userNum, membership, eventNum, isLocal: domainOf(userIds.get(userNum) ?? '') === own.serverName }];
  });
};

/** The table of memberships says what the current state says. Answers whether it does; it can be written anew where the current state is the right one. */
export const checkMemberships = async (tools: RoomCheckTools, room: RoomRow, isHeadSound: boolean, attempt = 1): Promise<boolean> => {
  const { database, states, report } = tools;
  const head = await database.read('head of room', async (reader) => readHead(reader, room.room_num));
  const entries = await states.entries(room.room_num, head?.root ?? '', MEMBER);
  const expected = new Map(entries.map((entry) => [entry.stateKeyNum, entry.eventNum]));
  const unknown: number[] = [];
  let wrong = 0;
  for (let after = 0; ;) {
    const { rows, events, root } = await database.read('memberships of room', async (reader) => {
      const page = await membershipsAfter(reader, room.room_num, after, PAGE);
      const nums = page.flatMap((row) => [row.event_num, expected.get(row.user_num) ?? row.event_num]);
      return { rows: page, events: await eventsByNum(reader, nums), root: (await readHead(reader, room.room_num))?.root };
    });
    // A server has changed the state meanwhile: what was read does not belong together.
    if (root !== head?.root) return attempt < MAX_ATTEMPTS ? checkMemberships(tools, room, isHeadSound, attempt + 1) : false;
    const byNum = new Map(events.map((event) => [event.event_num, event]));
    const contents = new Map(events.map((event) => [event.event_num, parseStoredPdu(event.json).content]));
    for (const row of rows) {
      const num = expected.get(row.user_num);
      expected.delete(row.user_num);
      // Whom state resolution has taken out of the state has left.
      if (num === undefined ? row.membership === 'leave' : num === row.event_num && contents.get(num)?.membership === row.membership)
        continue;
      if (isToldFromOutside(byNum.get(row.event_num), row.membership)) continue;
      wrong += 1;
      if (num === undefined) unknown.push(row.user_num);
    }
    if (rows.length < PAGE) break;
    after = rows.at(-1)?.user_num ?? after;
  }
  wrong += expected.size;
  if (wrong === 0) return true;
  const sentence = `The table of memberships does not agree with the current state for ${String(wrong)} of the room's users. They may miss the room or still see it.`;
  const repair: Repair = {
    sentence: 'The table is written anew from the current state.',
    run: async (writable) => {
      for (const userNum of unknown) await writable.write('repair membership', (tx) => leaveUnknown(tx, room.room_num, userNum));
      for (let from = 0; from < entries.length; from += PAGE) {
        const truths = await trueMemberships(tools, entries.slice(from, from + PAGE));
        await writable.write('repair memberships', async (tx) => {
          for (const truth of truths) await rewriteMembership(tx, room.room_num, truth);
        });
      }
    },
  };
  report({ check: 'memberships', roomId: room.room_id, sentence, repair: isHeadSound ? repair : undefined });
  return false;
};
