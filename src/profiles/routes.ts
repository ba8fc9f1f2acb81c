import { Type } from '#src/platform/schema.ts';
import type { AccountAccess } from '#src/accounts/index.ts';
import type { Config } from '#src/platform/config/index.ts';
import { SINCE_V1, anyone, client, route } from '#src/platform/http/route.ts';
import type { Route } from '#src/platform/http/route.ts';
import { missingParam } from '#src/protocol/errors.ts';
import type { Profile, Profiles } from '#src/profiles/service.ts';

const MAX_BODY_BYTES = 65_536;

// What is wrong with a value is said by the service, which knows the limits.
const DisplaynameBody = Type.Object({ displayname: Type.Optional(Type.Unknown()) });
const AvatarUrlBody = Type.Object({ avatar_url: Type.Optional(Type.Unknown()) });

const displaynameOf = ({ displayname }: Profile): object => (displayname === undefined ? {} : { displayname });
const avatarUrlOf = ({ avatarUrl }: Profile): object => (avatarUrl === undefined ? {} : { avatar_url: avatarUrl });

/** Reading and changing profiles (client-server API, "Profiles"). */
export const profileRoutes = ({
  access,
  profiles,
  config,
}: {
  access: AccountAccess;
  profiles: Profiles;
  config: Pick<Config, 'require_auth_for_profile_requests'>;
}): Route[] => {
  const readers = config.require_auth_for_profile_requests ? access.user : anyone;
  return [
    route({
      method: 'GET',
      path: client('/profile/:userId', SINCE_V1),
      access: readers,
      handle: async ({ params }) => {
        const profile = await profiles.get(params.userId);
        return { ...displaynameOf(profile), ...avatarUrlOf(profile) };
      },
    }),
    route({
      method: 'GET',
      path: client('/profile/:userId/displayname', SINCE_V1),
      access: readers,
      handle: async ({ params }) => displaynameOf(await profiles.get(params.userId)),
    }),
    route({
      method: 'GET',
      path: client('/profile/:userId/avatar_url', SINCE_V1),
      access: readers,
      handle: async ({ params }) => avatarUrlOf(await profiles.get(params.userId)),
    }),
    route({
      method: 'PUT',
      path: client('/profile/:userId/displayname', SINCE_V1),
      access: access.guest,
      body: DisplaynameBody,
      bodyLimit: MAX_BODY_BYTES,
      handle: async ({ caller, params, body }) => {
        if (body.displayname === undefined) throw missingParam("Missing key 'displayname'");
        await profiles.set(caller, params.userId, 'displayname', body.displayname);
        return {};
      },
    }),
    route({
      method: 'PUT',
      path: client('/profile/:userId/avatar_url', SINCE_V1),
      access: access.user,
      body: AvatarUrlBody,
      bodyLimit: MAX_BODY_BYTES,
      handle: async ({ caller, params, body }) => {
        if (body.avatar_url === undefined) throw missingParam("Missing key 'avatar_url'");
        await profiles.set(caller, params.userId, 'avatar_url', body.avatar_url);
        return {};
      },
    }),
  ];
};
