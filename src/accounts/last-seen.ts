import type { Clock } from '#src/platform/clock.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { IncomingRequest } from '#src/platform/http/route.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import { entryCache } from '#src/platform/cache/index.ts';
import { deleteOldClientIps, putClientIp, readClientIps } from '#src/accounts/store/client-ips.ts';
import type { ClientIpRow } from '#src/accounts/store/client-ips.ts';
import type { DeviceSeen, Requester } from '#src/accounts/types.ts';

/** A device that was seen this recently at the same address is not written again. */
const GRANULARITY_MS = 120_000;
const FLUSH_AFTER_MS = 5_000;
const MAX_REMEMBERED = 50_000;
const MAX_USER_AGENT_LENGTH = 500;

/** Remembers where and when devices were seen; written in batches, never while a request waits. */
export interface LastSeen {
  readonly note: (requester: Requester, request: IncomingRequest) => void;
  /** Where each of a user's devices was last seen, by device id. */
  readonly devicesOf: (userNum: number) => Promise<ReadonlyMap<string, DeviceSeen>>;
  /** All addresses from which a user was seen, each with the last time. */
  readonly placesOf: (userNum: number) => Promise<readonly DeviceSeen[]>;
  /** Writes what was noted. */
  readonly flush: () => Promise<void>;
  /** Deletes what is older than `user_ips_max_age`. */
  readonly sweep: () => Promise<void>;
  /** Writes what was noted, and no longer after a while. */
  readonly close: () => Promise<void>;
}

/** Where and when devices are seen, kept for device lists and administrators. */
export const createLastSeen = ({
  database,
  clock,
  config,
  log,
}: {
  database: Database;
  clock: Clock;
  config: Pick<Config, 'user_ips_max_age'>;
  log: Logger;
}): LastSeen => {
  const written = entryCache<string, number>(MAX_REMEMBERED);
  let noted = new Map<string, ClientIpRow>();
  let timer: NodeJS.Timeout | undefined;

  const flush = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    if (noted.size === 0) return;
    const rows = [...noted.values()];
    noted = new Map();
    await database.write('last seen', (tx) => {
      for (const row of rows) putClientIp(tx, row);
      return Promise.resolve();
    });
  };

  /** What is written, and behind it what is not yet. */
  const rowsOf = async (userNum: number): Promise<ClientIpRow[]> => {
    const unwritten = [...noted.values()].filter((row) => row.user_num === userNum);
    const rows = await database.read('where devices were seen', (reader) => readClientIps(reader, userNum));
    return [...rows, ...unwritten];
  };

  return {
    note: ({ userNum, deviceId = '' }, { ip, headers }) => {
      const nowMs = clock.now();
      const key = `${String(userNum)} ${ip} ${deviceId}`;
      if (nowMs - (written.get(key) ?? -Infinity) < GRANULARITY_MS) return;
      written.set(key, nowMs);
      const userAgent = String(headers['user-agent'] ?? '').slice(0, MAX_USER_AGENT_LENGTH);
      noted.set(key, { user_num: userNum, device_id: deviceId, ip, user_agent: userAgent, last_seen_ts: nowMs });
      timer ??= setTimeout(() => {
        flush().catch((error: unknown) => log.warn({ err: error }, 'could not write where devices were last seen'));
      }, FLUSH_AFTER_MS).unref();
    },
    placesOf: async (userNum) => {
      const places = new Map((await rowsOf(userNum)).map((row) => [`${row.device_id} ${row.ip}`, row]));
      return [...places.values()].map((row) => ({ ip: row.ip, ts: row.last_seen_ts, userAgent: row.user_agent }));
    },
    devicesOf: async (userNum) => {
      const seen = new Map<string, DeviceSeen>();
      for (const row of await rowsOf(userNum)) {
        if (row.last_seen_ts < (seen.get(row.device_id)?.ts ?? -Infinity)) continue;
        seen.set(row.device_id, { ip: row.ip, ts: row.last_seen_ts, userAgent: row.user_agent });
      }
      return seen;
    },
    flush,
    sweep: async () => {
      const maxAgeMs = config.user_ips_max_age;
      if (maxAgeMs === undefined) return;
      await database.write('sweep client ips', (tx) => deleteOldClientIps(tx, clock.now() - maxAgeMs));
    },
    close: flush,
  };
};
