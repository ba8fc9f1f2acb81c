import { repairCounting, startRecount, verifyCounting } from '#src/push/index.ts';
import { parseStoredPdu } from '#src/protocol/events.ts';
import type { Database, Reader } from '#src/platform/database/types.ts';
import type { RoomEvent, RoomInfo } from '#src/rooms/graph/index.ts';
import { PAGE, type RoomCheckTools } from '#src/doctor/room-tools.ts';
import { type EventRow, eventById, placedEvents, type RoomRow } from '#src/doctor/views.ts';

const eventOf = (row: EventRow, roomNum: number): RoomEvent => ({
  num: row.event_num,
  eventId: row.event_id,
  roomNum,
  typeNum: row.type_num,
  senderNum: row.sender_num,
  stateKeyNum: row.state_key_num ?? undefined,
  pdu: parseStoredPdu(row.json),
  json: row.json,
  depth: row.depth,
  position: row.stream_position ?? undefined,
  writerNum: 0,
  stateRoot: row.state_root ?? undefined,
  facts: row.facts,
  fault: undefined,
  redactedBy: row.redacted_by ?? undefined,
});

/** Counts the room's events again up to a position; answers how many counts are wrong, which are put right in `repairIn`. */
const recount = async ({ database, own }: RoomCheckTools, room: RoomInfo, upTo: number, repairIn?: Database): Promise<number> => {
  const find = async (reader: Reader, eventId: string): Promise<RoomEvent | undefined> => {
    const row = await eventById(reader, room.num, eventId);
    return row && eventOf(row, room.num);
  };
  const counting = await database.read('begin counting', (reader) => startRecount(reader, room, { serverName: own.serverName, find }));
  let wrong = 0;
  for (let after = 0; counting !== undefined;) {
    const { rows, faults } = await database.read('count again', async (reader) => {
      const found = (await placedEvents(reader, room.num, after, PAGE)).filter((row) => (row.stream_position ?? 0) <= upTo);
      return {
        rows: found,
        faults: await counting.compare(
          reader,
          found.map((row) => eventOf(row, room.num)),
        ),
      };
    });
    wrong += faults.wrong;
    if (repairIn !== undefined) await repairIn.write('repair counts', faults.mend);
    if (rows.length < PAGE) break;
    after = rows.at(-1)?.stream_position ?? after;
  }
  return wrong;
};

/**
 * What unread counts are made of agrees with who is in the room; and where the room's events follow one another up to `line`, those who have only ever had the
 * predefined push rules have been counted for as these rules say. For others the counts cannot be made again: nobody knows their rules of that time.
 */
export const checkCounting = async (tools: RoomCheckTools, room: RoomRow, line: number | undefined): Promise<void> => {
  const { database, strings, report } = tools;
  const info: RoomInfo = { num: room.room_num, roomId: room.room_id, version: room.room_version };
  const check = 'push-counts';
  const faults = await database.read('counting of room', (reader) => verifyCounting(reader, room.room_num));
  const misplaced = faults.missing.length + faults.surplus.length + faults.series.length;
  if (misplaced > 0) {
    report({
      check,
      roomId: room.room_id,
      sentence: `Unread counts are kept for others than the room's members, or not by where they have come to (${String(misplaced)} rows). Some are told of too much or too little.`,
      repair: {
        sentence: 'Members are counted for from their joins on, and what is kept for others is deleted.',
        run: (writable) => repairCounting({ database: writable, strings }, info, faults),
      },
    });
    return;
  }
  const wrong = line === undefined ? 0 : await recount(tools, info, line);
  if (wrong === 0) return;
  report({
    check,
    roomId: room.room_id,
    sentence: `Unread counts are not what the predefined push rules make of the room's events (${String(wrong)} counts). Some are told of too much or too little.`,
    repair: {
      sentence: 'The events are counted again for those who have never changed a push rule.',
      run: async (writable) => void (await recount(tools, info, line as number, writable)),
    },
  });
};
