import type { Clock } from '#src/platform/clock.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import { isJsonObject, type JsonObject } from '#src/protocol/json.ts';
import type { BackOff } from '#src/federation/back-off.ts';
import type { FederationClient } from '#src/federation/client.ts';
import { FederationError } from '#src/federation/faults.ts';
import type { OutboxMetrics } from '#src/federation/outbox/metrics.ts';
import { closeGap, fallBehind, type Queue } from '#src/federation/outbox/queue.ts';
import type { HeldTransaction } from '#src/federation/outbox/transactions.ts';
import { createTurns } from '#src/platform/jobs/turns.ts';

/** Sends servers what they have yet to be sent: to each one transaction at a time. */
export interface Sender {
  /** Sends to a server as soon as it is its turn, unless it has to be left alone. Answers whether it waits for its turn since now. */
  wake(queue: Queue): boolean;
  /** Ends what is under way. */
  stop(): Promise<void>;
}

interface Dependencies {
  readonly client: Pick<FederationClient, 'ask'>;
  readonly backOff: Pick<BackOff, 'trouble' | 'failed'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Pick<OutboxMetrics, 'sent'>;
  readonly next: (queue: Queue) => Promise<HeldTransaction | undefined>;
  readonly hasWork: (queue: Queue) => boolean;
  /** Writes down that a server lacks nothing of these rooms any more. */
  readonly forgetRooms: (queue: Queue, roomNums: readonly number[]) => Promise<void>;
}

/** So many servers that are well are sent to at once, and so many that have yet to show whether they can be reached again: those take long. */
const MOST_AT_ONCE = { well: 200, inTrouble: 50 };
/** A server that is left alone for longer is sent the latest of each room afterwards. */
const LONG_OUTAGE_MS = 60 * 60 * 1000;
/** Failed transactions are kept as they were up to this size, all together; larger ones are made anew. */
const MAX_HELD_LENGTH = 32 * 1024 * 1024;

export const createSender = (dependencies: Dependencies): Sender => {
  const { client, backOff, clock, log, metrics, next, hasWork, forgetRooms } = dependencies;
  const stopping = new AbortController();
  let heldLength = 0;

  const hold = (queue: Queue, transaction: HeldTransaction | undefined): void => {
    heldLength -= queue.held?.text.length ?? 0;
    const fits = transaction !== undefined && heldLength + transaction.text.length <= MAX_HELD_LENGTH;
    queue.held = fits ? transaction : undefined;
    heldLength += queue.held?.text.length ?? 0;
  };

  const takeOff = async (queue: Queue, transaction: HeldTransaction): Promise<void> => {
    const [first] = transaction.events;
    // It may have fallen behind meanwhile, with these events among those that it is thought to lack.
    if (first !== undefined && queue.events[0] === first) queue.events.splice(0, transaction.events.length);
    for (const [roomNum, position] of transaction.caughtUp) closeGap(queue, roomNum, position);
    const isThrough = queue.events.length === 0;
    const done = [...queue.noted].filter((roomNum) => !queue.gaps.has(roomNum) && (isThrough || transaction.caughtUp.has(roomNum)));
    if (done.length > 0) await forgetRooms(queue, done);
  };

  const delivered = async (queue: Queue, transaction: HeldTransaction, answer: JsonObject): Promise<void> => {
    hold(queue, undefined);
    const positions = [...transaction.events.map(({ position }) => position), ...transaction.caughtUp.values()];
    if (positions.length > 0) queue.lastSentPosition = Math.max(queue.lastSentPosition ?? 0, ...positions);
    queue.lastError = undefined;
    queue.isDirty = true;
    metrics.sent(transaction.edus.map(({ type, texts }) => [type, texts.length] as const));
    const results = answer['pdus'];
    for (const [eventId, result] of Object.entries(isJsonObject(results) ? results : {})) {
      if (isJsonObject(result) && typeof result['error'] === 'string')
        log.info({ destination: queue.name, eventId }, `${queue.name} did not take ${eventId}: ${result['error']}`);
    }
    for (const { sent } of transaction.edus) await sent();
    await takeOff(queue, transaction);
  };

  const failed = async (queue: Queue, transaction: HeldTransaction, error: unknown): Promise<void> => {
    const isAnswer = error instanceof FederationError && (error.fault === 'refused' || error.fault === 'nonsense');
    queue.lastError = { text: error instanceof Error ? error.message : String(error), ts: clock.now() };
    queue.isDirty = true;
    log.info({ destination: queue.name, transaction: transaction.id, err: error }, `A transaction did not reach ${queue.name}`);
    const trouble = backOff.trouble(queue.name);
    if (isAnswer && trouble === undefined) {
      // What it will not take as it is, it will not take later either: its events are given up, and it is asked less often.
      hold(queue, undefined);
      await takeOff(queue, transaction);
      backOff.failed(queue.name);
      return;
    }
    if (trouble === undefined) backOff.failed(queue.name);
    if (trouble !== undefined && trouble.retryAtTs - trouble.lastTriedTs > LONG_OUTAGE_MS) {
      hold(queue, undefined);
      fallBehind(queue);
    } else {
      hold(queue, transaction);
    }
  };

  const send = async (queue: Queue, transaction: HeldTransaction): Promise<void> => {
    if (transaction.isEmpty) return takeOff(queue, transaction);
    const isWell = backOff.trouble(queue.name) === undefined;
    let answer: JsonObject;
    try {
      answer = await client.ask(queue.name, {
        method: 'PUT',
        path: `/_matrix/federation/v1/send/${encodeURIComponent(transaction.id)}`,
        contentText: transaction.text,
        retries: isWell ? 'short' : 'none',
        failsOnNotFound: true,
        signal: stopping.signal,
      });
    } catch (error) {
      if (!stopping.signal.aborted) await failed(queue, transaction, error);
      return;
    }
    await delivered(queue, transaction, answer);
  };

  /** One transaction; a server that has more to get waits for its next turn. */
  const turn = async (queue: Queue): Promise<void> => {
    queue.isSending = true;
    try {
      const transaction = queue.held ?? (await next(queue));
      if (transaction !== undefined) await send(queue, transaction);
    } catch (error) {
      if (!stopping.signal.aborted) {
        log.error({ err: error, destination: queue.name }, 'A transaction could not be made, or not be written off; it is tried again');
        backOff.failed(queue.name);
      }
    } finally {
      queue.isSending = false;
      // In the next round of the loop, when its turn is over.
      setImmediate(() => wake(queue));
    }
  };
  const well = createTurns(MOST_AT_ONCE.well, turn);
  const inTrouble = createTurns(MOST_AT_ONCE.inTrouble, turn);

  const wake = (queue: Queue): boolean => {
    if (stopping.signal.aborted || queue.isSending || !hasWork(queue)) return false;
    const trouble = backOff.trouble(queue.name);
    if (trouble === undefined) return well.take(queue);
    if (trouble.retryAtTs - trouble.lastTriedTs > LONG_OUTAGE_MS && queue.gaps.size === 0) {
      hold(queue, undefined);
      fallBehind(queue);
    }
    return trouble.retryAtTs <= clock.now() && inTrouble.take(queue);
  };

  return {
    wake,
    stop: async () => {
      stopping.abort();
      await Promise.all([well.stop(), inTrouble.stop()]);
    },
  };
};
