import { Type } from '#src/platform/schema.ts';
import type { AccountAccess, Confirm, ConfirmedLately, Requester } from '#src/accounts/index.ts';
import { Answer, client, route } from '#src/platform/http/route.ts';
import type { IncomingRequest, Route } from '#src/platform/http/route.ts';
import { badJson, missingParam } from '#src/protocol/errors.ts';
import type { Device, Devices } from '#src/devices/service.ts';

const VERSIONS = ['v3', 'r0', 'unstable'];

const MAX_BODY_BYTES = 65_536;
const MAX_NAMED_DEVICES = 1000;

type Json = Readonly<Record<string, unknown>>;

const AnyObject = Type.Record(Type.String(), Type.Unknown());

/** A device as clients read it. */
const clientDevice = ({ deviceId, displayName, seen }: Device): object => ({
  device_id: deviceId,
  ...(displayName !== undefined && { display_name: displayName }),
  ...(seen !== undefined && { last_seen_ip: seen.ip, last_seen_ts: seen.ts }),
});

/** The ids in `devices`; throws `M_MISSING_PARAM` or `M_BAD_JSON`. */
export const deviceIdsIn = (body: Json): readonly string[] => {
  const { devices } = body;
  if (devices === undefined) throw missingParam('Missing required key: devices');
  if (!Array.isArray(devices) || devices.length > MAX_NAMED_DEVICES || !devices.every((id) => typeof id === 'string')) {
    throw badJson(`devices must be a list of at most ${String(MAX_NAMED_DEVICES)} device ids`);
  }
  return devices;
};

/** Looking at, naming and deleting one's devices (client-server API, "Device Management"). */
export const deviceRoutes = ({
  access,
  confirm,
  confirmedLately,
  devices,
}: {
  access: Pick<AccountAccess, 'guest' | 'user'>;
  confirm: Confirm;
  confirmedLately: ConfirmedLately;
  devices: Devices;
}): Route[] => {
  /** Deletes what `idsIn` finds in the confirmed request, or answers what is asked for before. */
  const removeConfirmed = async (
    caller: Requester,
    { method, url }: IncomingRequest,
    { auth, ...params }: Json,
    idsIn: (params: Json) => readonly string[],
  ): Promise<unknown> => {
    if (await confirmedLately(caller)) {
      await devices.remove(caller.userNum, idsIn(params));
      return {};
    }
    const interaction = await confirm(caller, { method, uri: url, auth, params });
    if (!interaction.done) return new Answer(401, interaction.body);
    await devices.remove(caller.userNum, idsIn(interaction.session.params));
    return {};
  };

  return [
    route({
      method: 'GET',
      path: client('/devices', VERSIONS),
      access: access.guest,
      handle: async ({ caller }) => ({ devices: (await devices.list(caller.userNum)).map(clientDevice) }),
    }),
    route({
      method: 'GET',
      path: client('/devices/:deviceId', VERSIONS),
      access: access.guest,
      handle: async ({ caller, params }) => clientDevice(await devices.get(caller.userNum, params.deviceId)),
    }),
    route({
      method: 'PUT',
      path: client('/devices/:deviceId', VERSIONS),
      access: access.guest,
      body: Type.Object({ display_name: Type.Optional(Type.String()) }),
      bodyLimit: MAX_BODY_BYTES,
      handle: async ({ caller, params, body }) => {
        if (body.display_name === undefined) await devices.get(caller.userNum, params.deviceId);
        else await devices.rename(caller.userNum, params.deviceId, body.display_name);
        return {};
      },
    }),
    route({
      method: 'DELETE',
      path: client('/devices/:deviceId', VERSIONS),
      access: access.user,
      body: Type.Optional(AnyObject),
      bodyLimit: MAX_BODY_BYTES,
      handle: ({ caller, params, body, request }) => removeConfirmed(caller, request, body, () => [params.deviceId]),
    }),
    route({
      method: 'POST',
      path: client('/delete_devices', VERSIONS),
      access: access.user,
      body: AnyObject,
      bodyLimit: MAX_BODY_BYTES,
      handle: async ({ caller, body, request }) => {
        // A later request of the same interaction may carry nothing but the authentication.
        if (body['auth'] === undefined || 'devices' in body) deviceIdsIn(body);
        return removeConfirmed(caller, request, body, deviceIdsIn);
      },
    }),
  ];
};
