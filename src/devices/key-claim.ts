import type { Strings } from '#src/platform/database/strings.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import { invalidParam } from '#src/protocol/errors.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import { takeOneTimeKeys, useFallbackKeys, type OwnedKeyRow } from '#src/devices/key-store.ts';
import { createSortUsers, objectText } from '#src/devices/own-users.ts';
import type { RemainingKeys } from '#src/devices/remaining-keys.ts';
import type { RemoteKeys } from '#src/devices/remote-keys.ts';

/** Each takes queries of its own. */
const MAX_ALGORITHMS = 10;

/**
 * Hands out a key of the wanted algorithm of each device: user id to device id to algorithm. Each one-time key is handed out once, in the order
 * of their upload; where there is none, the fallback key. Other servers are waited for so many milliseconds. Answers the JSON text. Throws `M_INVALID_PARAM` for what is no user id.
 */
export type ClaimKeys = (wanted: Readonly<Record<string, Readonly<Record<string, string>>>>, timeoutMs: number) => Promise<string>;

type Device = Pick<OwnedKeyRow, 'user_num' | 'device_id'>;

const nameOf = (device: Device): string => `${String(device.user_num)} ${device.device_id}`;

/** Takes a key of an algorithm of each device, all with a handful of statements. */
const take = async (tx: Transaction, algorithm: string, devices: readonly Device[]): Promise<OwnedKeyRow[]> => {
  const open = new Set(devices.map(nameOf));
  const found: OwnedKeyRow[] = [];
  for (const from of [takeOneTimeKeys, useFallbackKeys]) {
    const userNums = [...new Set(devices.filter((device) => open.has(nameOf(device))).map((device) => device.user_num))];
    if (userNums.length === 0) break;
    const keys = await from(tx, { userNums, algorithm, wants: (key) => open.has(nameOf(key)) });
    for (const key of keys) open.delete(nameOf(key));
    found.push(...keys);
  }
  return found;
};

const keysText = (keys: readonly OwnedKeyRow[]): string => objectText(keys.map((key) => [`${key.algorithm}:${key.key_id}`, key.json]));

/** Claiming keys (client-server API, `POST /keys/claim`). */
export const createClaimKeys = ({
  database,
  strings,
  serverName,
  remaining,
  remote,
}: {
  database: Database;
  strings: Strings;
  serverName: string;
  remaining: RemainingKeys;
  remote: Pick<RemoteKeys, 'claim'>;
}): ClaimKeys => {
  const sort = createSortUsers({ strings, serverName });
  return async (wanted, timeoutMs) => {
    const invalid = Object.keys(wanted).find((userId) => domainOf(userId) === undefined);
    if (invalid !== undefined) throw invalidParam(`Not a user id: ${invalid.slice(0, 64)}`);
    const { own, others } = await sort(Object.keys(wanted));
    const asking =
      others.length === 0
        ? { keys: new Map<string, string>(), failures: {} }
        : remote.claim(new Map(others.map((userId) => [userId, wanted[userId] ?? {}])), timeoutMs);
    const userIds = new Map([...own].map(([userId, userNum]) => [userNum, userId]));
    const asked = [...own].flatMap(([userId, userNum]) =>
      Object.entries(wanted[userId] ?? {}).map(([deviceId, algorithm]) => ({ user_num: userNum, device_id: deviceId, algorithm })),
    );
    // Not every database could be asked for a null byte.
    const possible = asked.filter(({ algorithm }) => !algorithm.includes('\0'));
    const byAlgorithm = Map.groupBy(possible, ({ algorithm }) => algorithm);
    if (byAlgorithm.size > MAX_ALGORITHMS) throw invalidParam(`More than ${String(MAX_ALGORITHMS)} algorithms`);
    const claimed =
      byAlgorithm.size === 0
        ? []
        : await database.write('claim keys', async (tx) => {
            const found: OwnedKeyRow[] = [];
            for (const [algorithm, devices] of byAlgorithm) found.push(...(await take(tx, algorithm, devices)));
            tx.onCommit(() => {
              for (const key of found) remaining.forget(key.user_num, [key.device_id]);
            });
            return found;
          });
    const users = [...Map.groupBy(claimed, (key) => key.user_num)].map(([userNum, keys]) => {
      const devices = [...Map.groupBy(keys, (key) => key.device_id)].map(([id, ofDevice]) => [id, keysText(ofDevice)] as const);
      return [userIds.get(userNum) ?? '', objectText(devices)] as const;
    });
    const { keys: told, failures } = await asking;
    return objectText([
      ['failures', JSON.stringify(failures)],
      ['one_time_keys', objectText([...users, ...told])],
    ]);
  };
};
