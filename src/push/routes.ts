import { Type } from '#src/platform/schema.ts';
import type { AccountAccess } from '#src/accounts/index.ts';
import { SINCE_V1, client, route } from '#src/platform/http/route.ts';
import type { Route } from '#src/platform/http/route.ts';
import { unrecognized } from '#src/protocol/errors.ts';
import { parsePlacement } from '#src/push/parse.ts';
import type { PushRules } from '#src/push/rules.ts';

/** A rule's id is never empty: with an empty last step, a path names a collection, and those are not written to. */
const checkNamed = (ruleId: string): void => {
  if (ruleId === '') throw unrecognized('Unrecognized request');
};

const ONE_RULE = '/pushrules/global/:kind/:ruleId';
const ATTRIBUTE = '/pushrules/global/:kind/:ruleId/:attribute';

interface PushRouteTools {
  access: AccountAccess;
  pushRules: PushRules;
}

const readingRoutes = ({ access, pushRules }: PushRouteTools): Route[] => [
  route({
    method: 'GET',
    path: client('/pushrules/', SINCE_V1),
    access: access.user,
    handle: async ({ caller }) => ({ global: await pushRules.rulesOf(caller) }),
  }),
  route({
    method: 'GET',
    path: client('/pushrules/global/', SINCE_V1),
    access: access.user,
    handle: async ({ caller }) => pushRules.rulesOf(caller),
  }),
  route({
    method: 'GET',
    path: client('/pushrules/global/:kind/', SINCE_V1),
    access: access.user,
    handle: async ({ caller, params }) => pushRules.rulesOfKind(caller, params.kind),
  }),
  route({
    method: 'GET',
    path: client(ONE_RULE, SINCE_V1),
    access: access.user,
    handle: async ({ caller, params }) => pushRules.rule(caller, params.kind, params.ruleId),
  }),
  route({
    method: 'GET',
    path: client(ATTRIBUTE, SINCE_V1),
    access: access.user,
    handle: async ({ caller, params }) => pushRules.attribute(caller, params.kind, params.ruleId, params.attribute),
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

const changingRoutes = ({ access, pushRules }: PushRouteTools): Route[] => [
  route({
    method: 'PUT',
    path: client(ONE_RULE, SINCE_V1),
    access: access.user,
    query: Type.Object({ before: Type.Optional(Type.String()), after: Type.Optional(Type.String()) }),
    body: Type.Unknown(),
    handle: async ({ caller, params, query, body }) => {
      checkNamed(params.ruleId);
      await pushRules.put(caller, params.kind, params.ruleId, body, parsePlacement(query));
      return {};
    },
  }),
  route({
    method: 'DELETE',
    path: client(ONE_RULE, SINCE_V1),
    access: access.user,
    handle: async ({ caller, params }) => {
      checkNamed(params.ruleId);
      await pushRules.remove(caller, params.kind, params.ruleId);
      return {};
    },
  }),
  route({
    method: 'PUT',
    path: client(ATTRIBUTE, SINCE_V1),
    access: access.user,
    body: Type.Unknown(),
    handle: async ({ caller, params, body }) => {
      await pushRules.change(caller, params.kind, params.ruleId, params.attribute, body);
      return {};
    },
  }),
];

/** Push rules (client-server API, "Push Rules: API"). Collections end in a slash, or the client is told so. */
export const pushRoutes = (tools: PushRouteTools): Route[] => [...readingRoutes(tools), ...changingRoutes(tools)];
