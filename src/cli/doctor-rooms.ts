import { UsageError, type Io } from '#src/cli/io.ts';
import { systemClock } from '#src/platform/clock.ts';
import { type Config, readSigningKeys } from '#src/platform/config/index.ts';
import { openReadOnly } from '#src/platform/database/read-only.ts';
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
}

const describe = ({ roomId, eventId, sentence }: Finding): string => {
  const where = [roomId, eventId].filter((part) => part !== undefined).join(', event ');
  return `DAMAGE ${where === '' ? '' : `${where}: `}${sentence}`;
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

const conclude = (io: Io, findings: number): void => {
  if (findings === 0) {
    io.print('ok     Rooms: nothing is wrong');
    return;
  }
  io.print(
    `${String(findings)} ${findings === 1 ? 'thing is' : 'things are'} wrong. Keep a copy of the database as it is, then restore the rooms from a backup; ` +
      'rooms that are not named here are sound.',
  );
};

/** Checks rooms in the database that the configuration names, beside a running server or without one. Resolves to the exit code. */
export const checkRooms = async (config: Config, { roomIds, asJson }: RoomsRequest, io: Io): Promise<number> => {
  const keys = readSigningKeys(config).map(({ keyId, seed }) => signingKeyFromSeed(keyId, Buffer.from(seed)));
  const database = await openReadOnly({ config: config.database, clock: systemClock, logger: silentLogger });
  try {
    const doctor = createDoctor({ database, own: { serverName: config.server_name, keys } });
    let findings = 0;
    const report = (finding: Finding): void => {
      findings += 1;
      io.print(asJson ? JSON.stringify(finding) : describe(finding));
    };
    const options = { report, onProgress: progressTo(io) };
    if (roomIds === undefined) await doctor.all(options);
    for (const roomId of roomIds ?? [])
      if (!(await doctor.room(roomId, options))) throw new UsageError(`this server does not know the room ${roomId}`);
    if (!asJson) conclude(io, findings);
    return findings === 0 ? 0 : DAMAGED;
  } finally {
    await database.close();
  }
};
