import type { AccountAccess } from '#src/accounts/index.ts';
import { client, route } from '#src/platform/http/route.ts';
import type { Route } from '#src/platform/http/route.ts';
import { unrecognized } from '#src/protocol/errors.ts';
import type { PushRules } from '#src/push/rules.ts';

const SINCE_V1 = ['v3', 'r0', 'api/v1', 'unstable'];

/** Reading push rules (client-server API, "Push Rules: API"). Collections end in a slash, or the client is told so. */
export const pushRoutes = ({ access, pushRules }: { access: AccountAccess; pushRules: PushRules }): Route[] => [
  route({
    method: 'GET',
    path: client('/pushrules/', SINCE_V1),
    access: access.user,
    handle: async ({ caller }) => ({ global: pushRules.rulesOf(caller.userId) }),
  }),
  route({
    method: 'GET',
    path: client('/pushrules/global/', SINCE_V1),
    access: access.user,
    handle: async ({ caller }) => pushRules.rulesOf(caller.userId),
  }),
  route({
    method: 'GET',
    path: client('/pushrules/global/:kind/', SINCE_V1),
    access: access.user,
    handle: async ({ caller, params }) => pushRules.rulesOfKind(caller.userId, params.kind),
  }),
  route({
    method: 'GET',
    path: client('/pushrules/global/:kind/:ruleId', SINCE_V1),
    access: access.user,
    handle: async ({ caller, params }) => pushRules.rule(caller.userId, params.kind, params.ruleId),
  }),
  route({
    method: 'GET',
    path: client('/pushrules/global/:kind/:ruleId/enabled', SINCE_V1),
    access: access.user,
    handle: async ({ caller, params }) => ({ enabled: pushRules.rule(caller.userId, params.kind, params.ruleId).enabled }),
  }),
  route({
    method: 'GET',
    path: client('/pushrules/global/:kind/:ruleId/actions', SINCE_V1),
    access: access.user,
    handle: async ({ caller, params }) => ({ actions: pushRules.rule(caller.userId, params.kind, params.ruleId).actions }),
  }),
  ...['/pushrules', '/pushrules/global', '/pushrules/global/:kind'].map((path) =>
    route({
      method: 'GET',
      path: client(path, SINCE_V1),
      access: access.user,
      handle: () => Promise.reject(unrecognized('Unrecognised request: You probably wanted a trailing slash')),
    }),
  ),
];
