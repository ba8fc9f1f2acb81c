import type { Database } from '#src/platform/database/types.ts';
import type { StrippedEvent } from '#src/protocol/stripped-state.ts';
import type { RoomEvent } from '#src/rooms/graph/index.ts';
import { readOutsideState } from '#src/federation/membership/store.ts';

/** What another server has told of a room with this invite or knock; nothing where something else has become of the user since. */
export const createOutsideState =
  (database: Pick<Database, 'read'>) =>
  async ({ num, roomNum, stateKeyNum: userNum }: RoomEvent): Promise<readonly StrippedEvent[]> => {
    if (userNum === undefined) return [];
    const row = await database.read('outside state', (reader) => readOutsideState(reader, roomNum, userNum));
    return row?.event_num === num ? (JSON.parse(row.state) as StrippedEvent[]) : [];
  };
