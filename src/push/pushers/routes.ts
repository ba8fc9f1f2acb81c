import type { AccountAccess } from '#src/accounts/index.ts';
import { client, route, type Route, SINCE_V1 } from '#src/platform/http/route.ts';
import { type Static, Type } from '#src/platform/schema.ts';
import { missingParam } from '#src/protocol/errors.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import type { Pushers } from '#src/push/pushers/service.ts';
import type { PusherRow } from '#src/push/pushers/store.ts';

const MSC3881_ENABLED = 'org.matrix.msc3881.enabled';
const MSC3881_DEVICE = 'org.matrix.msc3881.device_id';

/** A pusher as its user reads it. */
export const describePusher = (row: PusherRow): object => ({
  app_display_name: row.app_display_name,
  app_id: row.app_id,
  data: JSON.parse(row.data) as JsonObject,
  device_display_name: row.device_display_name,
  kind: row.kind,
  lang: row.lang,
  profile_tag: row.profile_tag,
  pushkey: row.pushkey,
});

const Text = Type.Optional(Type.String());
const Body = Type.Object({
  kind: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  app_id: Text,
  pushkey: Text,
  app_display_name: Text,
  device_display_name: Text,
  profile_tag: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  lang: Text,
  data: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  append: Type.Optional(Type.Boolean()),
  [MSC3881_ENABLED]: Type.Optional(Type.Boolean()),
});

const REQUIRED = ['kind', 'app_id', 'app_display_name', 'device_display_name', 'pushkey', 'lang', 'data'] as const;

type Required = { readonly [K in (typeof REQUIRED)[number]]: NonNullable<Static<typeof Body>[K]> };

const required = (body: Static<typeof Body>): Required => {
  const absent = REQUIRED.filter((name) => body[name] === undefined || body[name] === null);
  if (absent.length > 0) throw missingParam(`Missing params: ${absent.join(', ')}`);
  return body as Required;
};

/** Setting and listing pushers. `canSwitch`: they may be switched off and on, and say of which device they are (MSC3881). */
export const pusherRoutes = ({
  access,
  pushers,
  canSwitch,
}: {
  access: Pick<AccountAccess, 'user'>;
  pushers: Pushers;
  canSwitch: boolean;
}): Route[] => [
  route({
    method: 'GET',
    path: client('/pushers', SINCE_V1),
    access: access.user,
    handle: async ({ caller }) => ({
      pushers: (await pushers.list(caller.userNum)).map((row) => ({
        ...describePusher(row),
        ...(canSwitch && { [MSC3881_ENABLED]: row.enabled === 1, [MSC3881_DEVICE]: row.device_id }),
      })),
    }),
  }),
  route({
    method: 'POST',
    path: client('/pushers/set', SINCE_V1),
    access: access.user,
    body: Body,
    bodyLimit: 65_536,
    handle: async ({ caller, body }) => {
      if (body.kind === null && body.app_id !== undefined && body.pushkey !== undefined) {
        await pushers.remove({ app_id: body.app_id, pushkey: body.pushkey, user_num: caller.userNum });
        return {};
      }
      const { kind, app_id, app_display_name, device_display_name, pushkey, lang, data } = required(body);
      await pushers.set(caller, {
        kind,
        app_id,
        app_display_name,
        device_display_name,
        pushkey,
        lang,
        data: data as JsonObject,
        profile_tag: body.profile_tag ?? undefined,
        append: body.append,
        enabled: canSwitch ? body[MSC3881_ENABLED] : undefined,
      });
      return {};
    },
  }),
];
