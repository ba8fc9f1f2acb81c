import type { ReadOnlyDatabase } from '#src/platform/database/read-only.ts';
import type { Database } from '#src/platform/database/types.ts';
import { createStrings } from '#src/platform/database/strings.ts';
import { createStates } from '#src/rooms/graph/index.ts';
import type { OwnServer } from '#src/doctor/event-check.ts';
import { type Finding, type Report, repairBy } from '#src/doctor/finding.ts';
import { raiseNumbering } from '#src/doctor/repairs.ts';
import { checkRoom } from '#src/doctor/room-check.ts';
import { EVENT_TABLES, ROOM_TABLES } from '#src/doctor/room-tables.ts';
import { numbering, roomById, roomsAfter } from '#src/doctor/views.ts';

export type { OwnServer } from '#src/doctor/event-check.ts';
export type { Finding, Repair } from '#src/doctor/finding.ts';

/** How far a check has come. */
export interface Progress {
  readonly rooms: number;
  readonly events: number;
}

export interface CheckOptions {
  readonly report: Report;
  /** Where what is found is put right, as far as it can be: then only what is left is reported. No server may be at work there. */
  readonly repairIn?: Database | undefined;
  /** Told of each thing that was put right. */
  readonly onRepaired?: Report;
  /** Called after each page of events; throws to end the check. */
  readonly onProgress: (progress: Progress) => void;
}

/** Re-checks what is stored of rooms. Reads in pages and, unless it is told to repair, changes nothing, so it may run beside the server. */
export interface Doctor {
  /** Looks at one room; false when there is none with this id. */
  room(roomId: string, options: CheckOptions): Promise<boolean>;
  /** Looks at all rooms, and at what belongs to none. */
  all(options: CheckOptions): Promise<Progress>;
}

const ROOMS_PAGE = 100;

/** Rows of rooms and of events that do not exist. */
const checkOrphans = async (database: ReadOnlyDatabase, report: Report): Promise<void> => {
  for (const [table, { lost, deleteRows }] of Object.entries(ROOM_TABLES)) {
    for (let after: number | undefined = 0; after !== undefined;) {
      const from: number = after;
      const nums = await database.read('rooms of table', (reader) => lost(reader, from));
      for (const num of nums)
        report({
          check: 'orphans',
          sentence: `The table ${table} has rows of room number ${String(num)}, which does not exist.`,
          repair: repairBy('The rows are deleted.', async (tx) => void (await tx.run(deleteRows(num)))),
        });
      after = nums.at(-1);
    }
  }
  for (const [table, { count, deleteRows }] of Object.entries(EVENT_TABLES)) {
    const lost = (await database.read('events of table', (reader) => reader.one<{ lost: number }>(count)))?.lost ?? 0;
    if (lost === 0) continue;
    report({
      check: 'orphans',
      sentence: `The table ${table} has ${String(lost)} rows of events that do not exist.`,
      repair: repairBy('The rows are deleted.', async (tx) => void (await tx.run(deleteRows))),
    });
  }
};

/** Numbers in use beyond those given out would be given out again. */
const checkNumbering = async (database: ReadOnlyDatabase, report: Report): Promise<void> => {
  for (const { name, used, given } of await database.read('numbering', numbering)) {
    if (used <= given) continue;
    const sentence = `The number ${String(used)} of the sequence ${name} is in use, but only ${String(given)} were given out. New events would get numbers that are taken.`;
    report({ check: 'numbering', sentence, repair: repairBy('New numbers begin above it.', (tx) => raiseNumbering(tx, name, used)) });
  }
};

/** One repair may bring to light what another needs: more rounds than there are kinds that hang on one another. */
const MAX_ROUNDS = 6;

/** Runs a check; with `repairIn` again and again, until nothing is left that can be put right. */
const mending = async ({ report, repairIn, onRepaired }: CheckOptions, check: (report: Report) => Promise<void>): Promise<void> => {
  if (repairIn === undefined) return check(report);
  for (let round = 1; ; round += 1) {
    const found: Finding[] = [];
    await check((finding) => void found.push(finding));
    const repairable = found.filter(({ repair }) => repair !== undefined);
    if (repairable.length === 0 || round === MAX_ROUNDS) {
      for (const finding of found) report(finding);
      return;
    }
    for (const finding of repairable) {
      await finding.repair?.run(repairIn);
      onRepaired?.(finding);
    }
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
      const progress = { rooms: 1, events: 0 };
      await mending(options, (report) => checkRoom(toolsFor({ ...options, report }, progress), room));
      return true;
    },
    all: async (options) => {
      const progress = { rooms: 0, events: 0 };
      for (let after = 0; ;) {
        const rooms = await database.read('rooms', async (reader) => roomsAfter(reader, after, ROOMS_PAGE));
        for (const room of rooms) {
          progress.rooms += 1;
          await mending(options, (report) => checkRoom(toolsFor({ ...options, report }, progress), room));
        }
        if (rooms.length < ROOMS_PAGE) break;
        after = rooms.at(-1)?.room_num ?? after;
      }
      await mending(options, (report) => checkOrphans(database, report));
      await mending(options, (report) => checkNumbering(database, report));
      return progress;
    },
  };
};
