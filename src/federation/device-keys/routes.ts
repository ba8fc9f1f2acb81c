import type { DeviceKeys, Devices, PublishedKeys, UserKeys } from '#src/devices/index.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import { route, type Access, type Route } from '#src/platform/http/route.ts';
import { Type } from '#src/platform/schema.ts';
import { unknown } from '#src/protocol/errors.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import type { Peer } from '#src/federation/access.ts';
import { federationPath } from '#src/federation/paths.ts';

const MAX_USERS = 5000;

export interface PeerKeyTools {
  readonly peer: Access<Peer>;
  readonly keys: Pick<DeviceKeys, 'claim'>;
  readonly devices: Pick<Devices, 'list'>;
  readonly published: PublishedKeys;
  readonly strings: Pick<Strings, 'numsOf'>;
  /** The last change of a user's list. */
  readonly lastChange: (userNum: number) => Promise<number>;
  readonly config: Pick<Config, 'server_name' | 'allow_device_name_lookup_over_federation'>;
}

/** What other servers ask of the devices and keys of this one's users (server-server API, End-to-End Encryption, Device Management). */
export const peerKeyRoutes = ({ peer, keys, devices, published, strings, lastChange, config }: PeerKeyTools): Route[] => {
  const { server_name: serverName, allow_device_name_lookup_over_federation: tellsNames } = config;

  const checkOwn = (userIds: Iterable<string>): void => {
    for (const userId of userIds) if (domainOf(userId) !== serverName) throw unknown('User is not hosted on this homeserver');
  };

  /** A device's keys; its name only where others may know it. */
  const shown = (text: string): JsonObject => {
    const object = JSON.parse(text) as JsonObject;
    return tellsNames ? object : { ...object, unsigned: {} };
  };

  const crossSigning = (of: UserKeys | undefined, usage: 'master' | 'self_signing'): JsonObject | undefined => {
    const text = of?.crossSigning[usage]?.json;
    return text === undefined ? undefined : (JSON.parse(text) as JsonObject);
  };

  return [
    route({
      method: 'POST',
      path: federationPath('v1', '/user/keys/query'),
      access: peer,
      body: Type.Object({
        device_keys: Type.Record(Type.String(), Type.Union([Type.Array(Type.String()), Type.Null()]), { maxProperties: MAX_USERS }),
      }),
      handle: async ({ body: { device_keys: wanted } }) => {
        checkOwn(Object.keys(wanted));
        const nums = await strings.numsOf(Object.keys(wanted));
        const found = await published.of([...nums.values()]);
        const answer = { device_keys: {} as JsonObject, master_keys: {} as JsonObject, self_signing_keys: {} as JsonObject };
        for (const [userId, named] of Object.entries(wanted)) {
          const of = found.get(nums.get(userId) ?? 0);
          const all = [...(of?.devices ?? [])].filter(([deviceId]) => named === null || named.length === 0 || named.includes(deviceId));
          Object.assign(answer.device_keys, { [userId]: Object.fromEntries(all.map(([deviceId, text]) => [deviceId, shown(text)])) });
          const [master, selfSigning] = [crossSigning(of, 'master'), crossSigning(of, 'self_signing')];
          if (master !== undefined) Object.assign(answer.master_keys, { [userId]: master });
          if (selfSigning !== undefined) Object.assign(answer.self_signing_keys, { [userId]: selfSigning });
        }
        return answer;
      },
    }),
    route({
      method: 'POST',
      path: federationPath('v1', '/user/keys/claim'),
      access: peer,
      body: Type.Object({
        one_time_keys: Type.Record(Type.String(), Type.Record(Type.String(), Type.String()), { maxProperties: MAX_USERS }),
      }),
      handle: async ({ body: { one_time_keys: wanted } }) => {
        checkOwn(Object.keys(wanted));
        const { one_time_keys: claimed } = JSON.parse(await keys.claim(wanted, 0)) as { readonly one_time_keys: JsonObject };
        return { one_time_keys: claimed };
      },
    }),
    route({
      method: 'GET',
      path: federationPath('v1', '/user/devices/:userId'),
      access: peer,
      handle: async ({ params: { userId } }) => {
        checkOwn([userId]);
        const userNum = (await strings.numsOf([userId])).get(userId);
        // The last change is read first: what comes in between is told as another one.
        const id = userNum === undefined ? 0 : await lastChange(userNum);
        const of = userNum === undefined ? undefined : (await published.of([userNum])).get(userNum);
        const list = userNum === undefined ? [] : await devices.list(userNum);
        const [master, selfSigning] = [crossSigning(of, 'master'), crossSigning(of, 'self_signing')];
        return {
          user_id: userId,
          stream_id: id,
          devices: list.flatMap(({ deviceId, displayName }) => {
            const text = of?.devices.get(deviceId);
            if (text === undefined) return [];
            return [
              {
                device_id: deviceId,
                keys: shown(text),
                ...(tellsNames && displayName !== undefined && { device_display_name: displayName }),
              },
            ];
          }),
          ...(master !== undefined && { master_key: master }),
          ...(selfSigning !== undefined && { self_signing_key: selfSigning }),
        };
      },
    }),
  ];
};
