import type { ReadOnlyDatabase } from '#src/platform/database/read-only.ts';
import { createStrings } from '#src/platform/database/strings.ts';
import { createStates } from '#src/rooms/graph/index.ts';
import type { OwnServer } from '#src/doctor/event-check.ts';
import type { Report } from '#src/doctor/finding.ts';
import { checkRoom } from '#src/doctor/room-check.ts';
import { hasRoom, numbering, ROOM_TABLES, roomById, roomsAfter } from '#src/doctor/views.ts';

export type { OwnServer } from '#src/doctor/event-check.ts';
export type { Finding } from '#src/doctor/finding.ts';

/** How far a check has come. */
export interface Progress {
  readonly rooms: number;
  readonly events: number;
}

export interface CheckOptions {
  readonly report: Report;
  /** Called after each page of events; throws to end the check. */
  readonly onProgress: (progress: Progress) => void;
}

/** Re-checks what is stored of rooms. Reads in pages and changes nothing, so it may run beside the server. */
export interface Doctor {
  /** Looks at one room; false when there is none with this id. */
  room(roomId: string, options: CheckOptions): Promise<boolean>;
  /** Looks at all rooms, and at what belongs to none. */
  all(options: CheckOptions): Promise<Progress>;
}

const ROOMS_PAGE = 100;

/** Rows of rooms that do not exist. */
const checkOrphans = async (database: ReadOnlyDatabase, report: Report): Promise<void> => {
  for (const [table, next] of Object.entries(ROOM_TABLES)) {
    for (let after = 0; ;) {
      const { num, known } = await database.read('rooms of table', async (reader) => {
        const found = (await reader.one<{ room_num: number | null }>(next(after)))?.room_num ?? undefined;
        return { num: found, known: found === undefined || (await hasRoom(reader, found)) };
      });
      if (num === undefined) break;
      if (!known)
        report({ check: 'orphans', sentence: `The table ${table} has rows of room number ${String(num)}, which does not exist.` });
      after = num;
    }
  }
};

/** Numbers in use beyond those given out would be given out again. */
const checkNumbering = async (database: ReadOnlyDatabase, report: Report): Promise<void> => {
  for (const { name, used, given } of await database.read('numbering', numbering)) {
    if (used <= given) continue;
    const sentence = `The number ${String(used)} of the sequence ${name} is in use, but only ${String(given)} were given out. New events would get numbers that are taken.`;
    report({ check: 'numbering', sentence });
  }
};

/** Builds the doctor on a database that is open for reading. */
export const createDoctor = ({ database, own }: { database: ReadOnlyDatabase; own: OwnServer }): Doctor => {
  const strings = createStrings(database);
  const states = createStates(database, strings);
  const toolsFor = ({ report, onProgress }: CheckOptions, progress: { rooms: number; events: number }) => ({
    database,
    strings,
    states,
    own,
    report,
    onProgress: (events: number): void => {
      progress.events += events;
      onProgress(progress);
    },
  });
  return {
    room: async (roomId, options) => {
      const room = await database.read('room by id', async (reader) => roomById(reader, roomId));
      if (room === undefined) return false;
      await checkRoom(toolsFor(options, { rooms: 1, events: 0 }), room);
      return true;
    },
    all: async (options) => {
      const progress = { rooms: 0, events: 0 };
      const tools = toolsFor(options, progress);
      for (let after = 0; ;) {
        const rooms = await database.read('rooms', async (reader) => roomsAfter(reader, after, ROOMS_PAGE));
        for (const room of rooms) {
          progress.rooms += 1;
          await checkRoom(tools, room);
        }
        if (rooms.length < ROOMS_PAGE) break;
        after = rooms.at(-1)?.room_num ?? after;
      }
      await checkOrphans(database, options.report);
      await checkNumbering(database, options.report);
      return progress;
    },
  };
};
