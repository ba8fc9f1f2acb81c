import type { Clock } from '#src/platform/clock.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import type { Random } from '#src/platform/random.ts';
import { deleteUnreachable, putUnreachable, readUnreachable, type UnreachableRow } from '#src/federation/store.ts';

/** How a server that cannot be reached is doing; times in milliseconds since 1970. */
export interface Trouble {
  readonly failingSinceTs: number;
  readonly lastTriedTs: number;
  /** When it may be tried again. */
  readonly retryAtTs: number;
}

/** Leaves servers alone that cannot be reached, longer each time. It outlives restarts. */
export interface BackOff {
  /** What is wrong with a server; `undefined` for one that is well, as far as is known. */
  trouble(serverName: string): Trouble | undefined;
  /** All servers with which something is wrong. */
  inTrouble(): Iterable<string>;
  /** A request found the server well. */
  succeeded(serverName: string): void;
  /** A request failed by the server's fault. */
  failed(serverName: string): void;
  /** The server has made a request of its own: it is worth trying again. */
  heardFrom(serverName: string): void;
  /** Calls when a server that was in trouble is well again. */
  onRecovered(listener: (serverName: string) => void): void;
  /** Resolves when what has been learnt is stored. */
  settled(): Promise<void>;
}

type BackOffConfig = Pick<
  Config['federation'],
  'destination_min_retry_interval' | 'destination_retry_multiplier' | 'destination_max_retry_interval'
>;

/** The next interval is so much longer or shorter by chance, that those who failed together do not try together. */
const JITTER = [0.8, 1.4] as const;

/** `config` is the block `federation` of the configuration. */
export const openBackOff = async ({
  database,
  clock,
  random,
  config,
  log,
}: {
  database: Database;
  clock: Clock;
  random: Random;
  config: BackOffConfig;
  log: Logger;
}): Promise<BackOff> => {
  const {
    destination_min_retry_interval: firstMs,
    destination_retry_multiplier: multiplier,
    destination_max_retry_interval: longestMs,
  } = config;
  const rows = await database.read('unreachable servers', readUnreachable);
  const unreachable = new Map<string, UnreachableRow>(rows.map((row) => [row.server_name, row]));
  const listeners: Array<(serverName: string) => void> = [];
  const writing = new Set<Promise<void>>();

  // Nobody waits for this: what is lost with a crash costs one more try of the server.
  const store = (serverName: string): void => {
    const written = database
      .write('unreachable server', async (tx) => {
        const row = unreachable.get(serverName);
        if (row === undefined) await deleteUnreachable(tx, serverName);
        else putUnreachable(tx, row);
      })
      .catch((error: unknown) =>
        log.warn({ err: error, destination: serverName }, 'It could not be stored whether a server can be reached'),
      )
      .finally(() => writing.delete(written));
    writing.add(written);
  };

  const recovered = (serverName: string): void => {
    if (!unreachable.delete(serverName)) return;
    store(serverName);
    log.info({ destination: serverName }, `${serverName} can be reached again`);
    for (const listener of listeners) listener(serverName);
  };

  return {
    trouble: (serverName) => {
      const row = unreachable.get(serverName);
      if (row === undefined) return undefined;
      const { failing_since_ts: failingSinceTs, last_tried_ts: lastTriedTs, retry_interval_ms: intervalMs } = row;
      return { failingSinceTs, lastTriedTs, retryAtTs: lastTriedTs + intervalMs };
    },
    inTrouble: () => unreachable.keys(),
    succeeded: recovered,
    failed: (serverName) => {
      const nowMs = clock.now();
      const old = unreachable.get(serverName);
      // Requests that were under way together fail together, and count once.
      if (old !== undefined && nowMs < old.last_tried_ts + old.retry_interval_ms) return;
      const spread = JITTER[0] + ((JITTER[1] - JITTER[0]) * random.below(1000)) / 1000;
      const intervalMs =
        old === undefined ? firstMs : Math.min(longestMs, Math.round(Math.max(firstMs, old.retry_interval_ms * multiplier * spread)));
      unreachable.set(serverName, {
        server_name: serverName,
        failing_since_ts: old?.failing_since_ts ?? nowMs,
        last_tried_ts: nowMs,
        retry_interval_ms: intervalMs,
      });
      store(serverName);
      log.info(
        { destination: serverName },
        `${serverName} cannot be reached; it is left alone for ${String(Math.round(intervalMs / 1000))} s`,
      );
    },
    heardFrom: recovered,
    onRecovered: (listener) => void listeners.push(listener),
    settled: async () => {
      await Promise.all(writing);
    },
  };
};
