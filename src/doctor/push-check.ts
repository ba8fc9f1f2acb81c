import { repairCounting, verifyCounting } from '#src/push/index.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { ReadOnlyDatabase } from '#src/platform/database/read-only.ts';
import type { Report } from '#src/doctor/finding.ts';
import type { RoomRow } from '#src/doctor/views.ts';

/** What unread counts are made of agrees with who is in the room. The counts themselves cannot be made again: nobody knows the rules of that time. */
export const checkCounting = async (
  { database, strings, report }: { database: ReadOnlyDatabase; strings: Strings; report: Report },
  room: RoomRow,
): Promise<void> => {
  const faults = await database.read('counting of room', (reader) => verifyCounting(reader, room.room_num));
  const wrong = faults.missing.length + faults.surplus.length + faults.series.length;
  if (wrong === 0) return;
  report({
    check: 'push-counts',
    roomId: room.room_id,
    sentence: `Unread counts are kept for others than the room's members, or not by where they have come to (${String(wrong)} rows). Some are told of too much or too little.`,
    repair: {
      sentence: 'Members are counted for from their joins on, and what is kept for others is deleted.',
      run: (writable) =>
        repairCounting({ database: writable, strings }, { num: room.room_num, roomId: room.room_id, version: room.room_version }, faults),
    },
  });
};
