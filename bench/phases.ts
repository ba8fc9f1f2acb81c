import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, User } from './client.ts';
import { cpuMs, machineCpuMs, residentMib } from './processes.ts';
import { percentile, type Figures } from './statistics.ts';

/** How much each phase does. */
export interface Size {
  readonly rooms: number;
  readonly sequentialSends: number;
  readonly burstMs: number;
  readonly syncers: number;
  readonly deliveries: number;
  readonly firstSyncs: number;
  /** How long the server is left alone before its idle memory is read. */
  readonly idleMs: number;
}

export const FULL: Size = { rooms: 100, sequentialSends: 300, burstMs: 10_000, syncers: 200, deliveries: 30, firstSyncs: 5, idleMs: 3000 };
export const QUICK: Size = { rooms: 30, sequentialSends: 100, burstMs: 3000, syncers: 40, deliveries: 10, firstSyncs: 3, idleMs: 1500 };

/** What the phases work with: a running server, its client, and whose CPU counts. */
export interface Bench {
  readonly client: Client;
  readonly serverPid: number;
  readonly postgresPid: number | undefined;
  readonly size: Size;
}

const USERS_AT_LEAST = 60;
/** Sends before the first that is measured, since the server has just been started. */
export const WARM_UP_SENDS = 30;
const BODY = 'The quick brown fox jumps over the lazy dog, and then it goes home to sleep.';
const SYNC_FILTER = encodeURIComponent(JSON.stringify({ room: { timeline: { limit: 20 }, state: { lazy_load_members: true } } }));

interface Load {
  readonly workers: number;
  /** The load ends at the first of the two. */
  readonly calls?: number;
  readonly ms?: number;
}

/** Closed loop: each worker has at most one call under way. Ends early when the server does nothing but fail. */
const drive = async (load: Load, call: (index: number, worker: number) => Promise<unknown>): Promise<Figures> => {
  const { workers, calls = Infinity, ms = 120_000 } = load;
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

/** Runs a phase and adds what it cost: the server's CPU (PostgreSQL's counted in) per operation, its memory, and how many cores others kept busy. */
const measured = async (bench: Bench, phase: () => Promise<Figures>): Promise<Figures> => {
  const used = (): number => cpuMs(bench.serverPid) + (bench.postgresPid === undefined ? 0 : cpuMs(bench.postgresPid));
  const begun = performance.now();
  const [serverBefore, machineBefore, ownBefore] = [used(), machineCpuMs(), process.cpuUsage()];
  const figures = await phase();
  const server = used() - serverBefore;
  const own = process.cpuUsage(ownBefore);
  const others = machineCpuMs() - machineBefore - server - (own.user + own.system) / 1000;
  return {
    ...figures,
    cpuMs: server / (figures['ops'] ?? Number.NaN),
    residentMib: residentMib(bench.serverPid),
    otherCores: Math.max(0, others / (performance.now() - begun)),
  };
};

const createRoom = async ({ client }: Bench, user: User, name: string): Promise<string> => {
  const { room_id } = await client.call<{ room_id: string }>('POST', '/createRoom', user, { preset: 'public_chat', name });
  return room_id;
};

let transaction = 0;
const send = ({ client }: Bench, user: User, roomId: string, body: string): Promise<unknown> =>
  client.call('PUT', `/rooms/${encodeURIComponent(roomId)}/send/m.room.message/bench${String(transaction++)}`, user, {
    msgtype: 'm.text',
    body,
  });

const join = ({ client }: Bench, user: User, roomId: string): Promise<unknown> =>
  client.call('POST', `/join/${encodeURIComponent(roomId)}`, user, {});

/** Makes the people of the later phases; not measured. */
export const registerUsers = async (bench: Bench): Promise<User[]> => {
  const users: User[] = [];
  const calls = Math.max(USERS_AT_LEAST, bench.size.syncers + 1);
  const { errors } = await drive({ workers: 4, calls }, async (index) => users.push(await bench.client.register(`user${String(index)}`)));
  if (errors) throw new Error('Registration failed');
  return users;
};

const someone = (users: readonly User[], index: number): User => {
  const user = users[index % users.length];
  if (!user) throw new Error('There are no users');
  return user;
};

export const createRooms = (bench: Bench, users: readonly User[]): Promise<Figures> =>
  measured(bench, () =>
    drive({ workers: 1, calls: bench.size.rooms }, (index) => createRoom(bench, someone(users, 0), `room ${String(index)}`)),
  );

/** The three sending phases, in rooms made beforehand. */
export const prepareSends = async (bench: Bench, users: readonly User[]): Promise<SendRooms> => {
  const alone = await createRoom(bench, someone(users, 0), 'one after another');
  const twenty: string[] = [];
  for (let index = 0; index < 20; index++) twenty.push(await createRoom(bench, someone(users, index), `busy ${String(index)}`));
  const crowded = await createRoom(bench, someone(users, 0), 'crowded');
  const { errors } = await drive({ workers: 4, calls: 50 }, (index) => join(bench, someone(users, index), crowded));
  if (errors) throw new Error('Joining failed');
  return { alone, twenty, crowded };
};

interface SendRooms {
  readonly alone: string;
  readonly twenty: readonly string[];
  readonly crowded: string;
}

export const sendOneByOne = async (bench: Bench, users: readonly User[], { alone }: SendRooms): Promise<Figures> => {
  const sends = (calls: number): Promise<Figures> => drive({ workers: 1, calls }, () => send(bench, someone(users, 0), alone, BODY));
  await sends(WARM_UP_SENDS);
  return measured(bench, () => sends(bench.size.sequentialSends));
};

export const sendInTwentyRooms = async (bench: Bench, users: readonly User[], { twenty }: SendRooms): Promise<Figures> =>
  measured(bench, () =>
    drive({ workers: 20, ms: bench.size.burstMs }, (_, worker) => send(bench, someone(users, worker), twenty[worker] ?? '', BODY)),
  );

export const sendInOneRoom = async (bench: Bench, users: readonly User[], { crowded }: SendRooms): Promise<Figures> =>
  measured(bench, () => drive({ workers: 50, ms: bench.size.burstMs }, (_, worker) => send(bench, someone(users, worker), crowded, BODY)));

interface SyncAnswer {
  readonly next_batch: string;
  readonly rooms?: { readonly join?: Readonly<Record<string, { readonly timeline: { readonly events: readonly TimelineEvent[] } }>> };
}
interface TimelineEvent {
  readonly content: { readonly body?: unknown };
}

const sync = ({ client }: Bench, user: User, since: string | undefined, timeoutMs: number): Promise<SyncAnswer> =>
  client.call(
    'GET',
    `/sync?filter=${SYNC_FILTER}&set_presence=offline&timeout=${String(timeoutMs)}${since === undefined ? '' : `&since=${encodeURIComponent(since)}`}`,
    user,
  );

/** How long until a message has reached all who long-poll: the latencies are those of single deliveries, the operations are messages. */
export const deliver = async (bench: Bench, users: readonly User[]): Promise<Figures> => {
  const [sender, syncers] = [someone(users, 0), users.slice(1, bench.size.syncers + 1)];
  const roomId = await createRoom(bench, sender, 'delivery');
  const joined = await drive({ workers: 4, calls: syncers.length }, (index) => join(bench, someone(syncers, index), roomId));
  if (joined['errors']) throw new Error('Joining failed');

  const arrived = new Map<string, { all: () => void; atMs: number[] }>();
  let stopped = false;
  const follow = async (user: User, from: string): Promise<void> => {
    for (let since = from; !stopped;) {
      const answer = await sync(bench, user, since, 30_000);
      since = answer.next_batch;
      for (const { content } of answer.rooms?.join?.[roomId]?.timeline.events ?? []) {
        const message = typeof content.body === 'string' ? arrived.get(content.body) : undefined;
        if (message && message.atMs.push(performance.now()) === syncers.length) message.all();
      }
    }
  };
  const starts: string[] = [];
  await drive({ workers: 4, calls: syncers.length }, async (index) => {
    starts[index] = (await sync(bench, someone(syncers, index), undefined, 0)).next_batch;
  });
  const following = Promise.allSettled(syncers.map((user, index) => follow(user, starts[index] ?? '')));
  await sleep(500); // until the long polls stand

  const figures = await measured(bench, async () => {
    const latencies: number[] = [];
    for (let index = 0; index < bench.size.deliveries; index++) {
      const body = `delivery ${String(index)}`;
      const { promise, resolve } = Promise.withResolvers<void>();
      const message = { all: resolve, atMs: [] };
      arrived.set(body, message);
      const begun = performance.now();
      await send(bench, sender, roomId, body);
      await Promise.race([promise, sleep(5000, undefined, { ref: false })]);
      latencies.push(...message.atMs.map((at) => at - begun));
    }
    return {
      ops: bench.size.deliveries,
      errors: bench.size.deliveries * syncers.length - latencies.length,
      p50Ms: percentile(latencies, 0.5),
      p95Ms: percentile(latencies, 0.95),
    };
  });
  stopped = true;
  await send(bench, sender, roomId, 'the end'); // wakes the long polls, which then stop
  const outcomes = await following;
  const failed = outcomes.filter(({ status }) => status === 'rejected').length;
  return { ...figures, errors: (figures['errors'] ?? 0) + failed };
};

/** A first sync of somebody in all the rooms that were created; each asks for another timeline length, so that no cached answer serves. */
export const firstSync = (bench: Bench, users: readonly User[]): Promise<Figures> =>
  measured(bench, () =>
    drive({ workers: 1, calls: bench.size.firstSyncs }, (index) => {
      const filter = encodeURIComponent(JSON.stringify({ room: { timeline: { limit: 20 + index } } }));
      return bench.client.call('GET', `/sync?filter=${filter}&set_presence=offline&timeout=0`, someone(users, 0));
    }),
  );
