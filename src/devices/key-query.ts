import type { Requester } from '#src/accounts/index.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { readSignaturesBy, type Usage } from '#src/devices/cross-signing/store.ts';
import { createSortUsers, objectText } from '#src/devices/own-users.ts';
import { withSignatures, type PublishedKeys, type UserKeys } from '#src/devices/published-keys.ts';
import type { RemoteKeys } from '#src/devices/remote-keys.ts';

/**
 * What devices say of themselves, of each user those that are named or all where none is; cross-signing keys; and the servers that could not
 * be asked within so many milliseconds. Answers the JSON text.
 */
export type QueryKeys = (
  requester: Pick<Requester, 'userNum'>,
  wanted: Readonly<Record<string, readonly string[]>>,
  timeoutMs: number,
) => Promise<string>;

const NO_OTHERS: Awaited<ReturnType<RemoteKeys['query']>> = { kept: new Map(), told: new Map(), failures: {} };

const devicesText = (keys: UserKeys | undefined, named: readonly string[] | undefined): string => {
  if (keys === undefined) return '{}';
  if (named === undefined || named.length === 0) return objectText(keys.devices);
  return objectText([...keys.devices].filter(([deviceId]) => named.includes(deviceId)));
};

/** Looking up keys (client-server API, `POST /keys/query`). */
export const createQueryKeys = ({
  database,
  strings,
  serverName,
  published,
  remote,
}: {
  database: Database;
  strings: Strings;
  serverName: string;
  published: PublishedKeys;
  remote: Pick<RemoteKeys, 'query'>;
}): QueryKeys => {
  const sort = createSortUsers({ strings, serverName });
  return async (requester, wanted, timeoutMs) => {
    const { ownIds, own: here, others } = await sort(Object.keys(wanted));
    const { kept, told, failures } =
      others.length === 0 ? NO_OTHERS : await remote.query(new Map(others.map((userId) => [userId, wanted[userId] ?? []])), timeoutMs);
    const own = new Map([...here, ...kept]);
    const keys = await published.of([...own.values()]);
    // Whom the requester has signed is shown to the requester alone.
    const signing = [...own.values()].filter((userNum) => keys.get(userNum)?.crossSigning.master !== undefined);
    const made =
      signing.length === 0 ? [] : await database.read('own signatures', (reader) => readSignaturesBy(reader, requester.userNum, signing));
    const signerId = made.length === 0 ? '' : ((await strings.textOf([requester.userNum])).get(requester.userNum) ?? '');
    const signatures = Map.groupBy(made, (row) => row.target_num);

    const textOf = (userNum: number, usage: Usage): string | undefined => {
      const key = keys.get(userNum)?.crossSigning[usage];
      const added = (signatures.get(userNum) ?? []).filter((row) => row.target_key === key?.publicKey);
      if (key === undefined || added.length === 0) return key?.json;
      return JSON.stringify(withSignatures(JSON.parse(key.json) as JsonObject, signerId, added));
    };
    const usageText = (usage: Usage): string =>
      objectText([
        ...[...told].flatMap(([userId, { crossSigning }]) => {
          const text = crossSigning[usage]?.json;
          return text === undefined ? [] : [[userId, text] as const];
        }),
        ...[...own].flatMap(([userId, userNum]) => {
          const text = usage === 'user_signing' && userNum !== requester.userNum ? undefined : textOf(userNum, usage);
          return text === undefined ? [] : [[userId, text] as const];
        }),
      ]);
    const devices = [...ownIds, ...kept.keys()].map(
      (userId) => [userId, devicesText(keys.get(own.get(userId) ?? 0), wanted[userId])] as const,
    );
    return objectText([
      [
        'device_keys',
        objectText([...devices, ...[...told].map(([userId, keysOf]) => [userId, devicesText(keysOf, wanted[userId])] as const)]),
      ],
      ['failures', JSON.stringify(failures)],
      ['master_keys', usageText('master')],
      ['self_signing_keys', usageText('self_signing')],
      ['user_signing_keys', usageText('user_signing')],
    ]);
  };
};
