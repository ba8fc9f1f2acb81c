import type { Clock } from '#src/platform/clock.ts';
import type { Database, StreamPosition } from '#src/platform/database/types.ts';
import type { Jobs } from '#src/platform/jobs/index.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import type { Metrics } from '#src/platform/metrics/index.ts';
import type { Followers } from '#src/platform/streams/followers.ts';
import { EVENTS_STREAM, type RoomGraph } from '#src/rooms/graph/index.ts';
import type { Hosts } from '#src/federation/rooms/hosts.ts';
import type { Peers } from '#src/federation/service.ts';
import { createAddressees, namesOf } from '#src/federation/outbox/addressees.ts';
import { createDestinations, type Destinations } from '#src/federation/outbox/destinations.ts';
import type { EduSource } from '#src/federation/outbox/edus.ts';
import { createOutboxMetrics } from '#src/federation/outbox/metrics.ts';
import { add, createQueue, noteRoom, type Queue, unnoteRoom, unsettled, type Waiting } from '#src/federation/outbox/queue.ts';
import { createSender } from '#src/federation/outbox/sender.ts';
import { deleteRooms, putDestination, putRoom, readDestinations, readRooms } from '#src/federation/outbox/store.ts';
import { createTransactions } from '#src/federation/outbox/transactions.ts';

/** What other servers are sent. */
export interface Outbox {
  readonly destinations: Destinations;
  /** Follows the streams from now on. */
  follow(followers: Followers): Promise<void>;
  /** Sends no more; what is under way is cut off, and sent again after the next start. */
  stop(): Promise<void>;
}

export interface OutboxTools {
  readonly database: Database;
  readonly clock: Clock;
  readonly jobs: Jobs;
  readonly metrics: Metrics;
  readonly log: (name: string) => Logger;
  readonly graph: RoomGraph;
  readonly hosts: Pick<Hosts, 'at'>;
  readonly peers: Pick<Peers, 'client' | 'backOff' | 'isAllowed'>;
  readonly sources: readonly EduSource[];
  readonly serverName: string;
}

/** An event that has not been sent for so long is noted: before that most servers have it. */
const NOTED_AFTER_MS = 5000;
/** So many servers are woken in a second of those that wait for nothing but that: after a restart, or when they may be tried again. */
const WOKEN_AT_ONCE = 25;
const WAKE_INTERVAL_MS = 1000;
const STORE_INTERVAL_MS = 60_000;
const BATCH = 100;

export const openOutbox = async (tools: OutboxTools): Promise<Outbox> => {
  const { database, clock, jobs, graph, peers, sources, serverName } = tools;
  const metrics = createOutboxMetrics(tools.metrics);
  const addressees = createAddressees({ graph, hosts: tools.hosts, serverName });
  const transactions = createTransactions({ graph, addressees, sources, clock, serverName });
  const queues = new Map<string, Queue>();

  const queueOf = (name: string): Queue => {
    const known = queues.get(name);
    if (known !== undefined) return known;
    const made = createQueue(name);
    queues.set(name, made);
    return made;
  };

  const isSentTo = (name: string): boolean => name !== '' && name !== serverName && peers.isAllowed(name);

  const hasWork = (queue: Queue): boolean =>
    queue.held !== undefined || queue.events.length > 0 || queue.gaps.size > 0 || sources.some((source) => source.isWaiting(queue.name));

  const sender = createSender({
    ...peers,
    clock,
    log: tools.log('federation.sender'),
    metrics,
    next: transactions.next,
    hasWork,
    forgetRooms: async (queue, roomNums) => {
      for (const roomNum of roomNums) queue.noted.delete(roomNum);
      await database.write('outbox caught up', (tx) => deleteRooms(tx, queue.name, roomNums));
    },
  });

  const load = async (): Promise<void> => {
    const stored = await database.read('outbox', async (reader) => ({
      rooms: await readRooms(reader),
      destinations: await readDestinations(reader),
    }));
    for (const row of stored.destinations) {
      const queue = queueOf(row.destination);
      queue.lastSentPosition = row.last_sent_position ?? undefined;
      if (row.last_error !== null) queue.lastError = { text: row.last_error, ts: row.last_error_ts ?? 0 };
      queue.isDirty = false;
    }
    for (const { destination, room_num: roomNum, from_position: from } of stored.rooms) {
      if (!isSentTo(destination)) continue;
      const queue = queueOf(destination);
      queue.gaps.set(roomNum, { from, last: from });
      queue.noted.add(roomNum);
    }
    for (const source of sources) for (const name of source.waiting()) queueOf(name);
  };

  /** Notes the events in (from, to] for the servers that are to have them. A place in a list per event and server, and nothing is written. */
  const note = async (from: number, to: number): Promise<void> => {
    const woken = new Set<Queue>();
    for (const event of await graph.timeline.between(from, to, to - from)) {
      metrics.processed();
      const servers = await addressees.of(event);
      if (servers === undefined) continue;
      const waiting: Waiting = { num: event.num, roomNum: event.roomNum, position: event.position ?? 0, sinceMs: clock.monotonic() };
      let queued = 0;
      for (const name of namesOf(servers)) {
        if (!isSentTo(name)) continue;
        const queue = queueOf(name);
        add(queue, waiting);
        woken.add(queue);
        queued += 1;
      }
      metrics.queued(queued);
    }
    for (const queue of woken) sender.wake(queue);
  };

  /** Notes what servers still lack, and answers up to where nothing is left to be noted. */
  const settle = async (position: StreamPosition): Promise<StreamPosition> => {
    const beforeMs = clock.monotonic() - NOTED_AFTER_MS;
    const notes: { readonly queue: Queue; readonly roomNum: number; readonly from: number }[] = [];
    let done = position.min;
    for (const queue of queues.values()) {
      const found = unsettled(queue, beforeMs);
      if (found.oldest !== undefined) done = Math.min(done, found.oldest - 1);
      for (const each of found.notes) notes.push({ queue, ...each });
    }
    if (notes.length > 0) {
      for (const { queue, roomNum } of notes) noteRoom(queue, roomNum);
      try {
        await database.write('outbox', async (tx) => {
          for (const { queue, roomNum, from } of notes) putRoom(tx, { destination: queue.name, room_num: roomNum, from_position: from });
        });
      } catch (error) {
        for (const { queue, roomNum } of notes) unnoteRoom(queue, roomNum);
        throw error;
      }
    }
    return { min: done, ahead: new Map() };
  };
  let settling: Promise<unknown> = Promise.resolve();
  /** One after another: what one has noted must be durable before the next relies on it. */
  const settled = (position: StreamPosition): Promise<StreamPosition> => {
    const result = settling.then(() => settle(position));
    settling = result.catch(() => undefined);
    return result;
  };

  const wakeSome = (): void => {
    let left = WOKEN_AT_ONCE;
    for (const queue of queues.values()) {
      if (left === 0) return;
      if (queue.isSending || !hasWork(queue)) continue;
      const trouble = peers.backOff.trouble(queue.name);
      if (trouble !== undefined && trouble.retryAtTs > clock.now()) continue;
      if (sender.wake(queue)) left -= 1;
    }
  };

  const store = async (): Promise<void> => {
    const dirty = [...queues.values()].filter(({ isDirty }) => isDirty);
    if (dirty.length === 0) return;
    for (const queue of dirty) queue.isDirty = false;
    await database.write('destinations', async (tx) => {
      for (const { name, lastSentPosition, lastError } of dirty) {
        putDestination(tx, {
          destination: name,
          last_sent_position: lastSentPosition ?? null,
          last_error: lastError?.text ?? null,
          last_error_ts: lastError?.ts ?? null,
        });
      }
    });
  };

  const pending = () => {
    let [destinations, pdus] = [0, 0];
    for (const queue of queues.values()) {
      if (queue.isSending) destinations += 1;
      pdus += queue.events.length + queue.gaps.size;
    }
    return { destinations, pdus, edus: sources.reduce((sum, source) => sum + source.count(), 0) };
  };

  await load();
  const unwatch = metrics.watch(pending);
  const wakeKnown = (name: string): void => {
    const queue = queues.get(name);
    if (queue !== undefined) sender.wake(queue);
  };

  return {
    destinations: createDestinations({ queues, sources, backOff: peers.backOff }),
    follow: async (followers) => {
      await followers.follow({
        name: 'federation outbox',
        stream: EVENTS_STREAM,
        start: 'now',
        batch: BATCH,
        handle: ({ from, to }) => note(from.min, to.min),
        settled,
      });
      for (const source of sources) await source.follow?.(followers);
      peers.backOff.onRecovered(wakeKnown);
      for (const source of sources)
        source.onWaiting((names) => {
          for (const name of names) if (isSentTo(name)) sender.wake(queueOf(name));
        });
      jobs.every('send to other servers', WAKE_INTERVAL_MS, async () => wakeSome());
      jobs.every('store destinations', STORE_INTERVAL_MS, store);
    },
    stop: async () => {
      unwatch();
      await sender.stop();
      await store();
    },
  };
};
