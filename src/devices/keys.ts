import type { Requester } from '#src/accounts/index.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import { MatrixError, unknown, unknownToken } from '#src/protocol/errors.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import { deleteSignaturesOf } from '#src/devices/cross-signing/store.ts';
import { createClaimKeys, type ClaimKeys } from '#src/devices/key-claim.ts';
import type { KeyMemory } from '#src/devices/key-memory.ts';
import {
  countOneTimeKeys,
  forgetClaimedKeys,
  insertOneTimeKeys,
  putDeviceKeys,
  putFallbackKey,
  readClaimedKeys,
  readDeviceKeys,
  readOneTimeKeys,
} from '#src/devices/key-store.ts';
import type { KeyRow } from '#src/devices/key-store.ts';
import { createQueryKeys, type QueryKeys } from '#src/devices/key-query.ts';
import { deviceKeysText, isSameKey, keyRows } from '#src/devices/key-upload.ts';
import type { KeyUpload } from '#src/devices/key-upload.ts';
import type { Failures, RemoteKeys } from '#src/devices/remote-keys.ts';
import { hasDevice } from '#src/devices/store.ts';

/** Ten times what clients hold ready, of each algorithm. */
const MAX_ONE_TIME_KEYS = 500;

export interface DeviceKeys {
  /** Stores keys of the requester's device; answers how many one-time keys it has, by algorithm. Throws `M_BAD_JSON` and the like. */
  readonly upload: (requester: Requester, body: KeyUpload) => Promise<Readonly<Record<string, number>>>;
  readonly query: QueryKeys;
  readonly claim: ClaimKeys;
  /** From now on other servers are asked for the keys of their users in this way. */
  readonly askOthersBy: (remote: RemoteKeys) => void;
}

const unreachable = (userIds: Iterable<string>): Failures =>
  Object.fromEntries(
    [...userIds].map((userId) => [domainOf(userId) ?? '', { status: 503, message: 'This server does not reach other servers' }]),
  );

/** As long as nobody asks other servers. */
const NOBODY: RemoteKeys = {
  query: (wanted) => Promise.resolve({ kept: new Map(), told: new Map(), failures: unreachable(wanted.keys()) }),
  claim: (wanted) => Promise.resolve({ keys: new Map(), failures: unreachable(wanted.keys()) }),
};

/** Stores what a device says of itself; what was signed of what it said before is forgotten. */
const replaceDeviceKeys = async (tx: Transaction, userNum: number, deviceId: string, text: string): Promise<boolean> => {
  const before = await readDeviceKeys(tx, userNum, deviceId);
  if (before === text) return false;
  await putDeviceKeys(tx, userNum, deviceId, text);
  if (before !== undefined && !isSameKey(before, text)) await deleteSignaturesOf(tx, userNum, deviceId);
  return true;
};

/** Adds keys that are new. One that was handed out since it was uploaded is not: the client has only not seen the answer. */
const addOneTimeKeys = async (tx: Transaction, userNum: number, deviceId: string, keys: readonly KeyRow[]): Promise<void> => {
  const nameOf = (key: KeyRow): string => `${key.algorithm}:${key.key_id}`;
  const ids = keys.map((key) => key.key_id);
  const known = new Map((await readOneTimeKeys(tx, userNum, deviceId, ids)).map((key) => [nameOf(key), key.json]));
  const claimed = await readClaimedKeys(tx, userNum, deviceId);
  const isClaimed = (key: KeyRow): boolean => claimed.some((each) => nameOf(each) === nameOf(key) && isSameKey(each.json, key.json));
  const added = keys.filter((key) => !known.has(nameOf(key)) && !isClaimed(key));
  const changed = keys.find((key) => !isSameKey(known.get(nameOf(key)) ?? key.json, key.json));
  if (changed !== undefined) throw unknown(`One time key ${nameOf(changed)} already exists, and is another`);
  const counts = await countOneTimeKeys(tx, userNum, deviceId);
  for (const [algorithm, { length }] of Map.groupBy(added, (key) => key.algorithm)) {
    if ((counts[algorithm] ?? 0) + length <= MAX_ONE_TIME_KEYS) continue;
    throw new MatrixError(400, 'M_TOO_LARGE', `A device cannot have more than ${String(MAX_ONE_TIME_KEYS)} one-time keys of an algorithm`);
  }
  await insertOneTimeKeys(tx, { user_num: userNum, device_id: deviceId }, added);
  // Whoever uploads others has had the answer to the upload before.
  const old = claimed.map((each) => each.key_id).filter((keyId) => !ids.includes(keyId));
  if (old.length > 0) await forgetClaimedKeys(tx, userNum, deviceId, old);
};

/** The keys of devices (client-server API, "Key management API"). */
export const createDeviceKeys = ({
  database,
  strings,
  serverName,
  memory,
}: {
  database: Database;
  strings: Strings;
  serverName: string;
  memory: KeyMemory;
}): DeviceKeys => {
  const { remaining, published } = memory;
  let others = NOBODY;
  const remote: RemoteKeys = {
    query: (...asked) => others.query(...asked),
    claim: (...asked) => others.claim(...asked),
  };
  return {
    upload: async ({ userId, userNum, deviceId }, body) => {
      if (deviceId === undefined) throw unknown('To upload keys, you must pass device_id when authenticating');
      const deviceText = body.device_keys ? deviceKeysText(body.device_keys, { userId, deviceId }) : undefined;
      const oneTimeKeys = keyRows(body.one_time_keys ?? {}, 'one_time_keys');
      const fallbackKeys = keyRows(body.fallback_keys ?? {}, 'fallback_keys');
      if (deviceText !== undefined || oneTimeKeys.length + fallbackKeys.length > 0) {
        await database.write('upload keys', async (tx) => {
          // Keys that outlived their device would come back with the next of that name.
          if (!(await hasDevice(tx, userNum, deviceId))) throw unknownToken('Unrecognised access token', { soft_logout: false });
          if (deviceText !== undefined && (await replaceDeviceKeys(tx, userNum, deviceId, deviceText)))
            await memory.listChanged(tx, userNum, [deviceId]);
          if (oneTimeKeys.length > 0) await addOneTimeKeys(tx, userNum, deviceId, oneTimeKeys);
          for (const key of fallbackKeys) await putFallbackKey(tx, userNum, deviceId, key);
          tx.onCommit(() => remaining.forget(userNum, [deviceId]));
        });
      }
      return (await remaining.of(userNum, deviceId)).oneTimeKeys;
    },
    query: createQueryKeys({ database, strings, serverName, published, remote }),
    claim: createClaimKeys({ database, strings, serverName, remaining, remote }),
    askOthersBy: (by) => {
      others = by;
    },
  };
};
