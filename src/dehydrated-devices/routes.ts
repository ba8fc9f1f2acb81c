import type { AccountAccess } from '#src/accounts/index.ts';
import { KeyUpload } from '#src/devices/index.ts';
import { client, RawJson, route, type Route } from '#src/platform/http/route.ts';
import { Type } from '#src/platform/schema.ts';
import { invalidParam } from '#src/protocol/errors.ts';
import type { DehydratedDevices, DehydratedEvents } from '#src/dehydrated-devices/service.ts';

const UNSTABLE = ['unstable/org.matrix.msc3814.v1'];
const DEVICE = client('/dehydrated_device', UNSTABLE);
const EVENTS = client('/dehydrated_device/:deviceId/events', UNSTABLE);

const MAX_BODY_BYTES = 512 * 1024;
const DEFAULT_LIMIT = 100;

const Page = Type.Object({ from: Type.Optional(Type.String()), limit: Type.Optional(Type.Integer()) });

const DehydrationBody = Type.Object({
  ...KeyUpload.properties,
  device_id: Type.String(),
  device_data: Type.Object({ algorithm: Type.String() }),
  initial_device_display_name: Type.Optional(Type.Union([Type.String(), Type.Null()])),
});

const limitOf = (limit: number | undefined): number => {
  if (limit !== undefined && limit < 0) throw invalidParam('Query parameter limit must be a positive integer.');
  return limit ?? DEFAULT_LIMIT;
};

const page = ({ events, next }: DehydratedEvents, hasNext: boolean): RawJson =>
  new RawJson(`{"events":[${events.join(',')}]${hasNext ? `,"next_batch":${JSON.stringify(next)}` : ''}}`);

/** Dehydrated devices (MSC3814), the messages also by POST as in its earlier draft. */
export const dehydratedDeviceRoutes = ({
  access,
  dehydratedDevices,
}: {
  access: Pick<AccountAccess, 'user'>;
  dehydratedDevices: DehydratedDevices;
}): Route[] => [
  route({
    method: 'GET',
    path: DEVICE,
    access: access.user,
    handle: async ({ caller }) => {
      const { deviceId, data } = await dehydratedDevices.get(caller.userNum);
      return new RawJson(`{"device_id":${JSON.stringify(deviceId)},"device_data":${data}}`);
    },
  }),
  route({
    method: 'PUT',
    path: DEVICE,
    access: access.user,
    body: DehydrationBody,
    bodyLimit: MAX_BODY_BYTES,
    handle: async ({ caller, body }) => {
      const { device_id: deviceId, device_data: data, initial_device_display_name: name } = body;
      const keys = body as KeyUpload;
      await dehydratedDevices.put(caller, { deviceId, data, displayName: name ?? undefined, keys });
      return { device_id: deviceId };
    },
  }),
  route({
    method: 'DELETE',
    path: DEVICE,
    access: access.user,
    handle: async ({ caller }) => ({ device_id: await dehydratedDevices.remove(caller.userNum) }),
  }),
  route({
    method: 'GET',
    path: EVENTS,
    access: access.user,
    query: Page,
    handle: async ({ caller, params, query }) => {
      const found = await dehydratedDevices.events(caller.userNum, params.deviceId, { from: query.from, limit: limitOf(query.limit) });
      return page(found, found.limited);
    },
  }),
  route({
    method: 'POST',
    path: EVENTS,
    access: access.user,
    query: Page,
    body: Type.Object({ next_batch: Type.Optional(Type.Union([Type.String(), Type.Null()])) }),
    handle: async ({ caller, params, query, body }) => {
      const from = body.next_batch ?? undefined;
      return page(await dehydratedDevices.events(caller.userNum, params.deviceId, { from, limit: limitOf(query.limit) }), true);
    },
  }),
];
