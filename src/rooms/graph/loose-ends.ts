import { MatrixError } from '#src/protocol/errors.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Jobs } from '#src/platform/jobs/index.ts';
import { DUMMY_EVENT, type RoomEvent, type RoomInfo } from '#src/rooms/graph/events.ts';
import type { RoomGraph } from '#src/rooms/graph/index.ts';
import { localMembers, roomsWithManyEnds } from '#src/rooms/graph/read-store.ts';

const INTERVAL_MS = 5 * 60 * 1000;
/** Rooms that are tidied in one round, those with the most ends first. */
const ROOMS = 5;
/** So many of this server's users are tried in a room. */
const MAX_SENDERS = 100;
/** A room in which none of our users may send is left alone for so long. */
const LEFT_ALONE_MS = 7 * 24 * 60 * 60 * 1000;

export interface LooseEndsTools {
  readonly graph: Pick<RoomGraph, 'rooms' | 'write'>;
  readonly database: Pick<Database, 'read'>;
  readonly strings: Pick<Strings, 'textOf'>;
  readonly clock: Clock;
  /** With more forward extremities than this a room is tidied (`dummy_events_threshold`). */
  readonly threshold: number;
}

/**
 * Ties loose ends of rooms together with a dummy event, which clients never see: otherwise every event in a room with many of them resolves the states of
 * all, and other servers do the same. Answers a round of it, with the events that it sent.
 */
export const createLooseEnds = ({ graph, database, strings, clock, threshold }: LooseEndsTools): (() => Promise<RoomEvent[]>) => {
  const leftAlone = new Map<number, number>();

  const tie = async (room: RoomInfo): Promise<RoomEvent | undefined> => {
    const nums = await database.read('local members', async (reader) => localMembers(reader, room.num, MAX_SENDERS));
    const userIds = await strings.textOf(nums);
    return graph.write(room, async (draft) => {
      for (const num of nums) {
        try {
          return await draft.append({ sender: userIds.get(num) as string, type: DUMMY_EVENT, content: {} });
        } catch (error) {
          if (!(error instanceof MatrixError)) throw error;
        }
      }
      return undefined;
    });
  };

  return async () => {
    const now = clock.now();
    for (const [roomNum, since] of leftAlone) if (since < now - LEFT_ALONE_MS) leftAlone.delete(roomNum);
    const nums = await database.read('rooms with many ends', async (reader) =>
      roomsWithManyEnds(reader, threshold, [...leftAlone.keys()], ROOMS),
    );
    const sent: RoomEvent[] = [];
    for (const room of (await graph.rooms(nums)).values()) {
      const event = await tie(room);
      if (event === undefined) leftAlone.set(room.num, now);
      else sent.push(event);
    }
    return sent;
  };
};

/** Looks for loose ends every five minutes. */
export const scheduleLooseEnds = (jobs: Jobs, tools: LooseEndsTools): void => {
  const tieLooseEnds = createLooseEnds(tools);
  jobs.every('tie loose ends of rooms', INTERVAL_MS, async () => void (await tieLooseEnds()));
};
