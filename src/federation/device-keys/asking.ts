import type { Failure, RemoteKeys, UserKeys } from '#src/devices/index.ts';
import type { Tracking } from '#src/device-lists/index.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import { MatrixError } from '#src/protocol/errors.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import type { FederationClient } from '#src/federation/client.ts';
import { FederationError } from '#src/federation/faults.ts';
import { claimedFor, keysAmong, wholeList } from '#src/federation/device-keys/answers.ts';

/** So many servers are asked at a time for one client, and each for so many lists. */
const SERVERS_AT_A_TIME = 10;
const LISTS_AT_A_TIME = 10;
/** Of a server with more lists to be fetched they are asked for together, and are not kept. */
const MAX_LISTS = 50;
const MAX_BYTES = 10 * 1024 * 1024;

export interface AskingTools {
  readonly client: Pick<FederationClient, 'ask'>;
  readonly strings: Pick<Strings, 'numsOf'>;
  readonly tracking: Tracking;
  readonly log: Logger;
}

/** Does something for each, so many at a time. */
const each = async <Item>(items: Iterable<Item>, atATime: number, one: (item: Item) => Promise<void>): Promise<void> => {
  const waiting = [...items];
  const work = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await one(item);
  };
  await Promise.all(Array.from({ length: atATime }, work));
};

/** As Synapse says it. */
const failureOf = (error: unknown): Failure => {
  if (error instanceof FederationError) {
    if (error.fault === 'backing-off') return { status: 503, message: 'Not ready for retry' };
    if (error.refusal !== undefined) return { status: error.refusal.status, message: error.refusal.error };
    return { status: 503, message: error.message };
  }
  if (error instanceof MatrixError) return { status: error.status, message: 'Federation Denied' };
  throw error;
};

/**
 * Asks other servers for the keys of their users (server-server API, End-to-End Encryption, Device Management). Lists of users who share rooms with users of this server are
 * kept, since their changes are told, and fetched when they are asked for and are stale.
 */
export const createAskForKeys = ({ client, strings, tracking, log }: AskingTools): RemoteKeys => {
  const fetching = new Map<number, Promise<void>>();

  const fetchList = async (userId: string, userNum: number, timeoutMs: number): Promise<void> => {
    const before = await tracking.lastChange(userNum);
    const path = `/_matrix/federation/v1/user/devices/${encodeURIComponent(userId)}`;
    const answer = await client.ask(domainOf(userId) ?? '', { method: 'GET', path, timeoutMs, maxBytes: MAX_BYTES });
    const list = wholeList(answer, userId);
    if (list === undefined)
      throw new FederationError('nonsense', domainOf(userId) ?? '', `The list of devices of ${userId} is not in order`);
    await tracking.fetched(userNum, list.keys, list.id, before);
  };

  /** Those who ask for the same list at the same time share a request. */
  const fetchOnce = (userId: string, userNum: number, timeoutMs: number): Promise<void> => {
    const known = fetching.get(userNum);
    if (known !== undefined) return known;
    const work = fetchList(userId, userNum, timeoutMs).finally(() => fetching.delete(userNum));
    fetching.set(userNum, work);
    return work;
  };

  /** What a server says of some of its users' keys, which is not kept. */
  const askTogether = async (
    server: string,
    wanted: ReadonlyMap<string, readonly string[]>,
    timeoutMs: number,
  ): Promise<Map<string, UserKeys>> => {
    const answer = await client.ask(server, {
      method: 'POST',
      path: '/_matrix/federation/v1/user/keys/query',
      content: { device_keys: Object.fromEntries(wanted) },
      timeoutMs,
      maxBytes: MAX_BYTES,
    });
    return new Map([...wanted.keys()].map((userId) => [userId, keysAmong(answer, userId)]));
  };

  return {
    query: async (wanted, timeoutMs) => {
      // Of whom nobody here has heard nothing is kept, not even the name.
      const nums = await strings.numsOf([...wanted.keys()]);
      const numOf = (userId: string): number => nums.get(userId) as number;
      const states = await tracking.states([...nums.values()]);
      const stateOf = (userId: string) => states.get(numOf(userId)) ?? 'stranger';
      const kept = new Map<string, number>();
      const told = new Map<string, UserKeys>();
      const failures: Record<string, Failure> = {};
      await tracking.forget([...nums.values()].filter((userNum) => states.get(userNum) === 'stranger'));
      for (const userId of wanted.keys()) if (stateOf(userId) === 'current') kept.set(userId, numOf(userId));
      const servers = Map.groupBy(
        [...wanted].filter(([userId]) => !kept.has(userId)),
        ([userId]) => domainOf(userId) ?? '',
      );
      await each(servers, SERVERS_AT_A_TIME, async ([server, users]) => {
        const stale = users.filter(([userId]) => stateOf(userId) === 'stale');
        const isMany = stale.length > MAX_LISTS;
        const together = users.filter(([userId]) => isMany || stateOf(userId) === 'stranger');
        const fail = (error: unknown): void => {
          failures[server] = failureOf(error);
          log.info(`Keys of users of ${server} could not be had: ${(error as Error).message}`);
        };
        if (!isMany) {
          await each(stale, LISTS_AT_A_TIME, async ([userId]) => {
            // What is known from before is better than nothing: it stands for those of the devices that are still there.
            kept.set(userId, numOf(userId));
            await fetchOnce(userId, numOf(userId), timeoutMs).catch(fail);
          });
        }
        if (together.length === 0) return;
        try {
          for (const [userId, keys] of await askTogether(server, new Map(together), timeoutMs)) told.set(userId, keys);
        } catch (error) {
          fail(error);
        }
      });
      return { kept, told, failures };
    },
    claim: async (wanted, timeoutMs) => {
      const keys = new Map<string, string>();
      const failures: Record<string, Failure> = {};
      const servers = Map.groupBy([...wanted], ([userId]) => domainOf(userId) ?? '');
      await each(servers, SERVERS_AT_A_TIME, async ([server, users]) => {
        try {
          const answer = await client.ask(server, {
            method: 'POST',
            path: '/_matrix/federation/v1/user/keys/claim',
            content: { one_time_keys: Object.fromEntries(users) },
            timeoutMs,
            maxBytes: MAX_BYTES,
          });
          for (const [userId, devices] of users) {
            const text = claimedFor(answer, userId, devices);
            if (text !== undefined) keys.set(userId, text);
          }
        } catch (error) {
          failures[server] = failureOf(error);
        }
      });
      return { keys, failures };
    },
  };
};
