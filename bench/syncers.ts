import { setTimeout as sleep } from 'node:timers/promises';
import { drive, measured, someone, type Bench } from './load.ts';
import { sync } from './seed.ts';
import { percentile, type Figures } from './statistics.ts';
import { crowdContent, send } from './talk.ts';

/** One message on its way to all syncers. */
interface Delivery {
  /** Until the sender had the answer. */
  readonly sendMs: number;
  /** Until each syncer who got it had it. */
  readonly arrivalsMs: readonly number[];
}

interface Syncers {
  /** Sends one message and waits until all have it, or for some seconds, and then wait again. */
  deliver(index: number): Promise<Delivery>;
  /** Ends the long polls; answers how many failed. */
  stop(): Promise<number>;
}

const GIVE_UP_MS = 10_000;
/** Until all who have been told something wait again. */
const SETTLE_MS = 300;

/** Lets the first members after the room's maker long-poll from where they stood when the room was made. */
const follow = async (bench: Bench, roomId: string, count: number, members: number): Promise<Syncers> => {
  const { client, world } = bench;
  const arrived = new Map<string, { all: () => void; atMs: number[] }>();
  let stopped = false;
  const poll = async (index: number, since: string, timeoutMs: number): Promise<string> => {
    const answer = await sync(client, someone(world.users, index), since, timeoutMs);
    for (const { content } of answer.rooms?.join?.[roomId]?.timeline.events ?? []) {
      const message = typeof content.body === 'string' ? arrived.get(content.body) : undefined;
      if (message && message.atMs.push(performance.now()) === count) message.all();
    }
    return answer.next_batch;
  };
  const since: string[] = [];
  const caughtUp = await drive({ workers: 4, calls: count }, async (index) => {
    since[index] = await poll(index + 1, world.tokens[index + 1] ?? '', 0);
  });
  if (caughtUp['errors']) throw new Error('Catching up failed');
  const following = Promise.allSettled(
    since.map(async (from, index) => {
      for (let token = from; !stopped;) token = await poll(index + 1, token, 30_000);
    }),
  );
  await sleep(SETTLE_MS);

  return {
    deliver: async (index) => {
      const { body = '', ...content } = crowdContent(world, members, index, `delivery ${String(index)}`) as { body?: string };
      const { promise, resolve } = Promise.withResolvers<void>();
      const message = { all: resolve, atMs: [] as number[] };
      arrived.set(body, message);
      const begun = performance.now();
      await send(bench, 0, roomId, { body, ...content });
      const sendMs = performance.now() - begun;
      await Promise.race([promise, sleep(GIVE_UP_MS, undefined, { ref: false })]);
      await sleep(SETTLE_MS);
      return { sendMs, arrivalsMs: message.atMs.map((at) => at - begun) };
    },
    stop: async () => {
      stopped = true;
      await send(bench, 0, roomId, { body: 'the end' }); // wakes the long polls, which then stop
      return (await following).filter(({ status }) => status === 'rejected').length;
    },
  };
};

/** Sends one message after another, each when all have the one before and wait for more; `latencies` says which times count. */
const deliveries = async (
  bench: Bench,
  roomId: string,
  [count, members]: readonly [number, number],
  latencies: (delivery: Delivery) => readonly number[],
): Promise<Figures> => {
  const syncers = await follow(bench, roomId, count, members);
  const warmUp = Math.min(3, bench.size.warmUp);
  for (let index = 0; index < warmUp; index++) await syncers.deliver(index);
  const ops = bench.size.deliveries;
  const figures = await measured(bench, async () => {
    const all: Delivery[] = [];
    for (let index = 0; index < ops; index++) all.push(await syncers.deliver(warmUp + index));
    const missing = all.reduce((sum, { arrivalsMs }) => sum + count - arrivalsMs.length, 0);
    const ms = all.flatMap(latencies);
    return { ops, errors: missing, p50Ms: percentile(ms, 0.5), p95Ms: percentile(ms, 0.95) };
  });
  return { ...figures, errors: (figures['errors'] ?? 0) + (await syncers.stop()) };
};

/** How long until a message has reached all who long-poll: the latencies are those of single deliveries, the operations are messages. */
export const deliver = (bench: Bench): Promise<Figures> =>
  deliveries(bench, bench.world.delivery, [bench.size.syncers, bench.size.syncers + 1], ({ arrivalsMs }) => arrivalsMs);

/** Sends into the large room while some of its members long-poll: the latencies are those of the sends, the CPU is all until the last has the message. */
export const sendToSyncers = (bench: Bench): Promise<Figures> =>
  deliveries(bench, bench.world.large, [bench.size.largeSyncers, bench.size.members], ({ sendMs }) => [sendMs]);
