import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from './client.ts';
import * as phases from './phases.ts';
import type { Postgres } from './postgres.ts';
import { residentMib } from './processes.ts';
import type { Server } from './server.ts';
import type { Figures, Run } from './statistics.ts';

/** In this order; `bytes` needs the sends. */
export const PHASES = ['start', 'rooms', 'one-by-one', 'twenty-rooms', 'one-room', 'bytes', 'delivery', 'first-sync'] as const;
export type PhaseName = (typeof PHASES)[number];

const SENDS: readonly PhaseName[] = ['one-by-one', 'twenty-rooms', 'one-room'];

/** One run of one server on an empty database, through the phases that are wanted. */
export const runOnce = async (
  server: Server,
  postgres: Postgres | undefined,
  size: phases.Size,
  wanted: ReadonlySet<PhaseName>,
): Promise<Run> => {
  const run: Record<string, Figures> = {};
  const client = createClient(server.origin);
  const bench = (): phases.Bench => ({ client, serverPid: server.pid, postgresPid: postgres?.pid, size });
  try {
    const firstMs = await server.start();
    if (wanted.has('start')) {
      await server.stop();
      const againMs = await server.start();
      await sleep(size.idleMs);
      run['start'] = { errors: 0, firstMs, againMs, idleMib: residentMib(server.pid) };
    }
    const users = await phases.registerUsers(bench());
    if (wanted.has('rooms')) run['rooms'] = await phases.createRooms(bench(), users);

    if (SENDS.some((name) => wanted.has(name))) {
      const rooms = await phases.prepareSends(bench(), users);
      // The database is measured while the server is stopped, when all that it wrote is in one file.
      const restart = async (): Promise<number> => {
        await server.stop();
        const bytes = await server.databaseBytes();
        await server.start();
        return bytes;
      };
      const bytesBefore = wanted.has('bytes') ? await restart() : 0;
      if (wanted.has('one-by-one')) run['one-by-one'] = await phases.sendOneByOne(bench(), users, rooms);
      if (wanted.has('twenty-rooms')) run['twenty-rooms'] = await phases.sendInTwentyRooms(bench(), users, rooms);
      if (wanted.has('one-room')) run['one-room'] = await phases.sendInOneRoom(bench(), users, rooms);
      if (wanted.has('bytes')) {
        const warmUp = wanted.has('one-by-one') ? phases.WARM_UP_SENDS : 0;
        const messages = SENDS.reduce((sum, name) => sum + (run[name]?.['ops'] ?? 0), warmUp);
        run['bytes'] = { errors: 0, messages, perMessage: ((await restart()) - bytesBefore) / messages };
      }
    }
    if (wanted.has('delivery')) run['delivery'] = await phases.deliver(bench(), users);
    if (wanted.has('first-sync')) run['first-sync'] = await phases.firstSync(bench(), users);
  } finally {
    await client.close();
    await server.stop();
  }
  return run;
};
