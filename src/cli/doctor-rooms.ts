import { UsageError, type Io } from '#src/cli/io.ts';
import { systemClock } from '#src/platform/clock.ts';
import { type Config, readSigningKeys } from '#src/platform/config/index.ts';
import { openDatabase } from '#src/platform/database/index.ts';
import { openReadOnly, type ReadOnlyDatabase } from '#src/platform/database/read-only.ts';
import type { Database } from '#src/platform/database/types.ts';
import { silentLogger } from '#src/platform/logging/index.ts';
import { signingKeyFromSeed } from '#src/protocol/signatures.ts';
import { createDoctor, type Finding, type Progress } from '#src/doctor/index.ts';

/** What a script may tell apart: 0 is sound, 1 could not be looked at, and this is damage. */
export const DAMAGED = 3;

const PROGRESS_EVERY_MS = 5000;

export interface RoomsRequest {
  /** Only these rooms; all, and what belongs to none, when undefined. */
  readonly roomIds: readonly string[] | undefined;
  readonly asJson: boolean;
  /** `dry-run` says of each thing what a repair would do. */
  readonly mode: 'look' | 'dry-run' | 'repair';
}

/** What the operator can do about damage that cannot be computed away, by the first check that it failed. */
const ADVICE: readonly (readonly [checks: readonly string[], advice: string])[] = [
  [
    ['event-text', 'event-id', 'event-room', 'content-hash', 'prev-events', 'auth-events'],
    'Events that are changed or lost are nowhere else in the database: take their rooms from a backup, or let their members move to new rooms.',
  ],
  [['signature'], 'If the signing key was replaced, put the old one back. Members of this server see these events all the same.'],
  [['auth-decision'], 'What the rules refuse was let in, or the reverse: members may see what others do not. A new room is free of it.'],
  [
    ['state', 'state-nodes', 'current-state', 'memberships'],
    'The state of these rooms cannot be read as a whole: take the rooms from a backup, or let their members move to new rooms.',
  ],
  [['room-version'], "The room's create event says which version it has: correct the column room_version of the table rooms by it."],
];

const describe = ({ roomId, eventId, sentence }: Finding, word = 'DAMAGE'): string => {
  const where = [roomId, eventId].filter((part) => part !== undefined).join(', event ');
  return `${word} ${where === '' ? '' : `${where}: `}${sentence}`;
};

/** Says now and then how far it has come, where it does not disturb what a program reads. */
const progressTo = (io: Io): ((progress: Progress) => void) => {
  let said = systemClock.monotonic();
  return ({ rooms, events }) => {
    const now = systemClock.monotonic();
    if (now - said < PROGRESS_EVERY_MS) return;
    said = now;
    io.complain(`… ${String(rooms)} rooms, ${String(events)} events looked at`);
  };
};

/** What is left, and what can be done about it. */
const conclude = (io: Io, left: readonly Finding[], { mode }: RoomsRequest, repaired: number): void => {
  if (repaired > 0) io.print(`${String(repaired)} ${repaired === 1 ? 'thing was' : 'things were'} put right.`);
  if (left.length === 0) {
    io.print(`ok     Rooms: nothing is wrong${repaired > 0 ? ' any more' : ''}`);
    return;
  }
  const repairable = left.filter(({ repair }) => repair !== undefined).length;
  io.print(
    `${String(left.length)} ${left.length === 1 ? 'thing is' : 'things are'} wrong; rooms that are not named here are sound. Keep a copy of the database as it is.`,
  );
  if (repairable > 0 && mode !== 'repair')
    io.print(
      `${String(repairable)} of them can be put right: stop the server and run this with --repair${mode === 'look' ? ' (--dry-run says how)' : ''}.`,
    );
  const checks = new Set(left.filter(({ repair }) => repair === undefined).map(({ check }) => check));
  for (const [kinds, advice] of ADVICE)
    if (kinds.some((kind) => checks.has(kind))) io.print(`${kinds.filter((kind) => checks.has(kind)).join(', ')}: ${advice}`);
};

const open = async (
  config: Config,
  mode: RoomsRequest['mode'],
): Promise<{ database: ReadOnlyDatabase; writable: Database | undefined }> => {
  const options = { config: config.database, clock: systemClock, logger: silentLogger };
  if (mode !== 'repair') return { database: await openReadOnly(options), writable: undefined };
  // Refused while a server is at work.
  const writable = await openDatabase({ ...options, writer: 'master' });
  return { database: writable, writable };
};

/** Checks rooms in the database that the configuration names, beside a running server or without one. Resolves to the exit code. */
export const checkRooms = async (config: Config, request: RoomsRequest, io: Io): Promise<number> => {
  const { roomIds, asJson, mode } = request;
  const keys = readSigningKeys(config).map(({ keyId, seed }) => signingKeyFromSeed(keyId, Buffer.from(seed)));
  const { database, writable } = await open(config, mode);
  try {
    const doctor = createDoctor({ database, own: { serverName: config.server_name, keys } });
    const left: Finding[] = [];
    let repaired = 0;
    const say = (finding: Finding, isRepaired: boolean): void => {
      const { repair, ...rest } = finding;
      if (asJson) io.print(JSON.stringify({ ...rest, ...(repair !== undefined && { repair: repair.sentence, repaired: isRepaired }) }));
      else {
        io.print(describe(finding, isRepaired ? 'MENDED' : 'DAMAGE'));
        if (repair !== undefined && mode !== 'look')
          io.print(`       ${mode === 'dry-run' ? 'would be repaired: ' : ''}${repair.sentence}`);
      }
    };
    const options = {
      report: (finding: Finding): void => {
        left.push(finding);
        say(finding, false);
      },
      repairIn: writable,
      onRepaired: (finding: Finding): void => {
        repaired += 1;
        say(finding, true);
      },
      onProgress: progressTo(io),
    };
    if (roomIds === undefined) await doctor.all(options);
    for (const roomId of roomIds ?? [])
      if (!(await doctor.room(roomId, options))) throw new UsageError(`this server does not know the room ${roomId}`);
    if (!asJson) conclude(io, left, request, repaired);
    return left.length === 0 ? 0 : DAMAGED;
  } finally {
    await database.close();
  }
};
