import type { AccountAccess, Accounts } from '#src/accounts/index.ts';
import { createLocalUser } from '#src/admin/local-user.ts';
import { at, route, type Route } from '#src/platform/http/route.ts';
import { describePusher, type Pushers } from '#src/push/index.ts';

/** A user's pushers, for administrators (Synapse's admin API). */
export const adminPusherRoutes = ({
  access,
  accounts,
  pushers,
  serverName,
}: {
  access: Pick<AccountAccess, 'admin'>;
  accounts: Pick<Accounts, 'find'>;
  pushers: Pick<Pushers, 'list'>;
  serverName: string;
}): Route[] => {
  const localUser = createLocalUser({ accounts, serverName });
  return [
    route({
      method: 'GET',
      path: at('/_synapse/admin/v1/users/:userId/pushers'),
      access: access.admin,
      handle: async ({ params }) => {
        const list = await pushers.list((await localUser(params.userId)).userNum);
        return { pushers: list.map(describePusher), total: list.length };
      },
    }),
  ];
};
