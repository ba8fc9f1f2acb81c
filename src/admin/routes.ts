import { Type } from '#src/platform/schema.ts';
import type { AccountAccess, Accounts } from '#src/accounts/index.ts';
import { deviceIdsIn } from '#src/devices/index.ts';
import type { Device, Devices, SigningKeys } from '#src/devices/index.ts';
import { at, route } from '#src/platform/http/route.ts';
import type { Route } from '#src/platform/http/route.ts';
import { createLocalUser } from '#src/admin/local-user.ts';

const MAX_BODY_BYTES = 65_536;

/** A device as administrators read it: nothing is left out, what is not known is null. */
const adminDevice = (userId: string, dehydratedId: string | undefined, { deviceId, displayName, seen }: Device): object => ({
  device_id: deviceId,
  display_name: displayName ?? null,
  last_seen_ip: seen?.ip ?? null,
  last_seen_ts: seen?.ts ?? null,
  last_seen_user_agent: seen?.userAgent ?? null,
  user_id: userId,
  dehydrated: deviceId === dehydratedId,
});

/** What administrators do to accounts and devices of others (Synapse's admin API). */
export const adminRoutes = ({
  access,
  accounts,
  devices,
  dehydratedDevices,
  signingKeys,
  serverName,
}: {
  access: Pick<AccountAccess, 'admin'>;
  accounts: Pick<Accounts, 'find' | 'resetPassword'>;
  devices: Devices;
  dehydratedDevices: { readonly find: (userNum: number) => Promise<{ readonly deviceId: string } | undefined> };
  signingKeys: Pick<SigningKeys, 'allowReplacement'>;
  serverName: string;
}): Route[] => {
  const localUser = createLocalUser({ accounts, serverName });

  return [
    route({
      method: 'POST',
      path: at('/_synapse/admin/v1/reset_password/:userId'),
      access: access.admin,
      body: Type.Object({ new_password: Type.String(), logout_devices: Type.Optional(Type.Boolean()) }),
      bodyLimit: MAX_BODY_BYTES,
      handle: async ({ caller, params, body }) => {
        const user = await localUser(params.userId);
        await accounts.resetPassword(user, {
          password: body.new_password,
          logoutDevices: body.logout_devices ?? true,
          ...(user.userNum === caller.userNum && { except: caller }),
        });
        return {};
      },
    }),
    route({
      method: 'GET',
      path: at('/_synapse/admin/v2/users/:userId/devices'),
      access: access.admin,
      handle: async ({ params }) => {
        const user = await localUser(params.userId);
        const list = await devices.list(user.userNum);
        const dehydrated = await dehydratedDevices.find(user.userNum);
        return { devices: list.map((device) => adminDevice(user.userId, dehydrated?.deviceId, device)), total: list.length };
      },
    }),
    route({
      method: 'POST',
      path: at('/_synapse/admin/v2/users/:userId/delete_devices'),
      access: access.admin,
      body: Type.Object({ devices: Type.Unknown() }),
      bodyLimit: MAX_BODY_BYTES,
      handle: async ({ params, body }) => {
        const user = await localUser(params.userId);
        await devices.remove(user.userNum, deviceIdsIn(body));
        return {};
      },
    }),
    route({
      method: 'POST',
      path: at('/_synapse/admin/v1/users/:userId/_allow_cross_signing_replacement_without_uia'),
      access: access.admin,
      body: Type.Optional(Type.Unknown()),
      bodyLimit: MAX_BODY_BYTES,
      handle: async ({ params }) => {
        const user = await localUser(params.userId);
        return { updatable_without_uia_before_ms: await signingKeys.allowReplacement(user.userNum) };
      },
    }),
  ];
};
