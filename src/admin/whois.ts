import type { AccountAccess, Accounts } from '#src/accounts/index.ts';
import { at, client, route, type Route, SINCE_V1 } from '#src/platform/http/route.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import { forbidden, invalidParam, unknown } from '#src/protocol/errors.ts';
import { domainOf, isUserId } from '#src/protocol/identifiers.ts';

/** From where a user was seen, for administrators and the user (client-server API, "Server Administration"). */
export const whoisRoutes = ({
  access,
  accounts,
  strings,
  serverName,
}: {
  access: Pick<AccountAccess, 'user'>;
  accounts: Pick<Accounts, 'seenFrom'>;
  strings: Pick<Strings, 'numOf'>;
  serverName: string;
}): Route[] =>
  [client('/admin/whois/:userId', SINCE_V1), at('/_synapse/admin/v1/whois/:userId')].map((path) =>
    route({
      method: 'GET',
      path,
      access: access.user,
      handle: async ({ caller, params: { userId } }) => {
        if (!isUserId(userId)) throw invalidParam('Expected a user id, such as @alice:example.com');
        if (userId !== caller.userId && !caller.isAdmin) throw forbidden('You are not a server admin');
        if (domainOf(userId) !== serverName) throw unknown('Can only whois a local user');
        const userNum = await strings.numOf(userId);
        const seen = userNum === undefined ? [] : await accounts.seenFrom(userNum);
        const connections = seen.map(({ ip, ts, userAgent }) => ({ ip, last_seen: ts, user_agent: userAgent }));
        // Under no device's name, as in Synapse, where tools look for it.
        return { user_id: userId, devices: { '': { sessions: [{ connections }] } } };
      },
    }),
  );
