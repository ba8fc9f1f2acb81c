import type { Client, User } from './client.ts';
import type { Profiling } from './inspector.ts';
import { cpuMs, machineCpuMs, residentMib } from './processes.ts';
import type { World } from './seed.ts';
import { percentile, type Figures } from './statistics.ts';

/** How much each phase does. */
export interface Size {
  /** Rooms of the one who does first syncs. */
  readonly rooms: number;
  /** Members of the large room, and so all users. */
  readonly members: number;
  readonly creations: number;
  readonly sequentialSends: number;
  readonly burstMs: number;
  /** Members of the delivery room who long-poll. */
  readonly syncers: number;
  /** Members of the large room who long-poll. */
  readonly largeSyncers: number;
  readonly deliveries: number;
  readonly firstSyncs: number;
  /** Users whose keys are asked for at once, and how often. */
  readonly keyUsers: number;
  readonly keyCalls: number;
  /** Calls of each kind that are made before the first that is measured; none just after a start. */
  readonly warmUp: number;
  /** How long the server is left alone before its idle memory is read. */
  readonly idleMs: number;
}

export const FULL: Size = {
  rooms: 200,
  members: 1000,
  creations: 40,
  sequentialSends: 300,
  burstMs: 6000,
  syncers: 200,
  largeSyncers: 50,
  deliveries: 15,
  firstSyncs: 5,
  keyUsers: 200,
  keyCalls: 20,
  warmUp: 10,
  idleMs: 3000,
};
export const QUICK: Size = {
  rooms: 40,
  members: 120,
  creations: 10,
  sequentialSends: 100,
  burstMs: 2000,
  syncers: 40,
  largeSyncers: 20,
  deliveries: 6,
  firstSyncs: 3,
  keyUsers: 40,
  keyCalls: 10,
  warmUp: 5,
  idleMs: 1500,
};

/** What is measured of a server that has just been started: its first requests. */
export const coldSize = (size: Size): Size => ({
  ...size,
  creations: Math.ceil(size.creations / 4),
  sequentialSends: Math.ceil(size.sequentialSends / 4),
  burstMs: size.burstMs / 3,
  deliveries: Math.ceil(size.deliveries / 3),
  firstSyncs: 1,
  keyCalls: Math.ceil(size.keyCalls / 4),
  warmUp: 0,
});

/** What the phases work with: a running server, its client, whose CPU counts, and who and what is there. */
export interface Bench {
  readonly client: Client;
  readonly serverPid: number;
  readonly postgresPid: number | undefined;
  readonly size: Size;
  readonly world: World;
  /** Profiles what is measured. */
  readonly profile: Profiling | undefined;
}

interface Load {
  readonly workers: number;
  /** The load ends at the first of the two. */
  readonly calls?: number;
  readonly ms?: number;
}

/** Closed loop: each worker has at most one call under way. Ends early when the server does nothing but fail. */
export const drive = async (load: Load, call: (index: number, worker: number) => Promise<unknown>): Promise<Figures> => {
  const { workers, calls = Infinity, ms = 300_000 } = load;
  const latencies: number[] = [];
  const failures: Error[] = [];
  const start = performance.now();
  let next = 0;
  await Promise.all(
    Array.from({ length: workers }, async (_, worker) => {
      while (next < calls && performance.now() - start < ms && failures.length < 100) {
        const index = next++;
        const begun = performance.now();
        await call(index, worker).then(
          () => latencies.push(performance.now() - begun),
          (error: Error) => failures.push(error),
        );
      }
    }),
  );
  const [failure] = failures;
  if (failure) console.error(`  ${String(failures.length)} errors, the first: ${failure.message}`);
  return {
    ops: latencies.length,
    errors: failures.length,
    perSecond: latencies.length / ((performance.now() - start) / 1000),
    p50Ms: percentile(latencies, 0.5),
    p95Ms: percentile(latencies, 0.95),
  };
};

/** The same for what nobody measures: it must not fail. */
export const prepare = async (workers: number, calls: number, call: (index: number) => Promise<unknown>): Promise<void> => {
  const { errors } = await drive({ workers, calls }, call);
  if (errors) throw new Error('What the phases need could not be made');
};

/** Runs a phase and adds what it cost: the server's CPU (PostgreSQL's counted in) per operation, its memory, and how many cores others kept busy. */
export const measured = async (bench: Bench, phase: () => Promise<Figures>): Promise<Figures> => {
  const used = (): number => cpuMs(bench.serverPid) + (bench.postgresPid === undefined ? 0 : cpuMs(bench.postgresPid));
  const stopProfile = await bench.profile?.();
  const begun = performance.now();
  const [serverBefore, machineBefore, ownBefore] = [used(), machineCpuMs(), process.cpuUsage()];
  const figures = await phase();
  const server = used() - serverBefore;
  const own = process.cpuUsage(ownBefore);
  const elapsed = performance.now() - begun;
  const others = machineCpuMs() - machineBefore - server - (own.user + own.system) / 1000;
  await stopProfile?.();
  return {
    ...figures,
    cpuMs: server / (figures['ops'] ?? Number.NaN),
    residentMib: residentMib(bench.serverPid),
    otherCores: Math.max(0, others / elapsed),
  };
};

export const someone = (users: readonly User[], index: number): User => {
  const user = users[index % users.length];
  if (!user) throw new Error('There are no users');
  return user;
};
