import type { AccountAccess } from '#src/accounts/index.ts';
import { client, route, type Route, UNSTABLE_TOO } from '#src/platform/http/route.ts';
import { Type } from '#src/platform/schema.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import type { ToDevice } from '#src/to-device/service.ts';

const Content = Type.Record(Type.String(), Type.Unknown());

/** Client-server API, "Send-to-Device messaging". */
export const toDeviceRoutes = ({
  access,
  toDevice,
}: {
  access: Pick<AccountAccess, 'guest'>;
  toDevice: Pick<ToDevice, 'send'>;
}): Route[] => [
  route({
    method: 'PUT',
    path: client('/sendToDevice/:eventType/:txnId', UNSTABLE_TOO),
    access: access.guest,
    body: Type.Object({ messages: Type.Record(Type.String(), Type.Record(Type.String(), Content)) }),
    handle: async ({ caller, params, body }) => {
      const messages = body.messages as Readonly<Record<string, Readonly<Record<string, JsonObject>>>>;
      await toDevice.send(caller, params.eventType, params.txnId, messages);
      return {};
    },
  }),
];
