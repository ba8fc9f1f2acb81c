import { isJsonObject, type JsonObject, member } from '#src/protocol/json.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { RoomInfo } from '#src/rooms/graph/index.ts';
import { deleteMember, nameText, putMember } from '#src/push/counts-store.ts';
import { createPlacing } from '#src/push/rooms.ts';
import { createPushRules } from '#src/push/rules.ts';
import { type CountingFaults, rewriteSeries } from '#src/push/verify-store.ts';

const displayNameIn = (json: string): string | undefined => {
  const content = member(JSON.parse(json) as JsonObject, 'content');
  const name = isJsonObject(content) ? member(content, 'displayname') : undefined;
  return typeof name === 'string' && name !== '' ? name : undefined;
};

/** Puts right what `verifyCounting` has found, while no server is at work: by the rules that users have now. */
export const repairCounting = async (
  { database, strings }: { readonly database: Database; readonly strings: Strings },
  room: RoomInfo,
  faults: CountingFaults,
): Promise<void> => {
  const place = createPlacing({ database, rules: createPushRules({ database }) });
  const ids = await strings.textOf(faults.missing.map((row) => row.user_num));
  const members = faults.missing.map((row) => ({
    userNum: row.user_num,
    userId: ids.get(row.user_num) ?? '',
    name: displayNameIn(row.json),
    joined: row.stream_position ?? 0,
  }));
  const placed = await place(room, members);
  await database.write('repair counting', async (tx) => {
    for (const userNum of faults.surplus) await deleteMember(tx, room.num, userNum);
    for (const { userNum, name, joined } of members) {
      const classNum = placed.get(userNum)?.userClass.classNum;
      if (classNum === undefined) continue;
      putMember(tx, { room_num: room.num, user_num: userNum, joined, class_num: classNum, since: joined, name: nameText(name) });
    }
    for (const series of faults.series) await rewriteSeries(tx, room.num, series);
  });
};
