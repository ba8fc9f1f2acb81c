import { entryCache } from '#src/platform/cache/index.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { redact } from '#src/protocol/redaction.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import {
  ENTRY_TYPES,
  type EntryState,
  isForStrangers,
  isFound,
  type RoomEntry,
  roomEntry,
  type RoomSearch,
} from '#src/rooms/directory/entry.ts';
import { compareRooms, pageOf } from '#src/rooms/directory/page.ts';
import { joinedCounts, type PublishedRow, publishedRooms } from '#src/rooms/directory/views.ts';
import type { RoomGraph } from '#src/rooms/graph/index.ts';

export interface PublicRoomsQuery extends RoomSearch {
  /** Above 0. */
  readonly limit: number;
  /** The token of an earlier answer. */
  readonly since: string | undefined;
}

/** An answer as the specification has it. */
export interface PublicRoomsAnswer {
  readonly chunk: readonly RoomEntry[];
  readonly next_batch?: string;
  readonly prev_batch?: string;
  readonly total_room_count_estimate: number;
}

export interface PublicRooms {
  /** The published rooms that strangers can enter or read, the biggest first. Throws `invalidParam` for a bad token. */
  list(query: PublicRoomsQuery): Promise<PublicRoomsAnswer>;
}

/** Of a room in one state: how many were in it, and the events of which its entry is made. */
interface Known {
  readonly root: string;
  readonly joined: number;
  readonly eventNums: readonly number[];
}

const MAX_KNOWN = 10_000;

/** The list of public rooms (client-server API, "Published room directory"). What was found out of a room is kept while its state stays. */
export const createPublicRooms = ({
  database,
  graph,
  config,
}: {
  database: Pick<Database, 'read'>;
  graph: { readonly states: Pick<RoomGraph['states'], 'get'>; readonly events: Pick<RoomGraph['events'], 'byNums'> };
  config: Pick<Config, 'enable_room_list_search'>;
}): PublicRooms => {
  const known = entryCache<number, Known>(MAX_KNOWN);

  const eventNumsOf = async ({ room_num: roomNum, current_root: root }: PublishedRow): Promise<number[]> => {
    const nums = await Promise.all(ENTRY_TYPES.map(async (type) => graph.states.get(roomNum, root, type, '')));
    return nums.filter((num) => num !== undefined);
  };

  /** All published rooms with what is known of each. */
  const read = async (): Promise<[PublishedRow, Known][]> => {
    const { rows, counts } = await database.read('published rooms', async (reader) => {
      const all = await publishedRooms(reader);
      const changed = all.filter((row) => known.get(row.room_num)?.root !== row.current_root).map((row) => row.room_num);
      return { rows: all, counts: changed.length === 0 ? new Map<number, number>() : await joinedCounts(reader, changed) };
    });
    const rooms: [PublishedRow, Known][] = [];
    for (const row of rows) {
      let each = known.get(row.room_num);
      if (each?.root !== row.current_root) {
        each = { root: row.current_root, joined: counts.get(row.room_num) ?? 0, eventNums: await eventNumsOf(row) };
        known.set(row.room_num, each);
      }
      if (each.joined > 0) rooms.push([row, each]);
    }
    return rooms;
  };

  const entries = async (): Promise<RoomEntry[]> => {
    const rooms = await read();
    // The events are looked at each time: a redaction changes what they say, and not the state.
    const events = await graph.events.byNums(rooms.flatMap(([, { eventNums }]) => eventNums));
    return rooms.flatMap(([row, { joined, eventNums }]) => {
      const state: EntryState = new Map(
        eventNums.flatMap((num): [string, JsonObject][] => {
          const event = events.get(num);
          if (event === undefined) return [];
          const pdu = event.redactedBy === undefined ? event.pdu : redact(event.pdu, roomVersion(row.room_version));
          return [[pdu.type, pdu.content]];
        }),
      );
      return isForStrangers(state) ? [roomEntry(row.room_id, joined, state)] : [];
    });
  };

  return {
    list: async ({ limit, since, ...search }) => {
      if (!config.enable_room_list_search) return { chunk: [], total_room_count_estimate: 0 };
      const found = (await entries()).filter((entry) => isFound(entry, search)).sort(compareRooms);
      const { chunk, next, previous } = pageOf(found, since, limit);
      return {
        chunk,
        ...(next !== undefined && { next_batch: next }),
        ...(previous !== undefined && { prev_batch: previous }),
        total_room_count_estimate: found.length,
      };
    },
  };
};
