import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from './client.ts';
import { profileProcess } from './inspector.ts';
import { coldSize, type Bench, type Size } from './load.ts';
import { LOADS, PHASE, type LoadName } from './phases.ts';
import type { Postgres } from './postgres.ts';
import { residentMib } from './processes.ts';
import { seed, type World } from './seed.ts';
import type { Server } from './server.ts';
import type { Figures, Run } from './statistics.ts';

export type ColdName = `cold-${LoadName}`;
export const coldName = (name: LoadName): ColdName => `cold-${name}`;

/** `bytes` needs the sends. */
export const PHASES = ['start', 'bytes', ...LOADS, ...LOADS.map(coldName)] as const;
export type PhaseName = (typeof PHASES)[number];

const SENDS: ReadonlySet<LoadName> = new Set(['one-by-one', 'twenty-rooms', 'one-room']);

/** What a seed made, and how long the first start took. */
export interface Seeded {
  readonly firstMs: number;
  readonly world: World;
}

/** Starts a server on an empty database and makes what all its runs find. */
export const runSeed = async (server: Server, size: Size): Promise<Seeded> => {
  const firstMs = await server.start();
  const client = createClient(server.origin);
  try {
    const world = await seed(client, size);
    await server.stop();
    await server.databaseBytes(); // leaves all of SQLite's database in the one file that is copied
    return { firstMs, world };
  } finally {
    await client.close();
    await server.stop();
  }
};

/** One run of one server on its copy of the seed, through the phases that are wanted. */
export const runOnce = async (
  server: Server,
  postgres: Postgres | undefined,
  size: Size,
  { world, firstMs }: Seeded,
  wanted: ReadonlySet<PhaseName>,
): Promise<Run> => {
  const run: Record<string, Figures> = {};
  const measure = async (name: LoadName, ofSize: Size, phase: PhaseName = name): Promise<Figures> => {
    const client = createClient(server.origin);
    const profile =
      server.inspectPort === undefined ? undefined : profileProcess(server.inspectPort, join(server.data, `${phase}.cpuprofile`));
    const bench: Bench = { client, serverPid: server.pid, postgresPid: postgres?.pid, size: ofSize, world, profile };
    try {
      return await PHASE[name](bench);
    } finally {
      await client.close();
    }
  };
  /** The database is measured while the server is stopped, when all that it wrote is in one file. */
  const restart = async (): Promise<number> => {
    await server.stop();
    const bytes = await server.databaseBytes();
    await server.start();
    return bytes;
  };
  try {
    const bytesBefore = await server.databaseBytes();
    const againMs = await server.start();
    if (wanted.has('start')) {
      await sleep(size.idleMs);
      run['start'] = { errors: 0, firstMs, againMs, idleMib: residentMib(server.pid) };
    }
    const warm = LOADS.filter((name) => wanted.has(name));
    const [sends, others] = [warm.filter((name) => SENDS.has(name)), warm.filter((name) => !SENDS.has(name))];
    for (const name of sends) run[name] = await measure(name, size);
    if (sends.length > 0 && wanted.has('bytes')) {
      const messages = sends.reduce((sum, name) => sum + (run[name]?.['ops'] ?? 0), sends.includes('one-by-one') ? size.warmUp : 0);
      run['bytes'] = { errors: 0, messages, perMessage: ((await restart()) - bytesBefore) / messages };
    }
    for (const name of others) run[name] = await measure(name, size);
    for (const name of LOADS) {
      if (!wanted.has(coldName(name))) continue;
      await server.stop();
      await server.start();
      run[coldName(name)] = await measure(name, coldSize(size), coldName(name));
    }
  } finally {
    await server.stop();
  }
  return run;
};
