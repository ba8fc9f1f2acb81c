import { Type } from '#src/platform/schema.ts';
import type { AccountAccess, Requester } from '#src/accounts/index.ts';
import type { Config } from '#src/platform/config/index.ts';
import { SINCE_V1, client, route, type Access, type PathSet, type Route } from '#src/platform/http/route.ts';
import { missingParam } from '#src/protocol/errors.ts';
import type { NamedField } from '#src/profiles/field-names.ts';
import type { Profiles } from '#src/profiles/service.ts';

/** More than a profile may hold, so that what is wrong can be said by the service. */
const MAX_BODY_BYTES = 131_072;

const ownPath = (field: NamedField): PathSet<'/profile/:userId/:keyName'> => ({
  template: '/profile/:userId/:keyName',
  paths: client(`/profile/:userId/${field}`, SINCE_V1).paths,
});

/** Reading and changing profiles (client-server API, "Profiles"). Guests change nothing but their names. */
export const profileRoutes = ({
  access,
  profiles,
  config,
}: {
  access: AccountAccess;
  profiles: Profiles;
  config: Pick<Config, 'require_auth_for_profile_requests'>;
}): Route[] => {
  const readers: Access<unknown> = config.require_auth_for_profile_requests ? access.user : access.optional;

  /** The name and the avatar have paths of their own, since the first version. */
  const fieldRoutes = (path: PathSet<'/profile/:userId/:keyName'>, writers: Access<Requester>, fixed?: NamedField): Route[] => [
    route({
      method: 'GET',
      path,
      access: readers,
      handle: ({ params }) => profiles.field(params.userId, fixed ?? params.keyName),
    }),
    route({
      method: 'PUT',
      path,
      access: writers,
      body: Type.Record(Type.String(), Type.Unknown()),
      bodyLimit: MAX_BODY_BYTES,
      handle: async ({ caller, params, body }) => {
        const name = fixed ?? params.keyName;
        const value = Object.hasOwn(body, name) ? body[name] : undefined;
        if (value === undefined) throw missingParam(`Missing key '${name}'`);
        await profiles.set(caller, params.userId, name, value);
        return {};
      },
    }),
    route({
      method: 'DELETE',
      path,
      access: writers,
      handle: async ({ caller, params }) => {
        await profiles.remove(caller, params.userId, fixed ?? params.keyName);
        return {};
      },
    }),
  ];

  return [
    route({
      method: 'GET',
      path: client('/profile/:userId', SINCE_V1),
      access: readers,
      handle: ({ params }) => profiles.all(params.userId),
    }),
    ...fieldRoutes(ownPath('displayname'), access.guest, 'displayname'),
    ...fieldRoutes(ownPath('avatar_url'), access.user, 'avatar_url'),
    ...fieldRoutes(client('/profile/:userId/:keyName', ['v3']), access.user),
  ];
};
